package inject

import (
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Action is what Reconcile does with one field.
type Action string

// The actions.
const (
	Added    Action = "added"
	Replaced Action = "replaced"
	Removed  Action = "removed"
	// Kept means that the Pod's own value stays.
	Kept Action = "kept"
	// LeftOut means that the webhook does not add a default to this Pod.
	LeftOut Action = "left out"
)

// Change is what Reconcile does with one field, for the command inject --explain. Outcome.Drift uses the same records
// (fieldChange), so that explanation and verification agree.
type Change struct {
	// Piece is the name of the injected piece that has the field (plan.go).
	Piece  string
	Action Action
	// Ours reports whether the field is ours: the verifier denies a Pod in which the field is not as planned.
	Ours bool
	// Object is the object or list that has the field, in Kubernetes' notation. As in the table of package webhook, the
	// notebook container is written as notebook and the init container as init.
	Object string
	// Key is the key of the field, or the name of the list element.
	Key string
	// Element reports whether Key names a list element or an annotation, so that Field writes it in brackets.
	Element bool
	// Why is the reason for the action LeftOut; empty for other actions.
	Why string
}

// Field returns the full path of the field, such as notebook.env[HOME] or spec.securityContext.fsGroup.
func (c Change) Field() string {
	switch {
	case c.Element:
		return c.Object + "[" + c.Key + "]"
	case c.Object == "":
		return c.Key
	}
	return c.Object + "." + c.Key
}

// Changes returns the changes in the order of the pieces.
func (o Outcome) Changes() []Change {
	recorded := o.fieldChanges()
	changes := make([]Change, len(recorded))
	for i, n := range recorded {
		changes[i] = o.change(n)
	}
	return changes
}

func (o Outcome) change(n fieldChange) Change {
	c := Change{Piece: n.piece, Action: n.action, Ours: n.owner == ours, Object: o.objectName(n.object), Key: n.key, Why: n.why}
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

// objectName returns the field at a pointer in Kubernetes' notation. The notebook container is written as notebook, and our
// init container, if the Pod has it already, as init.
func (o Outcome) objectName(at pod.Pointer) string {
	names := map[pod.Pointer]pod.Pointer{o.plan.notebookPath: "/notebook"}
	if inits := o.pod.Spec.InitContainers; len(inits) > 0 && inits[0].Name == handoff.Container {
		names[pod.InitContainersPath.Index(0)] = "/init"
	}
	for container, name := range names {
		if at == container || strings.HasPrefix(string(at), string(container)+"/") {
			at = name + at[len(container):]
		}
	}
	return at.Field()
}

// Initial capacities for the field changes and operations of a usual Pod, and for the fields of an added object.
const (
	typicalChanges    = 40
	typicalOperations = 32
	typicalFields     = 8
)

// fieldChange is the record of what a piece does with one field.
type fieldChange struct {
	piece  string
	action Action
	owner  owner
	member
	// value is the new value; for a removed element, the old one.
	value any
	why   string
}

func (n fieldChange) at() pod.Pointer {
	if n.key == "" {
		return n.object
	}
	return n.member.at()
}

func (c *changes) record(action Action, o owner, m member, value any) {
	c.recordChange(fieldChange{action: action, owner: o, member: m, value: value})
}

func (c *changes) recordChange(n fieldChange) {
	if c.recorded != nil {
		n.piece = c.piece
		c.recorded = append(c.recorded, n)
	}
}

// recordKept records that the Pod's own value of a field stays.
func (c *changes) recordKept(m member) { c.record(Kept, thePods, m, nil) }

// recordLeftOut records why a default is not added to this Pod.
func (c *changes) recordLeftOut(m member, why string) {
	c.recordChange(fieldChange{action: LeftOut, owner: thePods, member: m, why: why})
}

// putDefault adds a default by calling add. It does not call add if the Pod has a value of its own (has), or if leftOut is
// a reason not to add the default.
func (c *changes) putDefault(m member, has bool, leftOut string, add func()) {
	switch {
	case has:
		c.recordKept(m)
	case leftOut != "":
		c.recordLeftOut(m, leftOut)
	default:
		add()
	}
}

type named interface{ ElementName() string }
