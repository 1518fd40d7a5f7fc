package inject

import "strings"

// Done is what a reconciliation did with a field.
type Done string

// What can be done with a field.
const (
	Added    Done = "added"
	Replaced Done = "replaced"
	Removed  Done = "removed"
	// Kept is a value of the pod's where there would have been one of the webhook's.
	Kept Done = "kept"
	// LeftOut is a field that the webhook has for others, and not for this pod.
	LeftOut Done = "left out"
)

// Change is what was done with one field, and whose it is: for whoever asks what happened to a pod. The verifier's drift is
// read off the same notes, so that neither can say what the other does not.
type Change struct {
	// Piece that the field belongs to.
	Piece string
	Done  Done
	// Ours tells that another value is put right or refused, and not kept.
	Ours bool
	// Object has the field, in Kubernetes' notation, with notebook and init for the two containers, as in the table of
	// package webhook. It may be a list.
	Object string
	// Key of the field, or what names the element of the list.
	Key string
	// Element tells which of the two the key is.
	Element bool
	// Why it was left out.
	Why string
}

// Field is the whole place: notebook.env[HOME], spec.securityContext.fsGroup.
func (c Change) Field() string {
	switch {
	case c.Element:
		return c.Object + "[" + c.Key + "]"
	case c.Object == "":
		return c.Key
	}
	return c.Object + "." + c.Key
}

// Changes in the order of the pieces.
func (o Outcome) Changes() []Change {
	notes := o.notes()
	changes := make([]Change, len(notes))
	for i, n := range notes {
		changes[i] = o.change(n)
	}
	return changes
}

func (o Outcome) change(n note) Change {
	c := Change{Piece: n.piece, Done: n.done, Ours: n.owner == ours, Object: o.place(n.object), Key: n.key, Why: n.why}
	if element, ok := n.value.(named); ok {
		c.Key, c.Element = element.ElementName(), true
		return c
	}
	c.Element = n.object == annotations
	if n.key == "" { // a list as a whole
		at := strings.LastIndexByte(c.Object, '.')
		c.Object, c.Key = c.Object[:max(at, 0)], c.Object[at+1:]
	}
	return c
}

// place calls the two containers by what they are.
func (o Outcome) place(at pointer) string {
	const firstInit = spec + "/initContainers/0"
	for container, called := range map[pointer]pointer{o.plan.notebook: "/notebook", firstInit: "/init"} {
		if at == container || strings.HasPrefix(string(at), string(container)+"/") {
			at = called + at[len(container):]
		}
	}
	return at.field()
}

// usualNotes are about as many as a pod is given.
const usualNotes = 40

// usualEdits are as many operations as a notebook usually takes.
const usualEdits = 32

// usualFields are about as many as an object is given that the pod does not have.
const usualFields = 8

// note is what a piece has done with one field.
type note struct {
	piece string
	done  Done
	owner owner
	member
	// value is the new one, and for an element that is removed the old.
	value any
	why   string
}

func (n note) at() pointer {
	if n.key == "" {
		return n.object
	}
	return n.member.at()
}

func (c *changes) note(done Done, o owner, m member, value any) {
	c.record(note{done: done, owner: o, member: m, value: value})
}

func (c *changes) record(n note) {
	if c.notes != nil {
		n.piece = c.piece
		c.notes = append(c.notes, n)
	}
}

// keep notes a value of the pod's that stays.
func (c *changes) keep(m member) { c.note(Kept, theirs, m, nil) }

// leave notes why the pod is not given a default that others are given.
func (c *changes) leave(m member, why string) {
	c.record(note{done: LeftOut, owner: theirs, member: m, why: why})
}

// offer gives the pod a default: it keeps its own where it has one, and where there is a reason to leave it out, that is noted.
func (c *changes) offer(m member, has bool, left string, add func()) {
	switch {
	case has:
		c.keep(m)
	case left != "":
		c.leave(m, left)
	default:
		add()
	}
}

// named are the elements of lists that a person knows by a name.
type named interface{ ElementName() string }
