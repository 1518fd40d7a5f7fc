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

// mode in which it is: by whether it denies.
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

// scope is the namespaces in which something is in effect, in their order; none where it is in all.
type scope []string

// scope is read as the chart writes onlyNamespaces: first of the expressions of the namespaceSelector.
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
	name := object.GetName()
	return name == mutatingName || name == webhookName || strings.HasSuffix(name, ".jupyter-user.io")
}

// onlyKey is where the chart writes its value onlyNamespaces, beside the other values of the policies.
const onlyKey = "onlyNamespaces"

// only is the scope that everything installed is to have.
func (s *state) only() scope { return scopeOf(s.words(onlyKey)) }
