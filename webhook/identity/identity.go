// Package identity has the identity of a user (UID, GID and supplementary groups), and the floor: the lowest UID and GID of a
// user, and the denied groups. It does no I/O.
package identity

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxID is the highest UID or GID that Kubernetes accepts: 2^31-1.
const maxID = 1<<31 - 1

// nobody and wideNobody are the UID and GID that NFS shows if it cannot map the real owner or group, or hides them
// (root_squash, all_squash). nobody is -2 in 16 bits. wideNobody is -2 in 32 bits, from an old NFS server.
const (
	nobody     = 65534
	wideNobody = 1<<32 - 2
)

// Identity is the identity of one user. Groups are the supplementary groups: ascending, without the GID, without duplicates.
type Identity struct {
	UID, GID int64
	Groups   []int64
	// Home is the home field of the account in the directory service or the passwd file. It is empty unless
	// share.homePrefix is set, and not part of the text that Parse reads and String returns.
	Home string
}

// Parse reads UID:GID or UID:GID:gid,gid,… in decimal, as in 5003:6003:7001,7002.
func Parse(text string) (Identity, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return Identity{}, fmt.Errorf("%q is not UID:GID or UID:GID:gid,gid", text)
	}
	uid, err := ParseID(parts[0])
	if err != nil {
		return Identity{}, fmt.Errorf("UID %w", err)
	}
	gid, err := ParseID(parts[1])
	if err != nil {
		return Identity{}, fmt.Errorf("GID %w", err)
	}
	var groups []int64
	if len(parts) == 3 {
		for text := range strings.SplitSeq(parts[2], ",") {
			group, err := ParseID(text)
			if err != nil {
				return Identity{}, fmt.Errorf("group %w", err)
			}
			groups = append(groups, group)
		}
	}
	return New(uid, gid, groups), nil
}

// New returns an identity whose groups are sorted, without duplicates and without the GID.
func New(uid, gid int64, groups []int64) Identity {
	groups = slices.Clone(groups)
	slices.Sort(groups)
	groups = slices.Compact(groups)
	groups = slices.DeleteFunc(groups, func(g int64) bool { return g == gid })
	if len(groups) == 0 {
		groups = nil
	}
	return Identity{UID: uid, GID: gid, Groups: groups}
}

// WithGroups returns the identity with at most limit groups: those with the lowest numbers.
func (id Identity) WithGroups(limit int) Identity {
	return id.with(id.Groups[:min(len(id.Groups), limit)])
}

func (id Identity) with(groups []int64) Identity {
	other := New(id.UID, id.GID, groups)
	other.Home = id.Home
	return other
}

// String returns the text that Parse reads.
func (id Identity) String() string {
	var buffer [64]byte
	text := strconv.AppendInt(append(strconv.AppendInt(buffer[:0], id.UID, 10), ':'), id.GID, 10)
	for i, g := range id.Groups {
		text = strconv.AppendInt(append(text, ":,"[min(i, 1)]), g, 10)
	}
	return string(text)
}

// ParseID parses a UID or GID like ParseNumber, up to maxID. The error quotes the text.
func ParseID(text string) (int64, error) {
	n, ok := ParseNumber(text)
	if !ok || int64(n) > maxID {
		return 0, fmt.Errorf("%q is not a number from 0 to %d", text, maxID)
	}
	return int64(n), nil
}

// ParseNumber parses a UID or GID as a source has it: a number of 32 bits in canonical decimal form, without a sign, a leading
// zero or a space. Floor.Check says which numbers a Pod can have.
func ParseNumber(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	// ParseUint returns an error for a sign, but not for leading zeros.
	return uint32(n), err == nil && (len(text) == 1 || text[0] != '0')
}

// Floor has the lowest numbers that an identity can have, and the denied groups.
type Floor struct {
	MinUID, MinGID int64
	DeniedGIDs     []int64
}

// Check returns an error if no Pod can run as the identity. A UID or GID must not be root's, below the floor, above maxID,
// or the ID that NFS shows if it cannot map the real one. A GID must not be denied.
func (f Floor) Check(id Identity) error {
	if err := CheckOwner(id.UID); err != nil {
		return err
	}
	switch {
	case id.UID < f.MinUID || id.UID <= 0:
		return fmt.Errorf("UID %d is below %d, the lowest of a user (identity.minUID)", id.UID, f.MinUID)
	case id.UID > maxID:
		return fmt.Errorf("UID %d is over %d, the highest that Kubernetes accepts", id.UID, maxID)
	}
	err := f.checkGID(id.GID)
	for _, gid := range id.Groups {
		if err == nil {
			err = f.checkGID(gid)
		}
	}
	return err
}

// LeaveOut returns the identity without the supplementary groups that no Pod can have, such as those below the floor. A group of
// DeniedGIDs stays, so that Check denies it.
func (f Floor) LeaveOut(id Identity) Identity {
	isUnusable := func(gid int64) bool { return !slices.Contains(f.DeniedGIDs, gid) && f.checkGID(gid) != nil }
	if !slices.ContainsFunc(id.Groups, isUnusable) {
		return id
	}
	return id.with(slices.DeleteFunc(slices.Clone(id.Groups), isUnusable))
}

// CheckOwner returns an error for a UID that is not a user's under any configuration: root, and the owner that NFS shows if it
// cannot map the real owner.
func CheckOwner(uid int64) error {
	switch uid {
	case 0:
		return errors.New("UID 0 is root, who owns a home if its file system is not mounted, or if the " +
			"directory was created and not given to its user: mount the file system, or chown the home")
	case nobody, wideNobody:
		return fmt.Errorf("UID %d is nobody, which is what NFS shows for an owner that it cannot map (idmapd) or squashes", uid)
	}
	return nil
}

// CanBeUser reports whether the owner of a directory can be a user: the UID is minUID or higher, or NFS does not show the real
// owner. Such an owner of a directory that contains homes could replace a home with another directory.
func CanBeUser(uid, minUID int64) bool {
	return uid >= minUID || uid == nobody || uid == wideNobody
}

// OthersWrite reports whether a directory with this mode and group can be written by accounts other than its owner and the
// members of the group root. Such accounts could replace a home in the directory with another directory. CanBeUser checks the
// owner. OthersWrite ignores the sticky bit. In a directory with this bit, an account could replace only its own home: the
// caller decides whether this matters.
func OthersWrite(mode uint32, gid int64) bool { return mode&0o002 != 0 || mode&0o020 != 0 && gid != 0 }

func (f Floor) checkGID(gid int64) error {
	switch {
	case gid == nobody || gid == wideNobody:
		return fmt.Errorf("GID %d is nogroup, which is what NFS shows for a group that it cannot map (idmapd) or squashes", gid)
	case gid < f.MinGID || gid <= 0:
		return fmt.Errorf("GID %d is below %d, the lowest of a user (identity.minGID)", gid, f.MinGID)
	case gid > maxID:
		return fmt.Errorf("GID %d is over %d, the highest that Kubernetes accepts", gid, maxID)
	case slices.Contains(f.DeniedGIDs, gid):
		return fmt.Errorf("GID %d is denied here (identity.deniedGIDs)", gid)
	}
	return nil
}
