package passwd

import (
	"bytes"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// table is the content of one pair of files. It does not change after reading, so that admissions can use it while the next
// table is read.
//
// It is designed for 100,000 users: numbers have 32 bits, only names are pointers, the memberships of all users are in one list,
// and so are the homes. A slice for each user would need 24 bytes even without a group, and the garbage collector would scan the
// slices.
type table struct {
	index       map[string]uint32
	accounts    []account
	memberships []membership
	// homes are the home fields of all users, one after another, if withHomes is true.
	homes []byte
	// withHomes reports whether home fields are kept.
	withHomes bool
	// minUID is the lowest UID of a user.
	minUID int64
	// rules are the rules for the names in files, from the function fileRules.
	rules config.User
	// bad has an element for each file, with the lines of the file that were skipped.
	bad []badLines
}

type account struct {
	uid, gid uint32
	// last is the index of the user's last membership, plus one; 0 if there is none.
	last uint32
	// homeEnd is the offset in homes at which the home field of this account ends and the home field of the next account begins.
	homeEnd uint32
}

// membership is one user in one group. The memberships of a user are chained, because the file is ordered by group.
type membership struct {
	gid uint32
	// previous is the index of the user's previous membership, plus one; 0 for the first.
	previous uint32
}

// newTable returns an empty table with a capacity a little above the previous table's size. Growing slices and maps would
// leave garbage of several times their size while two tables exist.
func newTable(previous *table, f files) *table {
	grown := func(n int) int { return n + n/16 }
	accounts := grown(len(previous.accounts))
	return &table{
		index:       make(map[string]uint32, accounts),
		accounts:    make([]account, 0, accounts),
		memberships: make([]membership, 0, grown(len(previous.memberships))),
		homes:       make([]byte, 0, grown(len(previous.homes))),
		withHomes:   f.homes,
		minUID:      f.minUID,
		rules:       fileRules(f.rules),
	}
}

// fileRules returns the rules for the names in files: those of the configuration, but upper case is allowed, 32 is the
// maximum length, and user.reserved is empty. The configured values of these three rules are checked on the user name that
// a Pod has. Names in files that fail the returned rules, such as system accounts, machines (host$), names with spaces and
// users of another domain, are skipped to save memory: no Pod can name these users.
func fileRules(rules config.User) config.User {
	rules.AllowUpperCase, rules.MaxLength, rules.Reserved = true, 32, nil
	return rules
}

// add adds a user, unless the rules deny the name, or an earlier line has it. So a local account takes precedence over one
// of a directory service, as in NSS: getent prints local accounts first.
func (t *table) add(text string, uid, gid uint32, home []byte) {
	name, denied := user.Parse("", text, t.rules)
	if denied != nil {
		return
	}
	if _, exists := t.index[name.String()]; exists {
		return
	}
	t.index[name.String()] = uint32(len(t.accounts))
	if t.withHomes {
		t.homes = append(t.homes, home...)
	}
	t.accounts = append(t.accounts, account{uid: uid, gid: gid, homeEnd: uint32(len(t.homes))})
}

// join adds a user to a group. Members who are not in the table are skipped.
func (t *table) join(member []byte, gid uint32) {
	at, ok := t.index[string(member)]
	if !ok && bytes.IndexByte(member, '@') > 0 {
		// The member can have a domain that the rules remove: SSSD writes such members if it uses fully qualified names.
		if name, denied := user.Parse("", string(member), t.rules); denied == nil {
			at, ok = t.index[name.String()]
		}
	}
	if !ok {
		return
	}
	p := &t.accounts[at]
	if p.last > 0 && t.memberships[p.last-1].gid == gid {
		return // the group lists the member twice, or two lines have this GID
	}
	t.memberships = append(t.memberships, membership{gid: gid, previous: p.last})
	p.last = uint32(len(t.memberships))
}

// find returns the identity of a user, or nil.
func (t *table) find(name string) *identity.Identity {
	at, ok := t.index[name]
	if !ok {
		return nil
	}
	p := t.accounts[at]
	var groups []int64
	for m := p.last; m > 0; m = t.memberships[m-1].previous {
		groups = append(groups, int64(t.memberships[m-1].gid))
	}
	id := identity.New(int64(p.uid), int64(p.gid), groups)
	begin := uint32(0)
	if at > 0 {
		begin = t.accounts[at-1].homeEnd
	}
	id.Home = string(t.homes[begin:p.homeEnd])
	return &id
}
