package check

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// installedAs is a cluster on which everything of a kind is as shipped, but for one change.
func installedAs(t *testing.T, what string, change func(name string, object map[string]any)) *state {
	t.Helper()
	objects, err := shipped(installedKinds[what])
	require.NoError(t, err)
	require.NotEmpty(t, objects)
	list := &unstructured.UnstructuredList{}
	for _, o := range objects {
		copied := o.DeepCopy()
		if change != nil {
			change(copied.GetName(), copied.Object)
		}
		list.Items = append(list.Items, *copied)
	}
	return &state{installed: map[string]*unstructured.UnstructuredList{what: list}, config: config.Default()}
}

func TestWhatIsShippedIsAsShipped(t *testing.T) {
	for what, kind := range installedKinds {
		if of, err := shipped(kind); err == nil && len(of) == 0 {
			continue // Nothing of the kind is shipped.
		}
		found := installedAs(t, what, nil).compare(what)
		require.Len(t, found, 1, what)
		assert.Equal(t, OK, found[0].Status)
		// An API server fills in what is not said, empty too.
		s := installedAs(t, what, func(_ string, object map[string]any) {
			spec, _ := object["spec"].(map[string]any)
			if match, is := spec["matchConstraints"].(map[string]any); is {
				match["namespaceSelector"], match["objectSelector"] = map[string]any{}, map[string]any{}
				for _, rule := range objects(match["resourceRules"]) {
					rule["scope"] = "*"
				}
			}
			for _, webhook := range objects(object["webhooks"]) {
				fill(webhook, "matchConditions", []any{})
				require.NoError(t, unstructured.SetNestedField(webhook, "eA==", "clientConfig", "caBundle"))
			}
		})
		assert.Equal(t, OK, s.compare(what)[0].Status, what)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s := &state{installed: map[string]*unstructured.UnstructuredList{policies: {}}}
	found := s.compare(policies)
	wanted, err := shipped("ValidatingAdmissionPolicy")
	require.NoError(t, err)
	require.Len(t, found, len(wanted))
	assert.Equal(t, Failed, found[0].Status)
	assert.Equal(t, "is not there: helm upgrade, or kubectl apply -f deploy/install.yaml", found[0].Message)
}

// TestNothingWeakensUnseen: what somebody would change who wants to be another, each at one object.
func TestNothingWeakensUnseen(t *testing.T) {
	for name, of := range map[string]struct {
		what, object string
		path         []string
		to           any
		says         string
	}{
		"fails open":              {policies, "access.jupyter-user.io", []string{"spec", "failurePolicy"}, "Ignore", "spec.failurePolicy is another"},
		"no rule":                 {policies, "access.jupyter-user.io", []string{"spec", "validations"}, []any{}, "spec.validations is missing"},
		"a field of the future":   {policies, "access.jupyter-user.io", []string{"spec", "sparesAdmins"}, true, "spec.sparesAdmins was added"},
		"a namespace left out":    {policies, "access.jupyter-user.io", []string{"spec", "matchConstraints", "namespaceSelector"}, map[string]any{"matchLabels": map[string]any{"a": "b"}}, `namespaceSelector was added: {"matchLabels":{"a":"b"}}`},
		"a rule that is excluded": {policies, "access.jupyter-user.io", []string{"spec", "matchConstraints", "excludeResourceRules"}, []any{map[string]any{"resources": []any{"pods"}}}, "excludeResourceRules was added"},
		"a binding by labels": {bindings, "share.jupyter-user.io", []string{"spec", "matchResources"}, map[string]any{"namespaceSelector": map[string]any{"matchExpressions": []any{
			map[string]any{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": []any{"lab"}}}}},
			`spec.matchResources was added: {"matchPolicy":"Equivalent","namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["lab"]}]}}`},
		"a binding listed and narrowed": {bindings, "share.jupyter-user.io", []string{"spec", "matchResources"}, map[string]any{"namespaceSelector": map[string]any{"matchExpressions": []any{
			map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{"lab"}}, map[string]any{"key": "a", "operator": "Exists"}}}},
			`spec.matchResources.namespaceSelector is another: {"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"In","values":["lab"]},{"key":"a","operator":"Exists"}]}`},
		"a binding of one namespace": {bindings, "share.jupyter-user.io", []string{"spec", "matchResources"}, map[string]any{"namespaceSelector": map[string]any{"matchExpressions": []any{
			map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{"lab"}}}}},
			"in effect in namespace lab alone, and the installation is for every namespace"},
		"one version only":         {policies, "access.jupyter-user.io", []string{"spec", "matchConstraints", "matchPolicy"}, "Exact", "matchPolicy is another"},
		"a binding of another":     {bindings, "access.jupyter-user.io", []string{"spec", "policyName"}, "other", "spec.policyName is another"},
		"a binding that audits":    {bindings, "access.jupyter-user.io", []string{"spec", "validationActions"}, []any{"Audit"}, "what is to be refused is only warned of, and the webhook's configuration says mode: Enforce"},
		"a binding narrowed":       {bindings, "share.jupyter-user.io", []string{"spec", "matchResources"}, map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"a": "b"}}}, "spec.matchResources was added"},
		"parameters":               {policies, "access.jupyter-user.io", []string{"spec", "paramKind"}, map[string]any{"apiVersion": "v1", "kind": "Secret"}, "spec.paramKind was added"},
		"a binding of parameters":  {bindings, "access.jupyter-user.io", []string{"spec", "paramRef"}, map[string]any{"name": "a"}, "spec.paramRef was added"},
		"a binding of other pods":  {bindings, "access.jupyter-user.io", []string{"spec", "matchResources", "objectSelector"}, map[string]any{"matchLabels": map[string]any{"a": "b"}}, "spec.matchResources.objectSelector is another"},
		"no webhook":               {mutatingWebhooks, "jupyter-user-webhook", []string{"webhooks"}, []any{}, "webhooks is missing"},
		"nothing of an object":     {policies, "access.jupyter-user.io", []string{"spec"}, map[string]any{}, "spec.matchConstraints is missing"},
		"a condition in a binding": {bindings, "share.jupyter-user.io", []string{"spec", "matchResources"}, map[string]any{"objectSelector": map[string]any{"matchLabels": map[string]any{"a": "b"}}}, "spec.matchResources was added"},
	} {
		t.Run(name, func(t *testing.T) {
			s := installedAs(t, of.what, func(name string, object map[string]any) {
				if name == of.object {
					require.NoError(t, unstructured.SetNestedField(object, of.to, of.path...))
				}
			})
			found := s.compare(of.what)
			require.NotEmpty(t, found)
			for _, f := range found {
				assert.Equal(t, Failed, f.Status)
			}
			assert.Contains(t, found[0].Message, of.says)
		})
	}
}

// TestWebhookEntries: one taken out, one added, and one that is led elsewhere.
func TestWebhookEntries(t *testing.T) {
	for says, change := range map[string]func([]any) []any{
		"webhooks has 3 elements, not 4": func(w []any) []any { return w[:3] },
		"webhooks has 5 elements, not 4": func(w []any) []any { return append(w, w[0]) },
		"webhooks[hub-pods.jupyter-user.io].clientConfig.service.namespace is another": func(w []any) []any {
			require.NoError(t, unstructured.SetNestedField(w[2].(map[string]any), "lab", "clientConfig", "service", "namespace"))
			return w
		},
		"webhooks[hub-pods.jupyter-user.io].timeoutSeconds is another": func(w []any) []any {
			w[2].(map[string]any)["timeoutSeconds"] = int64(30)
			return w
		},
	} {
		s := installedAs(t, mutatingWebhooks, func(_ string, object map[string]any) {
			object["webhooks"] = change(object["webhooks"].([]any))
		})
		found := s.compare(mutatingWebhooks)
		require.Len(t, found, 1, says)
		assert.Contains(t, found[0].Message, says)
	}
}
