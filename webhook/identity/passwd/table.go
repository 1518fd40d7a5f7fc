package passwd

import (
	"bytes"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// table is what one pair of files says. Nothing changes it once it has been read, so that any number of admissions can look
// into it while the next one is made.
//
// It is made for 100,000 users: numbers of 32 bits, no pointer but the names', and the groups and homes of all users in one list
// each. A slice for each user would take 24 bytes before there is a group in it, and the garbage collector through all of them.
type table struct {
	index       map[string]uint32
	people      []account
	memberships []membership
	// homes are the home fields of all people, one behind the other; nil where they are not asked for.
	homes []byte
	// withHomes has home fields kept.
	withHomes bool
	// rules are those of the names: which can a Pod have, and which domain is taken off.
	rules config.User
	// bad are the lines that were left out, of each file that was read.
	bad []badLines
}

type account struct {
	uid, gid uint32
	// last is the membership that was read last, plus one; 0 where there is none.
	last uint32
	// homeEnd is where the home field ends in homes, and that of the next account begins.
	homeEnd uint32
}

// membership is one user in one group. They are chained, because the members of a group stand together in the file, and not
// the groups of a member.
type membership struct {
	gid uint32
	// before is the membership of the same user that was read before, plus one; 0 at the first.
	before uint32
}

// newTable is an empty one with room for what the one before it holds and a little more. Slices and maps that grow by themselves
// leave several times their size behind, while two tables are alive.
func newTable(before *table, f files) *table {
	room := func(n int) int { return n + n/16 }
	people := room(len(before.people))
	return &table{
		index:       make(map[string]uint32, people),
		people:      make([]account, 0, people),
		memberships: make([]membership, 0, room(len(before.memberships))),
		homes:       make([]byte, 0, room(len(before.homes))),
		withHomes:   f.homes,
		rules:       widest(f.rules),
	}
}

// widest returns the rules for names in files: those of the configuration, but that upper case, length and reserved names are for
// the Pod's name to meet. Whom they deny no Pod can name: system accounts, machines (host$), names with spaces, users of
// another domain. Leaving those out saves room.
func widest(rules config.User) config.User {
	rules.AllowUpperCase, rules.MaxLength, rules.Reserved = true, 32, nil
	return rules
}

// add takes a user over. The first line of a name counts, as in NSS: getent prints local accounts before those of a directory
// service, and a name may be in both.
func (t *table) add(text string, uid, gid uint32, home []byte) {
	name, refusal := user.Parse("", text, t.rules)
	if refusal != nil {
		return
	}
	if _, again := t.index[name.String()]; again {
		return
	}
	t.index[name.String()] = uint32(len(t.people))
	if t.withHomes {
		t.homes = append(t.homes, home...)
	}
	t.people = append(t.people, account{uid: uid, gid: gid, homeEnd: uint32(len(t.homes))})
}

// join puts a user into a group. Members who are no users of ours are left out.
func (t *table) join(member []byte, gid uint32) {
	at, ok := t.index[string(member)]
	if !ok && bytes.IndexByte(member, '@') > 0 {
		// With the domain that is taken off, as SSSD writes members where it uses fully qualified names.
		if name, refusal := user.Parse("", string(member), t.rules); refusal == nil {
			at, ok = t.index[name.String()]
		}
	}
	if !ok {
		return
	}
	p := &t.people[at]
	if p.last > 0 && t.memberships[p.last-1].gid == gid {
		return // listed twice
	}
	t.memberships = append(t.memberships, membership{gid: gid, before: p.last})
	p.last = uint32(len(t.memberships))
}

// find answers nil for who is not there.
func (t *table) find(name string) *identity.Identity {
	at, ok := t.index[name]
	if !ok {
		return nil
	}
	p := t.people[at]
	var groups []int64
	for m := p.last; m > 0; m = t.memberships[m-1].before {
		groups = append(groups, int64(t.memberships[m-1].gid))
	}
	id := identity.New(int64(p.uid), int64(p.gid), groups)
	begin := uint32(0)
	if at > 0 {
		begin = t.people[at-1].homeEnd
	}
	id.Home = string(t.homes[begin:p.homeEnd])
	return &id
}
