package inject

import (
	"reflect"
	"slices"

	"gomodules.xyz/jsonpatch/v2"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// owner of a field: whose value counts where the pod has one already.
type owner int

const (
	// ours is enforced: another value is put right, or refused, and the verifier refuses it.
	ours owner = iota
	// thePods is defaulted: another value is kept, and the verifier does not look.
	thePods
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
	pod     *pod.Pod
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
	for _, n := range o.fieldChanges() {
		if n.owner == ours && n.action != Kept {
			fields = append(fields, n.at().Field())
		}
	}
	return fields
}

// Reconcile holds a pod against the plan for it.
func Reconcile(pod *pod.Pod, plan *Plan) Outcome {
	c := changes{operations: make([]jsonpatch.Operation, 0, typicalOperations)}
	c.collect(pod, plan)
	out := Outcome{
		Denials:  slices.Concat(plan.denials, c.denials),
		Warnings: slices.Concat(plan.warnings, c.warnings),
		pod:      pod, plan: plan, changed: len(c.operations) > 0,
	}
	if len(out.Denials) == 0 {
		out.Operations = c.operations
	}
	return out
}

// fieldChanges reconciles once more, with a note of everything. Few ask for them, and to write them down is a fifth of all that a
// review allocates.
func (o Outcome) fieldChanges() []fieldChange {
	if o.plan == nil {
		return nil
	}
	c := changes{recorded: make([]fieldChange, 0, typicalChanges)}
	c.collect(o.pod, o.plan)
	return c.recorded
}

func (c *changes) collect(pod *pod.Pod, plan *Plan) {
	for name, piece := range plan.pieces.inOrder {
		c.piece = name
		piece.reconcile(pod, c)
	}
}

// changes collects what the pieces want changed. A list or an object that the pod does not have is created by one
// operation with everything in it that any piece wants.
type changes struct {
	operations []jsonpatch.Operation
	created    []created
	// list that was appended to last, and its end.
	list, end pod.Pointer
	// piece that is being reconciled, and what the pieces have done so far, where that is asked for: nil where not.
	piece    string
	recorded []fieldChange
	denials  []denial.Denial
	warnings []string
}

// created is a list or an object that the pod does not have.
type created struct {
	at   pod.Pointer
	what any
}

// createdAt finds what is created at a place; nil where nothing is.
func (c *changes) createdAt(at pod.Pointer) any {
	for _, one := range c.created {
		if one.at == at {
			return one.what
		}
	}
	return nil
}

func (c *changes) create(at pod.Pointer, what any) {
	c.created = append(c.created, created{at, what})
	c.operation("add", at, what)
}

// member is a field of an object that may itself be missing.
type member struct {
	object pod.Pointer
	// exists tells whether the pod has the object.
	exists bool
	key    string
}

func (m member) at() pod.Pointer {
	if m.object == pod.AnnotationsPath {
		if at, ok := annotationPaths[m.key]; ok {
			return at
		}
	}
	return m.object.Child(m.key)
}

// putField makes a field what is wanted: added where it is missing, and put right where it is another and ours.
func putField[T any](c *changes, o owner, m member, have *T, want T) {
	switch {
	case have == nil:
		c.record(Added, o, m, &want)
		c.addField(m, &want)
	case reflect.DeepEqual(have, &want): // As pointers, neither is copied for it.
	case o == ours:
		c.record(Replaced, o, m, &want)
		c.operation("replace", m.at(), &want)
	default:
		c.recordKept(m)
	}
}

// putList is put for a list that is one value, such as a command.
func putList[T any](c *changes, o owner, m member, have, want []T) {
	switch {
	case len(want) == 0:
		c.removeField(m, len(have) > 0)
	case len(have) == 0:
		putField(c, o, m, nil, want)
	default:
		putField(c, o, m, &have, want)
	}
}

// removeField takes a field of ours away where the pod has it.
func (c *changes) removeField(m member, has bool) {
	if has {
		c.record(Removed, ours, m, nil)
		c.operation("remove", m.at(), nil)
	}
}

func (c *changes) addField(m member, value any) {
	if m.exists {
		c.operation("add", m.at(), value)
		return
	}
	fields, ok := c.createdAt(m.object).(*pod.Object)
	if !ok {
		fields = new(make(pod.Object, 0, typicalFields))
		c.create(m.object, fields)
	}
	*fields = append(*fields, pod.Field{Key: m.key, Value: value})
}

// appendTo puts an element behind a list that has so many elements already.
func (c *changes) appendTo(o owner, list pod.Pointer, length int, value any) {
	c.record(Added, o, member{object: list}, value)
	if length > 0 {
		c.operation("add", c.endOf(list), value)
		return
	}
	elements, ok := c.createdAt(list).(*[]any)
	if !ok {
		elements = &[]any{}
		c.create(list, elements)
	}
	*elements = append(*elements, value)
}

// removeAt takes elements out of a list, from behind, so that no index moves before its turn.
func removeAt[T any](c *changes, list pod.Pointer, have []T, indices []int) {
	for _, i := range slices.Backward(indices) {
		c.record(Removed, ours, member{object: list, key: decimal(int64(i))}, have[i])
		c.operation("remove", list.Index(i), nil)
	}
}

// endOf a list is where its next element goes. Elements come list by list.
func (c *changes) endOf(list pod.Pointer) pod.Pointer {
	if c.list != list {
		c.list, c.end = list, list+"/-"
	}
	return c.end
}

func (c *changes) deny(a denial.Denial) {
	if len(c.denials) < maxDenials {
		c.denials = append(c.denials, a)
	}
}

func (c *changes) warn(text string) { c.warnings = append(c.warnings, text) }

func (c *changes) operation(op string, at pod.Pointer, value any) {
	c.operations = append(c.operations, jsonpatch.NewOperation(op, string(at), value))
}

// insertFirst puts an element of ours in front of a list that has some already.
func (c *changes) insertFirst(list pod.Pointer, value any) {
	c.record(Added, ours, member{object: list, key: "0"}, value)
	c.operation("add", list.Index(0), value)
}
