package check

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// rendered returns the manifest of the chart with the default values.
func rendered(t *testing.T) *Manifest {
	t.Helper()
	m, err := ReadManifest(strings.NewReader(string(deploy.Install())))
	require.NoError(t, err)
	return m
}

// shippedValues returns the values that the policies of the chart's manifest are rendered from.
func shippedValues(t *testing.T) map[string]string {
	t.Helper()
	text, err := deploy.Read("20-configmap.yaml")
	require.NoError(t, err)
	var m corev1.ConfigMap
	require.NoError(t, yaml.Unmarshal([]byte(text), &m))
	values, err := valuesOf(m.Data["policies.json"])
	require.NoError(t, err)
	return values
}

// installedAs returns a cluster with the rendered objects of one kind, each after the function "change" has changed it; nil
// changes nothing. The cluster's API server adds no defaults.
func installedAs(t *testing.T, what string, change func(name string, object map[string]any)) *state {
	t.Helper()
	m := rendered(t)
	list := &unstructured.UnstructuredList{}
	for _, o := range m.ofKind(installedKinds[what]) {
		copied := o.DeepCopy()
		if change != nil {
			change(copied.GetName(), copied.Object)
		}
		list.Items = append(list.Items, *copied)
	}
	require.NotEmpty(t, list.Items)
	return &state{Options: Options{Manifest: m}, installed: map[string]*unstructured.UnstructuredList{what: list}, config: config.Default(),
		dryRun: func(context.Context, *unstructured.Unstructured) error { return nil }}
}

func TestCompareRenderedObjects(t *testing.T) {
	for what, kind := range installedKinds {
		s := installedAs(t, what, func(_ string, object map[string]any) {
			for _, webhook := range objects(object["webhooks"]) {
				require.NoError(t, unstructured.SetNestedField(webhook, "eA==", "clientConfig", "caBundle"))
			}
			object["status"] = map[string]any{"observedGeneration": int64(1)}
			require.NoError(t, unstructured.SetNestedField(object, "Helm", "metadata", "labels", "app.kubernetes.io/managed-by"))
		})
		s.dryRun = func(context.Context, *unstructured.Unstructured) error {
			assert.Fail(t, "no dry run for an object that does not differ")
			return nil
		}
		found := s.compare(t.Context(), what)
		require.Len(t, found, 1, what)
		assert.Equal(t, OK, found[0].Status, found[0])
		assert.Contains(t, found[0].Message, "as in the manifest given with -f: ")
		assert.Contains(t, found[0].Message, strings.TrimSuffix(kind, "y"))
	}
}

func TestCompareMissingObjects(t *testing.T) {
	s := installedAs(t, policies, nil)
	s.installed[policies].Items = s.installed[policies].Items[:0]
	found := s.compare(t.Context(), policies)
	require.Len(t, found, len(s.Manifest.ofKind("ValidatingAdmissionPolicy")))
	assert.Equal(t, Failed, found[0].Status)
	assert.Equal(t, "is missing: helm upgrade, or kubectl apply -f deploy/install.yaml", found[0].Message)
}

// TestCompareLeftoverObject tests a policy that the installed release does not have. Such a policy can deny what the
// release allows.
func TestCompareLeftoverObject(t *testing.T) {
	s := installedAs(t, policies, nil)
	for _, name := range []string{"injected.jupyter-user.io", "others.example.com"} {
		var other unstructured.Unstructured
		other.SetName(name)
		s.installed[policies].Items = append(s.installed[policies].Items, other)
	}
	assertOneFinding(t, s.compare(t.Context(), policies), Warning, "ValidatingAdmissionPolicy injected.jupyter-user.io: is not part of the manifest given with -f")
}

// TestCompareServerDefaults tests that a field that the API server fills in is no difference. A caller without the right to
// a dry run gets a hint.
func TestCompareServerDefaults(t *testing.T) {
	fills := func(_ string, object map[string]any) {
		require.NoError(t, unstructured.SetNestedField(object, "Everything", "spec", "ofTheFuture"))
	}
	s := installedAs(t, policies, fills)
	s.dryRun = func(_ context.Context, object *unstructured.Unstructured) error {
		fills("", object.Object)
		return nil
	}
	assertOneFinding(t, s.compare(t.Context(), policies), OK, "")
	s.dryRun = func(context.Context, *unstructured.Unstructured) error {
		return apierrors.NewForbidden(schema.GroupResource{}, "", nil)
	}
	found := s.compare(t.Context(), policies)
	assert.Equal(t, Failed, found[0].Status)
	assert.Contains(t, found[0].Message, `spec.ofTheFuture was added: "Everything" (without the right to update it in a dry run, this check cannot `+
		"tell which fields the API server added itself)")
	s.dryRun = func(context.Context, *unstructured.Unstructured) error { return errors.New("it hangs") }
	found = s.compare(t.Context(), policies)
	assert.Equal(t, Unknown, found[0].Status)
	assert.Contains(t, found[0].Message, "it hangs")
}

// TestCompareRenderedAnnotation tests that jupyter-user.io/rendered distinguishes a change by hand from an object of
// another release.
func TestCompareRenderedAnnotation(t *testing.T) {
	changed := func(_ string, object map[string]any) {
		require.NoError(t, unstructured.SetNestedField(object, "Ignore", "spec", "failurePolicy"))
	}
	found := installedAs(t, policies, changed).compare(t.Context(), policies)
	assert.Contains(t, found[0].Message, `was changed by hand, not as in the manifest given with -f: spec.failurePolicy is "Ignore", not "Fail": `)
	found = installedAs(t, policies, func(name string, object map[string]any) {
		changed(name, object)
		require.NoError(t, unstructured.SetNestedField(object, "v0.9.0-abc", "metadata", "annotations", "jupyter-user.io/rendered"))
	}).compare(t.Context(), policies)
	assert.Contains(t, found[0].Message, `is of another release or other values ("v0.9.0-abc", not "v0.2.0-`)
}

// TestDifferencesOfLongTexts tests that the text for two long strings shows the parts that begin at the first difference.
func TestDifferencesOfLongTexts(t *testing.T) {
	long := strings.Repeat("x", 200)
	assert.Equal(t, []string{`at differs: "|| true" in place of "&& a < b"`}, differences("at", long+" && a < b", long+" || true"))
}

// TestReadManifest tests that a manifest without one of the compared kinds is an error. Otherwise the check would not
// notice missing objects.
func TestReadManifest(t *testing.T) {
	all := string(deploy.Install())
	for says, text := range map[string]string{
		"the manifest has no MutatingWebhookConfiguration: give all of it": "",
		"the manifest has no ValidatingAdmissionPolicyBinding:":            strings.ReplaceAll(all, "kind: ValidatingAdmissionPolicyBinding", "kind: Other"),
		"the manifest has no ValidatingWebhookConfiguration:": strings.ReplaceAll(all,
			"admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration", "example.com/v1\nkind: ValidatingWebhookConfiguration"),
		"read the manifest: ": "a: [",
		"'Kind' is missing":   "a: b",
	} {
		_, err := ReadManifest(strings.NewReader(text))
		assert.ErrorContains(t, err, says)
	}
	m, err := ReadManifest(strings.NewReader("---\n# nothing\n---\n" + all + "\n---\n"))
	require.NoError(t, err)
	assert.Len(t, m.ofKind("ValidatingAdmissionPolicyBinding"), 15)
}

func TestReadRelease(t *testing.T) {
	record := func(text string) []byte {
		var compressed bytes.Buffer
		w := gzip.NewWriter(&compressed)
		_, err := w.Write([]byte(text))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return []byte(base64.StdEncoding.EncodeToString(compressed.Bytes()))
	}
	r, err := readRelease(record(`{"name": "n", "version": 3, "manifest": "m", "chart": {"metadata": {"name": "jupyter-user-webhook"}}}`))
	require.NoError(t, err)
	assert.Equal(t, []any{"n", 3, "m", "jupyter-user-webhook"}, []any{r.Name, r.Version, r.Manifest, r.Chart.Metadata.Name})
	for _, data := range [][]byte{nil, []byte("?"), []byte("eA=="), record("{"), record(strings.Repeat(" ", 33<<20) + "{}")} {
		_, err := readRelease(data)
		assert.Error(t, err)
	}
}

// TestCompareFindsChanges tests changes with which an attacker could weaken the installation, each of one object.
func TestCompareFindsChanges(t *testing.T) {
	for name, c := range map[string]struct {
		what, object string
		path         []string
		to           any
		says         string
	}{
		"fails open":                        {policies, "access.jupyter-user.io", []string{"spec", "failurePolicy"}, "Ignore", `spec.failurePolicy is "Ignore", not "Fail"`},
		"no validation":                     {policies, "access.jupyter-user.io", []string{"spec", "validations"}, []any{}, "spec.validations has 0 elements, not 3"},
		"a field of the future":             {policies, "access.jupyter-user.io", []string{"spec", "sparesAdmins"}, true, "spec.sparesAdmins was added"},
		"a policy with a namespaceSelector": {policies, "access.jupyter-user.io", []string{"spec", "matchConstraints", "namespaceSelector"}, map[string]any{"matchLabels": map[string]any{"a": "b"}}, `spec.matchConstraints.namespaceSelector.matchLabels was added: {"a":"b"}`},
		"a rule that is excluded":           {policies, "access.jupyter-user.io", []string{"spec", "matchConstraints", "excludeResourceRules"}, []any{map[string]any{"resources": []any{"pods"}}}, "excludeResourceRules was added"},
		"a binding that excludes a namespace": {bindings, "share.jupyter-user.io", []string{"spec", "matchResources"}, map[string]any{"namespaceSelector": map[string]any{"matchExpressions": []any{
			map[string]any{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": []any{"lab"}}}}},
			`spec.matchResources was added: {"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["lab"]}]}}`},
		"a binding with two expressions": {bindings, "share.jupyter-user.io", []string{"spec", "matchResources"}, map[string]any{"namespaceSelector": map[string]any{"matchExpressions": []any{
			map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{"lab"}}, map[string]any{"key": "a", "operator": "Exists"}}}},
			`spec.matchResources was added: {"namespaceSelector":{"matchExpressions":[{"key":`},
		"a binding of one namespace": {bindings, "share.jupyter-user.io", []string{"spec", "matchResources"}, map[string]any{"namespaceSelector": map[string]any{"matchExpressions": []any{
			map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{"lab"}}}}},
			"spec.matchResources was added: "},
		"another validation": {policies, "access.jupyter-user.io", []string{"spec", "validations"}, []any{map[string]any{"expression": "true"},
			map[string]any{"expression": "true"}, map[string]any{"expression": "true"}}, `spec.validations[0].expression is "true", not "!(request.namespace in `},
		"one API version only":                  {policies, "access.jupyter-user.io", []string{"spec", "matchConstraints", "matchPolicy"}, "Exact", `matchPolicy is "Exact", not "Equivalent"`},
		"a binding of another policy":           {bindings, "access.jupyter-user.io", []string{"spec", "policyName"}, "other", `spec.policyName is "other", not "access.jupyter-user.io"`},
		"a binding that audits":                 {bindings, "access.jupyter-user.io", []string{"spec", "validationActions"}, []any{"Audit"}, `spec.validationActions[0] is "Audit", not "Deny"`},
		"a binding with a namespaceSelector":    {bindings, "share.jupyter-user.io", []string{"spec", "matchResources"}, map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"a": "b"}}}, "spec.matchResources was added"},
		"a paramKind":                           {policies, "access.jupyter-user.io", []string{"spec", "paramKind"}, map[string]any{"apiVersion": "v1", "kind": "Secret"}, "spec.paramKind was added"},
		"a binding with a paramRef":             {bindings, "access.jupyter-user.io", []string{"spec", "paramRef"}, map[string]any{"name": "a"}, "spec.paramRef was added"},
		"a binding with another objectSelector": {bindings, "access.jupyter-user.io", []string{"spec", "matchResources", "objectSelector"}, map[string]any{"matchLabels": map[string]any{"a": "b"}}, `spec.matchResources.objectSelector.matchLabels was added: {"a":"b"}`},
		"no webhook entries":                    {mutatingWebhooks, "00-jupyter-user-webhook", []string{"webhooks"}, []any{}, "webhooks has 0 elements, not 4"},
		"an empty spec":                         {policies, "access.jupyter-user.io", []string{"spec"}, map[string]any{}, "spec.matchConstraints is missing"},
		"a binding with an objectSelector":      {bindings, "share.jupyter-user.io", []string{"spec", "matchResources"}, map[string]any{"objectSelector": map[string]any{"matchLabels": map[string]any{"a": "b"}}}, "spec.matchResources was added"},
	} {
		t.Run(name, func(t *testing.T) {
			s := installedAs(t, c.what, func(name string, object map[string]any) {
				if name == c.object {
					require.NoError(t, unstructured.SetNestedField(object, c.to, c.path...))
				}
			})
			found := s.compare(t.Context(), c.what)
			require.NotEmpty(t, found)
			for _, f := range found {
				assert.Equal(t, Failed, f.Status)
			}
			assert.Contains(t, found[0].Message, c.says)
		})
	}
}

// TestCompareWebhookEntries tests a removed entry, an added entry, and entries with another Service or timeout.
func TestCompareWebhookEntries(t *testing.T) {
	for says, change := range map[string]func([]any) []any{
		"webhooks has 3 elements, not 4": func(w []any) []any { return w[:3] },
		"webhooks has 5 elements, not 4": func(w []any) []any { return append(w, w[0]) },
		`webhooks[hub-pods.jupyter-user.io].clientConfig.service.namespace is "lab", not "jupyter-user-system"`: func(w []any) []any {
			require.NoError(t, unstructured.SetNestedField(w[2].(map[string]any), "lab", "clientConfig", "service", "namespace"))
			return w
		},
		"webhooks[hub-pods.jupyter-user.io].timeoutSeconds is 30, not 2": func(w []any) []any {
			w[2].(map[string]any)["timeoutSeconds"] = int64(30)
			return w
		},
	} {
		s := installedAs(t, mutatingWebhooks, func(_ string, object map[string]any) {
			object["webhooks"] = change(object["webhooks"].([]any))
		})
		found := s.compare(t.Context(), mutatingWebhooks)
		require.Len(t, found, 1, says)
		assert.Contains(t, found[0].Message, says)
	}
}
