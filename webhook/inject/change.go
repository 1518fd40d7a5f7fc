package inject

import (
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Action is what a reconciliation did with a field.
type Action string

// What can be done with a field.
const (
	Added    Action = "added"
	Replaced Action = "replaced"
	Removed  Action = "removed"
	// Kept is a value of the pod's where there would have been one of the webhook's.
	Kept Action = "kept"
	// LeftOut is a field that the webhook has for others, and not for this pod.
	LeftOut Action = "left out"
)

// Change is what was done with one field, and whose it is: for whoever asks what happened to a pod. The verifier's drift is
// read off the same notes, so that neither can say what the other does not.
type Change struct {
	// Piece that the field belongs to.
	Piece  string
	Action Action
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
	notes := o.fieldChanges()
	changes := make([]Change, len(notes))
	for i, n := range notes {
		changes[i] = o.change(n)
	}
	return changes
}

func (o Outcome) change(n fieldChange) Change {
	c := Change{Piece: n.piece, Action: n.action, Ours: n.owner == ours, Object: o.place(n.object), Key: n.key, Why: n.why}
	if element, ok := n.value.(named); ok {
		c.Key, c.Element = element.ElementName(), true
		return c
	}
	c.Element = n.object == pod.AnnotationsPath
	if n.key == "" { // a list as a whole
		at := strings.LastIndexByte(c.Object, '.')
		c.Object, c.Key = c.Object[:max(at, 0)], c.Object[at+1:]
	}
	return c
}

// place calls the two containers by what they are.
func (o Outcome) place(at pod.Pointer) string {
	const firstInit = pod.SpecPath + "/initContainers/0"
	for container, called := range map[pod.Pointer]pod.Pointer{o.plan.notebookPath: "/notebook", firstInit: "/init"} {
		if at == container || strings.HasPrefix(string(at), string(container)+"/") {
			at = called + at[len(container):]
		}
	}
	return at.Field()
}

// typicalChanges are about as many as a pod is given.
const typicalChanges = 40

// typicalOperations are as many operations as a notebook usually takes.
const typicalOperations = 32

// typicalFields are about as many as an object is given that the pod does not have.
const typicalFields = 8

// fieldChange is what a piece has done with one field.
type fieldChange struct {
	piece  string
	action Action
	owner  owner
	member
	// value is the new one, and for an element that is removed the old.
	value any
	why   string
}

func (n fieldChange) at() pod.Pointer {
	if n.key == "" {
		return n.object
	}
	return n.member.at()
}

func (c *changes) record(done Action, o owner, m member, value any) {
	c.recordChange(fieldChange{action: done, owner: o, member: m, value: value})
}

func (c *changes) recordChange(n fieldChange) {
	if c.recorded != nil {
		n.piece = c.piece
		c.recorded = append(c.recorded, n)
	}
}

// recordKept notes a value of the pod's that stays.
func (c *changes) recordKept(m member) { c.record(Kept, thePods, m, nil) }

// recordLeftOut notes why the pod is not given a default that others are given.
func (c *changes) recordLeftOut(m member, why string) {
	c.recordChange(fieldChange{action: LeftOut, owner: thePods, member: m, why: why})
}

// offerDefault gives the pod a default: it keeps its own where it has one, and where there is a reason to leave it out, that is
// noted.
func (c *changes) offerDefault(m member, has bool, left string, add func()) {
	switch {
	case has:
		c.recordKept(m)
	case left != "":
		c.recordLeftOut(m, left)
	default:
		add()
	}
}

// named are the elements of lists that a person knows by a name.
type named interface{ ElementName() string }
