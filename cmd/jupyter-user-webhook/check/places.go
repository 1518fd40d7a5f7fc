package check

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// placed are in effect by a mode and in namespaces.
var placed = []string{mutatingWebhooks, validatingWebhooks, bindings}

// A place is where the chart's values mode and onlyNamespaces come to: an entry of a webhook configuration, or a binding. What is
// installed is as it should be where all places have the namespaces that the chart was told, and the mode that the webhook's
// configuration has.
type place struct {
	// object is the one that it is in, or is: its name, and the place's own.
	object, name string
	// fields are the object's own: what is written into them is written there.
	fields map[string]any
}

// nameLabel is what every namespace has, by the API server.
const nameLabel = "kubernetes.io/metadata.name"

func places(object unstructured.Unstructured) (found []place) {
	for i, entry := range objects(object.Object["webhooks"]) {
		found = append(found, place{object.GetName(), element(entry, i), entry})
	}
	if spec, is := object.Object["spec"].(map[string]any); is && spec["policyName"] != nil {
		found = append(found, place{object.GetName(), object.GetName(), spec})
	}
	return found
}

func (p place) isBinding() bool { return p.fields["policyName"] != nil }

// mode in which it is: by whether it refuses.
func (p place) mode() config.Mode {
	refuses := p.fields["failurePolicy"] != "Ignore"
	if actions, are := p.fields["validationActions"].([]any); are {
		refuses = slices.Contains(actions, any("Deny"))
	}
	if refuses {
		return config.ModeEnforce
	}
	return config.ModeWarn
}

// does is what makes out the mode: the field's name, and its value as the chart has it in a mode.
func (p place) does(mode config.Mode) (field string, value any) {
	switch {
	case p.isBinding() && mode == config.ModeWarn:
		return "validationActions", []any{"Warn", "Audit"}
	case p.isBinding():
		return "validationActions", []any{"Deny"}
	case mode == config.ModeWarn:
		return "failurePolicy", "Ignore"
	}
	return "failurePolicy", "Fail"
}

func (p place) expressionsPath() []string {
	if p.isBinding() {
		return []string{"matchResources", "namespaceSelector", "matchExpressions"}
	}
	return []string{"namespaceSelector", "matchExpressions"}
}

func (p place) expressions() []any {
	found, _, _ := unstructured.NestedSlice(p.fields, p.expressionsPath()...)
	return found
}

// listed are the namespaces that it is in effect in, as the chart writes onlyNamespaces: first of its expressions.
func (p place) listed() (names []any) {
	if expressions := objects(p.expressions()); len(expressions) > 0 && expressions[0]["key"] == nameLabel &&
		expressions[0]["operator"] == "In" {
		names, _ = expressions[0]["values"].([]any)
	}
	return names
}

// list writes them, as the chart does: in place of what leaves namespaces out, where there is that.
func (p place) list(names []any) error {
	expressions := p.expressions()
	if has := objects(expressions); len(has) > 0 && has[0]["key"] == nameLabel {
		expressions = expressions[1:]
	}
	only := map[string]any{"key": nameLabel, "operator": "In", "values": names}
	return unstructured.SetNestedSlice(p.fields, append([]any{only}, expressions...), p.expressionsPath()...)
}

// scope is the namespaces in which something is in effect, in their order; none where it is in all.
type scope []string

func (p place) scope() scope {
	var names []string
	for _, name := range p.listed() {
		names = append(names, fmt.Sprint(name))
	}
	return scopeOf(names)
}

func scopeOf(names []string) scope {
	slices.Sort(names)
	return slices.Compact(names)
}

func (s scope) String() string { return s.as(strings.Join(s, ", ")) }

// short is for sentences that are about something else.
func (s scope) short() string { return s.as(some(s)) }

func (s scope) as(names string) string {
	switch len(s) {
	case 0:
		return "every namespace"
	case 1:
		return "namespace " + names + " alone"
	}
	return "the namespaces " + names + " alone"
}

// asPlaced is what is shipped as the chart has it by other values: where what is installed says in which namespaces it is in
// effect, and in the webhook's mode. A place of another mode is told of by itself, and taken as it is here.
func (s *state) asPlaced(want, have unstructured.Unstructured) (map[string]any, error) {
	made := want.DeepCopy()
	installed := map[string]place{}
	for _, p := range places(have) {
		installed[p.name] = p
	}
	for _, p := range places(*made) {
		is, there := installed[p.name]
		if !there {
			continue
		}
		field, value := p.does(s.mode())
		if is.mode() != s.mode() {
			value = is.fields[field]
		}
		p.fields[field] = value
		if names := is.listed(); names != nil {
			if err := p.list(names); err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return made.Object, nil
}

// mode is the one that the webhook's configuration has, and the strict one where it cannot be read.
func (s *state) mode() config.Mode {
	if s.config == nil {
		return config.ModeEnforce
	}
	return s.config.Mode
}

// placesOf are all places of a kind that are ours.
func (s *state) placesOf(what string) (found []place) {
	list := s.installed[what]
	if list == nil {
		return nil
	}
	for _, object := range list.Items {
		if ours(object) {
			found = append(found, places(object)...)
		}
	}
	return found
}

// ours tells whether an object is one that is shipped, by its name: whoever may make one of the cluster's is an admin.
func ours(object unstructured.Unstructured) bool {
	return object.GetName() == webhookName || strings.HasSuffix(object.GetName(), ".jupyter-user.io")
}

// onlyKey is where the chart writes its value onlyNamespaces, beside the other values of the policies.
const onlyKey = "onlyNamespaces"

// only is the scope that everything installed is to have.
func (s *state) only() scope { return scopeOf(s.words(onlyKey)) }
