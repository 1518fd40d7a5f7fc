package handoff

import (
	"fmt"
	"strings"
)

// Account is what the passwd and group files say about the user.
type Account struct {
	Name string
	// Home is the home's path in the notebook container.
	Home     string
	UID, GID int64
	// Groups are the supplementary groups.
	Groups []int64
}

// Passwd returns the content of /etc/passwd in the notebook container.
//
// The user's line precedes jovyan's, so that a user with jovyan's UID 1000 is found first. The file must have a line for
// jovyan, because docker-stacks' start.sh looks up the UID of jovyan under set -e, and exits without a message if the
// lookup fails.
func (a Account) Passwd() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `root:x:0:0:root:/root:/bin/sh
%s:x:%d:%d:%s:%s:/bin/bash
jovyan:x:1000:100:jovyan:/home/jovyan:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`, a.Name, a.UID, a.GID, a.Name, a.Home), nil
}

// Group returns the content of /etc/group in the notebook container. The user's own group has the user's name, as with
// useradd; the names of the other groups are unknown, so each is named after its number.
func (a Account) Group() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "root:x:0:\n%s:x:%d:\n", a.Name, a.GID)
	for _, gid := range a.Groups {
		if gid != a.GID {
			fmt.Fprintf(&b, "gid%d:x:%d:%s\n", gid, gid, a.Name)
		}
	}
	b.WriteString("users:x:100:\nnogroup:x:65534:\n")
	return []byte(b.String()), nil
}

func (a Account) check() error {
	if err := checkName(a.Name); err != nil {
		return err
	}
	return checkField(a.Home)
}
