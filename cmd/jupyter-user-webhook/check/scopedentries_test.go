package check

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// values has two values of the chart: warn is set for mode Warn, and only is the list onlyNamespaces.
type values struct {
	warn bool
	only []any
}

// installedBy returns a cluster whose webhook entries and bindings have the given values. The map others has other values
// for some entries and bindings, by their name.
func installedBy(t *testing.T, usual values, others map[string]values) *state {
	t.Helper()
	s := &state{Options: Options{Manifest: rendered(t)}, config: config.Default(), installed: map[string]*unstructured.UnstructuredList{},
		parameters: shippedValues(t)}
	if usual.warn {
		s.config.Mode = config.ModeWarn
	}
	var only []string
	for _, name := range usual.only {
		only = append(only, name.(string))
	}
	s.parameters["onlyNamespaces"] = strings.Join(only, " ")
	writes := func(name string, into map[string]any, binding bool) {
		v := usual
		if other, is := others[name]; is {
			v = other
		}
		writeValues(t, into, v, binding)
	}
	for what := range installedKinds {
		s.installed[what] = installedAs(t, what, func(name string, object map[string]any) {
			for _, entry := range objects(object["webhooks"]) {
				writes(entry["name"].(string), entry, false)
			}
			if what == bindings {
				writes(name, object["spec"].(map[string]any), true)
			}
		}).installed[what]
	}
	return s
}

func writeValues(t *testing.T, into map[string]any, v values, binding bool) {
	t.Helper()
	selector := []string{"namespaceSelector", "matchExpressions"}
	if binding {
		selector = append([]string{"matchResources"}, selector...)
	}
	if v.warn && binding {
		into["validationActions"] = []any{"Warn", "Audit"}
	} else if v.warn {
		into["failurePolicy"] = "Ignore"
	}
	if v.only == nil {
		return
	}
	listed := map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": v.only}
	expressions, _, err := unstructured.NestedSlice(into, selector...)
	require.NoError(t, err)
	if len(expressions) > 0 {
		expressions[0] = listed
	} else {
		expressions = []any{listed}
	}
	require.NoError(t, unstructured.SetNestedSlice(into, expressions, selector...))
}

// modeFindings returns the findings of the check "mode" that are not OK, and the messages of those that are OK.
func modeFindings(t *testing.T, s *state) (bad []Finding, passed []string) {
	t.Helper()
	for _, f := range modeAndScope(t.Context(), s) {
		if f.Status == OK {
			passed = append(passed, f.Message)
		} else {
			bad = append(bad, f)
		}
	}
	return bad, passed
}

func TestModeEnforceEverywhere(t *testing.T) {
	bad, passed := modeFindings(t, installedBy(t, values{}, nil))
	assert.Empty(t, bad)
	assert.Contains(t, passed, "Enforce: Pods become notebooks, or are denied")
}

// TestModeWarn tests that an installation in mode Warn gives one warning.
func TestModeWarn(t *testing.T) {
	bad, _ := modeFindings(t, installedBy(t, values{warn: true}, nil))
	require.Len(t, bad, 1)
	assert.Equal(t, Warning, bad[0].Status)
	assert.Equal(t, "Warn: nothing is changed and nothing is denied, so no promise of this project holds. When the "+
		"warnings are as you want them: apply the chart rendered with your values and mode=Enforce", bad[0].Message)
}

func TestOnlyNamespaces(t *testing.T) {
	s := installedBy(t, values{only: []any{"lab", "jhub"}}, nil)
	bad, _ := modeFindings(t, s)
	require.Len(t, bad, 1)
	assert.Equal(t, Warning, bad[0].Status, "the share can be reached from everywhere else")
	assert.Contains(t, bad[0].Message, "in effect in the namespaces jhub, lab alone (onlyNamespaces): elsewhere the webhook has no effect")
}

// TestLeftOutNamespaceWithShare tests the warning about a namespace that has the share and is not in onlyNamespaces.
func TestLeftOutNamespaceWithShare(t *testing.T) {
	s := installedBy(t, values{only: []any{"lab"}}, nil)
	for _, namespace := range []string{"lab", "jhub", "jupyter-user-system"} {
		s.claims.Items = append(s.claims.Items, corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "hpc-shared-pvc"}})
		s.namespaces.Items = append(s.namespaces.Items, named(namespace))
	}
	bad, _ := modeFindings(t, s)
	require.Len(t, bad, 2)
	assert.Equal(t, Warning, bad[1].Status)
	assert.Equal(t, "namespace jhub", bad[1].Where)
	assert.Contains(t, bad[1].Message, "the webhook has no effect there: anyone who can create Pods there can mount the whole share")
	assert.Equal(t, []string{"jupyter-user-system", "lab"}, s.servedNamespaces(), "no notebooks are made where nothing is in effect")
	s.Namespaces = []string{"jhub"}
	in, there := s.dryRunNamespace()
	assert.True(t, there)
	assert.Equal(t, "lab", in)
}

// TestEntriesThatDiffer tests that there is one Failed finding if the mode or namespaces of an entry are not those of the
// installation.
func TestEntriesThatDiffer(t *testing.T) {
	warns, lab := values{warn: true}, values{only: []any{"lab"}}
	for name, c := range map[string]struct {
		all    values
		others map[string]values
		where  string
		says   string
		more   Status
	}{
		"a binding that warns": {values{}, map[string]values{"share.jupyter-user.io": warns}, "ValidatingAdmissionPolicyBinding share.jupyter-user.io",
			"Pods are warned about instead of denied, and the webhook's configuration says mode: Enforce", ""},
		"a binding that denies": {warns, map[string]values{"share.jupyter-user.io": {}}, "ValidatingAdmissionPolicyBinding share.jupyter-user.io",
			"Pods are denied instead of warned about, and the webhook's configuration says mode: Warn", Warning},
		"an entry with failurePolicy Ignore": {values{}, map[string]values{"pods.jupyter-user.io": warns}, "MutatingWebhookConfiguration pods.jupyter-user.io",
			"if the webhook does not respond, Pods are admitted unchanged, and the webhook's configuration says mode: Enforce", ""},
		"a verifier with failurePolicy Fail": {warns, map[string]values{"verified-pods.jupyter-user.io": {}}, "ValidatingWebhookConfiguration verified-pods.jupyter-user.io",
			"if the webhook does not respond, Pods are denied, and the webhook's configuration says mode: Warn", Warning},
		"a binding of one namespace": {values{}, map[string]values{"claims.jupyter-user.io": lab}, "ValidatingAdmissionPolicyBinding claims.jupyter-user.io",
			"in effect in namespace lab alone, and the installation is for every namespace", ""},
		"a binding of every namespace": {lab, map[string]values{"claims.jupyter-user.io": {}}, "ValidatingAdmissionPolicyBinding claims.jupyter-user.io",
			"in effect in every namespace, and the installation is for namespace lab alone", Warning},
		"an entry of another namespace": {lab, map[string]values{"hub-pods.jupyter-user.io": {only: []any{"jhub"}}}, "MutatingWebhookConfiguration hub-pods.jupyter-user.io",
			"in effect in namespace jhub alone, and the installation is for namespace lab alone", Warning},
		"a verifier of every namespace": {lab, map[string]values{"verified-pods.jupyter-user.io": {}}, "ValidatingWebhookConfiguration verified-pods.jupyter-user.io",
			"in effect in every namespace, and the installation is for namespace lab alone", Warning},
	} {
		t.Run(name, func(t *testing.T) {
			bad, _ := modeFindings(t, installedBy(t, c.all, c.others))
			statuses := map[Status]int{}
			for _, f := range bad {
				statuses[f.Status]++
				if f.Status == Failed {
					assert.Equal(t, c.where, f.Where)
					assert.Contains(t, f.Message, c.says)
				}
			}
			want := map[Status]int{Failed: 1}
			if c.more != "" {
				want[c.more] = 1
			}
			assert.Equal(t, want, statuses, "%+v", bad)
		})
	}
}

// TestScopeNarrowedEverywhere tests that the findings are Failed if all entries are limited to the same namespace, but
// onlyNamespaces is not set.
func TestScopeNarrowedEverywhere(t *testing.T) {
	s := installedBy(t, values{only: []any{"decoy"}}, nil)
	delete(s.parameters, "onlyNamespaces")
	bad, _ := modeFindings(t, s)
	require.Len(t, bad, 3, "one for each kind")
	for _, f := range bad {
		assert.Equal(t, Failed, f.Status)
		assert.Contains(t, f.Message, "in effect in namespace decoy alone, and the installation is for every namespace")
	}
	s.claims.Items = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "hpc-shared-pvc"}}}
	assert.Equal(t, []string{"lab"}, s.servedNamespaces(), "a namespace for the other checks")
}

// TestModeWithoutInstallation tests that the check fails if the configuration has the mode Enforce, and nothing is
// installed.
func TestModeWithoutInstallation(t *testing.T) {
	assertOneFinding(t, modeAndScope(t.Context(), &state{config: config.Default()}), Failed, "and webhooks or policies are missing")
}

// TestConfiguredModeDiffers tests that there is one finding for each kind, and not for each entry, if all entries have
// another mode than the configuration.
func TestConfiguredModeDiffers(t *testing.T) {
	s := installedBy(t, values{warn: true}, nil)
	s.config.Mode = config.ModeEnforce
	bad, _ := modeFindings(t, s)
	require.Len(t, bad, 3)
	assert.Equal(t, Failed, bad[0].Status)
	assert.Contains(t, bad[2].Where, "ValidatingAdmissionPolicyBinding access.jupyter-user.io, ")
	assert.Contains(t, bad[2].Where, " and 10 more")
	s.config, s.missing = nil, map[string]error{configuration: errors.New("it may not be read")}
	for _, f := range s.entriesThatDiffer(bindings) {
		assert.Equal(t, Unknown, f.Status)
		assert.Contains(t, f.Message, "it is unknown whether that is intended: it may not be read")
	}
}

// TestInstallAgain tests that the advice for an installation with its own values does not restore the defaults.
func TestInstallAgain(t *testing.T) {
	helms := map[string]string{"meta.helm.sh/release-name": "jupyter-user-webhook", "meta.helm.sh/release-namespace": "jupyter-user-system"}
	evil := maps.Clone(helms)
	evil["meta.helm.sh/release-name"] = "x; rm -rf /"
	for name, c := range map[string]struct {
		values      values
		annotations map[string]string
		says, then  string
	}{
		"no annotation of a release": {values{}, nil, "helm upgrade, or kubectl apply -f deploy/install.yaml", "apply the chart " +
			"rendered with your values and mode=Warn"},
		"helm": {values{}, helms, "helm upgrade jupyter-user-webhook deploy/chart --namespace " +
			"jupyter-user-system --reset-then-reuse-values", "helm upgrade jupyter-user-webhook deploy/chart --namespace " +
			"jupyter-user-system --reset-then-reuse-values --set 'mode=Warn'"},
		"helm, with an invalid name": {values{}, evil, "helm upgrade, or kubectl apply -f deploy/install.yaml", "apply the chart " +
			"rendered with your values and mode=Warn"},
		"in mode Warn": {values{warn: true}, nil, "apply the chart rendered with your values: deploy/install.yaml has " +
			"the default values, and would enforce in every namespace", "apply the chart rendered with your values and mode=Warn"},
		"in one namespace": {values{only: []any{"lab"}}, nil, "apply the chart rendered with your values: " +
			"deploy/install.yaml has the default values, and would enforce in every namespace", "apply the chart rendered with your values and mode=Warn"},
		"helm in mode Warn": {values{warn: true}, helms, "helm upgrade jupyter-user-webhook deploy/chart --namespace " +
			"jupyter-user-system --reset-then-reuse-values", "helm upgrade jupyter-user-webhook deploy/chart --namespace " +
			"jupyter-user-system --reset-then-reuse-values --set 'mode=Warn'"},
	} {
		t.Run(name, func(t *testing.T) {
			s := installedBy(t, c.values, nil)
			if c.annotations != nil {
				s.configMaps.Items = []corev1.ConfigMap{{ObjectMeta: metav1.ObjectMeta{Name: "jupyter-user-webhook", Annotations: c.annotations,
					Labels: map[string]string{"app.kubernetes.io/managed-by": "Helm"}}}}
			}
			assert.Equal(t, c.says, s.installAgain())
			assert.Equal(t, c.then, s.installAgain("mode=Warn"))
		})
	}
}
