package passwd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// maxSize is the maximum size of a file, in bytes. 100,000 users take about 10 MB. Two files of this size, while the previous
// table is still in use, fit into the Deployment's memory limit.
const maxSize = 16 << 20

// fault is an error in a file. It can contain a name, a UID or a GID, but not a whole line, because files from NIS have passwords
// in them.
type fault struct {
	path string
	// line is counted from 1; 0 if the fault is about the whole file.
	line int
	why  string
}

func (f *fault) Error() string {
	if f.line == 0 {
		return fmt.Sprintf("%s: %s", f.path, f.why)
	}
	return fmt.Sprintf("%s: line %d: %s", f.path, f.line, f.why)
}

// eachAccount calls the function "add" with the name, the UID, the GID and the home of each readable line of a passwd file.
// The path is only for faults. The home is valid until add returns, and is not checked here (Share.HomeOf checks it).
//
//	field    1     2         3    4    5      6     7
//	         name  password  UID  GID  GECOS  home  shell
//	read     yes   no        yes  yes  no     yes   no
func (t *table) eachAccount(path string, file io.Reader, add func(name string, uid, gid uint32, home []byte)) error {
	return t.eachLine(path, file, 7, func(field [][]byte) string {
		uid, uidOK := identity.ParseNumber(string(field[2]))
		gid, gidOK := identity.ParseNumber(string(field[3]))
		switch {
		case !uidOK:
			return noNumber("UID", field[2])
		case !gidOK:
			return noNumber("GID", field[3])
		}
		add(string(field[0]), uid, gid, field[5])
		return ""
	})
}

// readPasswd reads the users of a passwd file. Of several lines with one name it uses the first, as NSS does. The path is only
// for faults.
func (t *table) readPasswd(path string, file io.Reader) error {
	if err := t.eachAccount(path, file, t.add); err != nil {
		return err
	}
	if !slices.ContainsFunc(t.accounts, func(a account) bool { return int64(a.uid) >= t.minUID }) {
		// A file that is being rewritten in place is empty for a moment, so a file without users is a fault.
		return &fault{path: path, why: fmt.Sprintf("there is nobody in it whom a pod could name: system accounts, UIDs below %d "+
			"(identity.minUID), names that begin with a digit and names with another domain than user.domains are no users here%s",
			t.minUID, t.badLinesText())}
	}
	return nil
}

// readGroup reads the groups of the table's users from a group file. A group can have several lines, all with the GID of the
// first, and a GID can have several groups: sites split long groups in these ways.
//
//	field    1     2         3    4
//	         name  password  GID  members
//	read     yes   no        yes  yes
func (t *table) readGroup(path string, file io.Reader) error {
	gids := map[string]uint32{}
	err := t.eachLine(path, file, 4, func(field [][]byte) string {
		gid, ok := identity.ParseNumber(string(field[2]))
		switch {
		case !ok:
			return noNumber("GID", field[2])
		case bytes.HasSuffix(field[3], []byte("\r")):
			return "it ends with a line break of Windows, which would be a part of the last member's name"
		}
		if first, exists := gids[string(field[0])]; exists && first != gid {
			return fmt.Sprintf("the group %q is there before, with another GID", denial.Cut(string(field[0]), 40))
		}
		gids[string(field[0])] = gid
		for member := range bytes.SplitSeq(field[3], []byte(",")) {
			t.join(member, gid)
		}
		return ""
	})
	if err != nil {
		return err
	}
	if len(gids) == 0 {
		return &fault{path: path, why: "there is no group in it; write at least one line, such as nogroup:x:65534:" +
			t.badLinesText()}
	}
	return nil
}

// eachLine calls the function "take" with the fields of each line that has the given number of fields. take returns the reason
// why the line is bad, or "". Bad lines are kept for the log.
func (t *table) eachLine(path string, file io.Reader, fields int, take func(field [][]byte) string) error {
	limited := &io.LimitedReader{R: file, N: maxSize + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 0, 64<<10), maxSize+2) // a group that has all users as members is one long line
	lines.Split(wholeLines)
	number := 0
	field := make([][]byte, 0, fields)
	t.bad = append(t.bad, badLines{path: path})
	bad := &t.bad[len(t.bad)-1]
	for lines.Scan() {
		number++
		line := lines.Bytes()
		if skipped(line) {
			continue
		}
		field = slices.AppendSeq(field[:0], bytes.SplitSeq(line, colon))
		why := ""
		if len(field) != fields {
			why = fmt.Sprintf("it has %d fields with colons between them, and not %d", len(field), fields)
		} else {
			why = take(field)
		}
		if why != "" {
			bad.add(&fault{path, number, why})
		}
	}
	switch err := lines.Err(); {
	case limited.N == 0:
		return tooLarge(path)
	case errors.Is(err, errCutShort):
		return &fault{path, number + 1, err.Error()}
	case err != nil:
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

var colon = []byte(":")

func tooLarge(path string) error {
	return &fault{path: path, why: fmt.Sprintf("it is larger than %d MiB, which no file of users is", maxSize>>20)}
}

var errCutShort = errors.New("the last line has no line break: the file is being written, or is incomplete")

// wholeLines is a split function that returns lines, and an error for a last line without a line break.
func wholeLines(data []byte, atEOF bool) (advance int, line []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		return end + 1, data[:end], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, errCutShort
	}
	return 0, nil, nil
}

// skipped reports whether a line is empty, a comment, or a reference to NIS (+ and -).
func skipped(line []byte) bool { return len(line) == 0 || bytes.IndexByte([]byte("#+-"), line[0]) >= 0 }

func noNumber(what string, text []byte) string {
	return fmt.Sprintf("the %s %q is not a number from 0 to 4294967295", what, denial.Cut(string(text), 40))
}
