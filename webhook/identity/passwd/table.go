package passwd

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// table is what one pair of files says. Nothing changes it once it has been read, so that any number of admissions can look
// into it while the next one is made.
//
// It is made for 100,000 people: numbers of 32 bits, no pointer but the names', and the groups of all people in one list. A
// slice for each person would take 24 bytes before there is a group in it, and the garbage collector through all of them.
type table struct {
	index       map[string]uint32
	people      []account
	memberships []membership
}

type account struct {
	uid, gid uint32
	// last is the membership that was read last, plus one; 0 where there is none.
	last uint32
}

// membership is one person in one group. They are chained, because the members of a group stand together in the file, and not
// the groups of a member.
type membership struct {
	gid uint32
	// before is the membership of the same person that was read before, plus one; 0 at the first.
	before uint32
}

// newTable is an empty one with room for what the one before it holds and a little more. Slices and maps that grow by themselves
// leave several times their size behind, while two tables are alive.
func newTable(before *table) *table {
	room := func(n int) int { return n + n/16 }
	people := room(len(before.people))
	return &table{
		index:       make(map[string]uint32, people),
		people:      make([]account, 0, people),
		memberships: make([]membership, 0, room(len(before.memberships))),
	}
}

// anyName are the widest rules that a configuration can have. Whom they refuse no pod can name: system accounts, machines
// (host$), names with spaces. Leaving those out saves room, and keeps an account that is there twice from counting as a fault.
var anyName = config.User{AllowUpperCase: true, MaxLength: 32}

// add takes a person over, and tells whether these are the person's only numbers.
func (t *table) add(name string, uid, gid uint32) bool {
	if _, refusal := user.Parse("", name, anyName); refusal != nil {
		return true
	}
	if at, again := t.index[name]; again {
		return t.people[at].uid == uid && t.people[at].gid == gid
	}
	t.index[name] = uint32(len(t.people))
	t.people = append(t.people, account{uid: uid, gid: gid})
	return true
}

// join puts a person into a group. Members who are no people of ours are left out.
func (t *table) join(member []byte, gid uint32) {
	at, ok := t.index[string(member)]
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
	return &id
}
