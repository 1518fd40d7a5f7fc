package inject

import (
	"reflect"
	"slices"

	"gomodules.xyz/jsonpatch/v2"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

type owner int

const (
	// ours means enforced: Reconcile replaces or denies a different value, and the verifier denies a Pod with such a value.
	ours owner = iota
	// thePods means defaulted: a different value is kept, and the verifier does not check the field.
	thePods
)

// Outcome is the result of a reconciliation: the operations that turn the Pod into the planned one, or denials.
type Outcome struct {
	// Operations are JSON Patch operations (RFC 6902). They are empty if the Pod is as planned, and nil if the Pod is
	// denied.
	Operations []jsonpatch.Operation
	// Denials are the denials of the plan, followed by those of the pieces; empty if the Pod can be injected.
	Denials []denial.Denial
	// Warnings are for the requester.
	Warnings []string

	// pod and plan are for Changes and Drift; changed reports whether any field changes.
	pod     *pod.Pod
	plan    *Plan
	changed bool
}

// Drift returns our fields that are not as planned, in Kubernetes' notation. The verifier denies a Pod with such a field.
// Drift does not return fields that are the Pod's.
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

// Reconcile compares a Pod with its plan, and returns the operations that make the Pod as planned, or denials.
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

// fieldChanges reconciles a second time and records the change of each field. Reconcile does not record them, because most
// callers do not need the records, which would be a fifth of the allocations of a review.
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

// changes collects the changes of all pieces. A list or object that the Pod lacks is created by one operation; the pieces add
// their values to the operation's value.
type changes struct {
	operations []jsonpatch.Operation
	created    []created
	// list is the list to which an element was last appended, and end the pointer of the next element of that list.
	list, end pod.Pointer
	// piece is the name of the piece that is being reconciled.
	piece string
	// recorded are the field changes so far; nil if changes are not recorded.
	recorded []fieldChange
	denials  []denial.Denial
	warnings []string
}

// created is a list (*[]any) or an object (*pod.Object) that an operation creates.
type created struct {
	at    pod.Pointer
	value any
}

// createdAt returns the list or object that is created at a pointer, or nil.
func (c *changes) createdAt(at pod.Pointer) any {
	for _, created := range c.created {
		if created.at == at {
			return created.value
		}
	}
	return nil
}

func (c *changes) create(at pod.Pointer, value any) {
	c.created = append(c.created, created{at, value})
	c.operation("add", at, value)
}

// member is a field of an object, or an element of a list. For a list element, object is the list. The Pod can lack the
// object.
type member struct {
	object pod.Pointer
	// exists reports whether the Pod has the object.
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

// putField sets a field to the wanted value: it adds a missing field, and replaces a different value if the field is ours.
func putField[T any](c *changes, o owner, m member, have *T, want T) {
	switch {
	case have == nil:
		c.record(Added, o, m, &want)
		c.addField(m, &want)
	case reflect.DeepEqual(have, &want): // Pointers avoid copying the values.
	case o == ours:
		c.record(Replaced, o, m, &want)
		c.operation("replace", m.at(), &want)
	default:
		c.recordKept(m)
	}
}

// putList sets a list of ours as a whole, such as a command, like putField. An empty want removes the list.
func putList[T any](c *changes, m member, have, want []T) {
	switch {
	case len(want) == 0:
		c.removeField(m, len(have) > 0)
	case len(have) == 0:
		putField(c, ours, m, nil, want)
	default:
		putField(c, ours, m, &have, want)
	}
}

// removeField removes a field of ours that the Pod has.
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

// appendTo appends an element to a list that has length elements in the Pod. If length is 0, the first call creates the list.
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

// removeAt removes the elements with these indices from a list. The indices must ascend: the last element is removed first,
// so that the indices before it stay valid.
func removeAt[T any](c *changes, list pod.Pointer, have []T, indices []int) {
	for _, i := range slices.Backward(indices) {
		c.record(Removed, ours, member{object: list, key: decimal(int64(i))}, have[i])
		c.operation("remove", list.Index(i), nil)
	}
}

// endOf returns the pointer for appending to a list. It reuses the last result for the same list, because a piece usually
// appends several elements to one list.
func (c *changes) endOf(list pod.Pointer) pod.Pointer {
	if c.list != list {
		c.list, c.end = list, list+"/-"
	}
	return c.end
}

func (c *changes) deny(d denial.Denial) {
	if len(c.denials) < maxDenials {
		c.denials = append(c.denials, d)
	}
}

func (c *changes) warn(text string) { c.warnings = append(c.warnings, text) }

func (c *changes) operation(op string, at pod.Pointer, value any) {
	c.operations = append(c.operations, jsonpatch.NewOperation(op, string(at), value))
}

// insertFirst inserts an element of ours at the beginning of a list.
func (c *changes) insertFirst(list pod.Pointer, value any) {
	c.record(Added, ours, member{object: list, key: "0"}, value)
	c.operation("add", list.Index(0), value)
}
