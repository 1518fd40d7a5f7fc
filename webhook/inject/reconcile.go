package inject

import (
	"reflect"
	"slices"

	"gomodules.xyz/jsonpatch/v2"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// owner of a field: whose value counts where the pod has one already.
type owner int

const (
	// ours is enforced: another value is put right, or refused, and the verifier refuses it.
	ours owner = iota
	// theirs is defaulted: another value is kept, and the verifier does not look.
	theirs
)

// Outcome of a reconciliation: the operations that lead from the pod to the plan, or everything that stands against it.
type Outcome struct {
	// Operations of RFC 6902; empty where the pod is as planned, nil where it is refused.
	Operations []jsonpatch.Operation
	// Denials, in the order of the plan; empty where the pod can be made right.
	Denials []denial.Denial
	// Warnings for whoever created the pod.
	Warnings []string

	// pod and plan are for whoever asks what was done with which field, and changed tells that there was anything to do.
	pod     *Pod
	plan    *Plan
	changed bool
}

// Drift are the enforced fields that are not as planned, in Kubernetes' notation. A verifier refuses a pod that has any;
// what is only defaulted never drifts.
func (o Outcome) Drift() []string {
	fields := []string{}
	if !o.changed {
		return fields
	}
	for _, n := range o.notes() {
		if n.owner == ours && n.done != Kept {
			fields = append(fields, n.at().field())
		}
	}
	return fields
}

// Reconcile holds a pod against the plan for it.
func Reconcile(pod *Pod, plan *Plan) Outcome {
	c := changes{edits: make([]jsonpatch.Operation, 0, usualEdits)}
	c.collect(pod, plan)
	out := Outcome{
		Denials:  append(plan.denials, c.denials...),
		Warnings: append(plan.warnings, c.warnings...),
		pod:      pod, plan: plan, changed: len(c.edits) > 0,
	}
	if len(out.Denials) == 0 {
		out.Operations = c.edits
	}
	return out
}

// notes reconciles once more, with a note of everything. Few ask for them, and to write them down is a fifth of all that a review
// allocates.
func (o Outcome) notes() []note {
	if o.plan == nil {
		return nil
	}
	c := changes{notes: make([]note, 0, usualNotes)}
	c.collect(o.pod, o.plan)
	return c.notes
}

func (c *changes) collect(pod *Pod, plan *Plan) {
	for name, piece := range plan.pieces.inOrder {
		c.piece = name
		piece.reconcile(pod, c)
	}
}

// changes collects what the pieces want changed. A list or an object that the pod does not have is created by one
// operation with everything in it that any piece wants.
type changes struct {
	edits   []jsonpatch.Operation
	created []created
	// list that was appended to last, and its end.
	list, end pointer
	// piece that is being reconciled, and what the pieces have done so far, where that is asked for: nil where not.
	piece    string
	notes    []note
	denials  []denial.Denial
	warnings []string
}

// created is a list or an object that the pod does not have.
type created struct {
	at   pointer
	what any
}

// creating finds what is created at a place; nil where nothing is.
func (c *changes) creating(at pointer) any {
	for _, one := range c.created {
		if one.at == at {
			return one.what
		}
	}
	return nil
}

func (c *changes) create(at pointer, what any) {
	c.created = append(c.created, created{at, what})
	c.edit("add", at, what)
}

// member is a field of an object that may itself be missing.
type member struct {
	object pointer
	// exists tells whether the pod has the object.
	exists bool
	key    string
}

func (m member) at() pointer {
	if m.object == annotations {
		if at, ok := ourAnnotations[m.key]; ok {
			return at
		}
	}
	return m.object.child(m.key)
}

// put makes a field what is wanted: added where it is missing, and put right where it is another and ours.
func put[T any](c *changes, o owner, m member, have *T, want T) {
	switch {
	case have == nil:
		c.note(Added, o, m, &want)
		c.add(m, &want)
	case reflect.DeepEqual(have, &want): // As pointers, neither is copied for it.
	case o == ours:
		c.note(Replaced, o, m, &want)
		c.edit("replace", m.at(), &want)
	default:
		c.keep(m)
	}
}

// putList is put for a list that is one value, such as a command.
func putList[T any](c *changes, o owner, m member, have, want []T) {
	switch {
	case len(want) == 0:
		c.drop(m, len(have) > 0)
	case len(have) == 0:
		put(c, o, m, nil, want)
	default:
		put(c, o, m, &have, want)
	}
}

// drop takes a field of ours away where the pod has it.
func (c *changes) drop(m member, has bool) {
	if has {
		c.note(Removed, ours, m, nil)
		c.edit("remove", m.at(), nil)
	}
}

func (c *changes) add(m member, value any) {
	if m.exists {
		c.edit("add", m.at(), value)
		return
	}
	fields, ok := c.creating(m.object).(*object)
	if !ok {
		fields = new(make(object, 0, usualFields))
		c.create(m.object, fields)
	}
	*fields = append(*fields, field{m.key, value})
}

// appendTo puts an element behind a list that has so many elements already.
func (c *changes) appendTo(o owner, list pointer, length int, value any) {
	c.note(Added, o, member{object: list}, value)
	if length > 0 {
		c.edit("add", c.behind(list), value)
		return
	}
	elements, ok := c.creating(list).(*[]any)
	if !ok {
		elements = &[]any{}
		c.create(list, elements)
	}
	*elements = append(*elements, value)
}

// removeAt takes elements out of a list, from behind, so that no index moves before its turn.
func removeAt[T any](c *changes, list pointer, have []T, indices []int) {
	for _, i := range slices.Backward(indices) {
		c.note(Removed, ours, member{object: list, key: decimal(int64(i))}, have[i])
		c.edit("remove", list.index(i), nil)
	}
}

// behind a list is where its next element goes. Elements come list by list.
func (c *changes) behind(list pointer) pointer {
	if c.list != list {
		c.list, c.end = list, list+"/-"
	}
	return c.end
}

func (c *changes) deny(a denial.Denial) {
	if len(c.denials) < mostDenials {
		c.denials = append(c.denials, a)
	}
}

func (c *changes) warn(text string) { c.warnings = append(c.warnings, text) }

func (c *changes) edit(op string, at pointer, value any) {
	c.edits = append(c.edits, jsonpatch.NewOperation(op, string(at), value))
}

// insertFirst puts an element of ours in front of a list that has some already.
func (c *changes) insertFirst(list pointer, value any) {
	c.note(Added, ours, member{object: list, key: "0"}, value)
	c.edit("add", list.index(0), value)
}
