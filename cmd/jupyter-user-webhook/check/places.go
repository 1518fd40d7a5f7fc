package check

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// placed are the kinds with a mode and a scope of namespaces.
var placed = []string{mutatingWebhooks, validatingWebhooks, bindings}

// A place is where the chart's values mode and onlyNamespaces have an effect: an entry of a webhook configuration, or a
// binding. All places must have the namespaces of the chart's values, and the mode of the webhook's configuration.
type place struct {
	// object is the name of the object, and name that of the place in it.
	object, name string
	// fields are the fields of the object itself, not a copy.
	fields map[string]any
}

// nameLabel is the label that the API server gives to every namespace.
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

// mode returns Enforce if the place denies, else Warn.
func (p place) mode() config.Mode {
	denies := p.fields["failurePolicy"] != "Ignore"
	if actions, are := p.fields["validationActions"].([]any); are {
		denies = slices.Contains(actions, any("Deny"))
	}
	if denies {
		return config.ModeEnforce
	}
	return config.ModeWarn
}

// scope is the sorted namespaces in which something is in effect; empty for all.
type scope []string

// scope returns the namespaces as the chart writes onlyNamespaces: in the first expression of the namespaceSelector.
func (p place) scope() scope {
	fields := p.fields
	if match, is := fields["matchResources"].(map[string]any); is {
		fields = match
	}
	found, _, _ := unstructured.NestedSlice(fields, "namespaceSelector", "matchExpressions")
	var names []string
	first := append(objects(found), map[string]any{})[0]
	if first["key"] == nameLabel && first["operator"] == "In" {
		values, _ := first["values"].([]any)
		for _, name := range values {
			names = append(names, fmt.Sprint(name))
		}
	}
	return scopeOf(names)
}

func scopeOf(names []string) scope {
	slices.Sort(names)
	return slices.Compact(names)
}

func (s scope) String() string { return s.as(strings.Join(s, ", ")) }

// short returns a short text for sentences about another subject.
func (s scope) short() string { return s.as(firstFew(s)) }

func (s scope) as(names string) string {
	switch len(s) {
	case 0:
		return "every namespace"
	case 1:
		return "namespace " + names + " alone"
	}
	return "the namespaces " + names + " alone"
}

// mode returns the mode of the webhook's configuration; Enforce if it is unreadable.
func (s *state) mode() config.Mode {
	if s.config == nil {
		return config.ModeEnforce
	}
	return s.config.Mode
}

// placesOf returns all our places of a kind.
func (s *state) placesOf(what string) (found []place) {
	list := s.installed[what]
	if list == nil {
		return nil
	}
	for _, object := range list.Items {
		if isOurs(object) {
			found = append(found, places(object)...)
		}
	}
	return found
}

// isOurs reports whether an object belongs to the chart, by its name. The name is enough, because only admins can create
// cluster-scoped objects.
func isOurs(object unstructured.Unstructured) bool {
	name := object.GetName()
	return name == mutatingName || name == webhookName || strings.HasSuffix(name, ".jupyter-user.io")
}

// onlyKey is the key of the chart's value onlyNamespaces among the values of the policies.
const onlyKey = "onlyNamespaces"

// wantedScope returns the namespaces in which all installed objects must be in effect.
func (s *state) wantedScope() scope { return scopeOf(s.words(onlyKey)) }
