package check

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// scopedKinds are the kinds of objects with a mode and a scope of namespaces.
var scopedKinds = []string{mutatingWebhooks, validatingWebhooks, bindings}

// scopedEntry is an object, or a part of an object, with a mode and a scope of namespaces: an entry of a
// MutatingWebhookConfiguration or a ValidatingWebhookConfiguration, or the binding of a policy. A scopedEntry must have
// the mode of the webhook's configuration and the namespaces of the chart's value onlyNamespaces.
type scopedEntry struct {
	// object is the name of the object that contains the entry, and name the name of the entry.
	object, name string
	// fields are the fields of the webhook entry, or the spec of the binding.
	fields map[string]any
}

// nameLabel is the label that the API server gives to every namespace.
const nameLabel = "kubernetes.io/metadata.name"

func entriesOf(object unstructured.Unstructured) (found []scopedEntry) {
	for i, entry := range objects(object.Object["webhooks"]) {
		found = append(found, scopedEntry{object.GetName(), element(entry, i), entry})
	}
	if spec, is := object.Object["spec"].(map[string]any); is && spec["policyName"] != nil {
		found = append(found, scopedEntry{object.GetName(), object.GetName(), spec})
	}
	return found
}

// mode returns Enforce if the entry denies Pods, else Warn. In a webhook entry the failurePolicy decides that, and in a
// binding the validationActions.
func (e scopedEntry) mode() config.Mode {
	denies := e.fields["failurePolicy"] != "Ignore"
	if actions, are := e.fields["validationActions"].([]any); are {
		denies = slices.Contains(actions, any("Deny"))
	}
	if denies {
		return config.ModeEnforce
	}
	return config.ModeWarn
}

// scope is the sorted list of the namespaces in which an entry is in effect; empty for all namespaces.
type scope []string

// scope returns the namespaces that the first expression of the namespaceSelector lists, where the chart writes
// onlyNamespaces. If that expression is missing or is not such a list, scope returns an empty list.
func (e scopedEntry) scope() scope {
	fields := e.fields
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

func (s scope) String() string { return s.describe(strings.Join(s, ", ")) }

// short returns a text with the first few namespaces.
func (s scope) short() string { return s.describe(firstFew(s)) }

func (s scope) describe(names string) string {
	switch len(s) {
	case 0:
		return "every namespace"
	case 1:
		return "namespace " + names + " alone"
	}
	return "the namespaces " + names + " alone"
}

// mode returns the mode of the webhook's configuration. It returns Enforce, the default, if the configuration could not be
// read.
func (s *state) mode() config.Mode {
	if s.config == nil {
		return config.ModeEnforce
	}
	return s.config.Mode
}

// scopedEntries returns the entries of the objects of one kind that the chart has installed.
func (s *state) scopedEntries(what string) (found []scopedEntry) {
	list := s.installed[what]
	if list == nil {
		return nil
	}
	for _, object := range list.Items {
		if isOurs(object) {
			found = append(found, entriesOf(object)...)
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

const onlyKey = "onlyNamespaces"

// wantedScope returns the namespaces of onlyNamespaces, in which each scopedEntry must be in effect.
func (s *state) wantedScope() scope { return scopeOf(s.words(onlyKey)) }
