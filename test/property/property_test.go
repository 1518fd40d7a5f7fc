package property

import (
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	kjson "sigs.k8s.io/json"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// conditions returns a case with discovery at start and a case with discovery at admission. Each random Pod is tested
// with both.
var conditions = sync.OnceValue(func() []golden.Case {
	id := identity.New(5001, 6001, []int64{7001})
	return []golden.Case{
		golden.Case{Name: "at start", Config: config.Default()}.WithSharedWebhook(),
		golden.Case{Name: "at admission", Config: config.Default(), Identity: &id}.WithSharedWebhook(),
	}
})

func TestGoldenPods(t *testing.T) {
	t.Parallel()
	cases, err := golden.Cases()
	require.NoError(t, err)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) { testProperties(t, c, c.JSON) })
	}
}

func TestRandomPods(t *testing.T) {
	t.Parallel()
	const each = 5000
	admitted := 0
	for _, c := range conditions() {
		for seed := range int64(each) {
			g := newGenerator(seed, 0.7)
			pod := g.craftedPod()
			if seed%10 == 0 {
				pod = g.anyPod()
			}
			raw := marshal(t, pod)
			if testProperties(t, c, raw) {
				admitted++
			}
			if t.Failed() {
				t.Fatalf("%s, seed %d:\n%s", c.Name, seed, raw)
			}
		}
	}
	// Some Pods must be admitted. Otherwise the test would show nothing.
	assert.Greater(t, admitted, each/5, "of %d pods", 2*each)
	t.Logf("%d of %d admitted", admitted, 2*each)
}

// TestEveryFieldOfThePodType tests Pods in which all fields of the Pod type are set, except a few that the webhook denies.
func TestEveryFieldOfThePodType(t *testing.T) {
	t.Parallel()
	for _, c := range conditions() {
		for seed := range int64(20) {
			pod := newGenerator(seed, 0).anyPod()
			pod.Spec.SecurityContext.SupplementalGroups = nil
			pod.Annotations = map[string]string{"example.com/a": "b"}
			assert.True(t, testProperties(t, c, marshal(t, pod)), "%s, seed %d is admitted", c.Name, seed)
		}
	}
}

// testProperties tests the properties of the package comment with a Pod, and reports whether the webhook admits the Pod.
func testProperties(t *testing.T, c golden.Case, raw []byte) bool {
	t.Helper()
	first := c.Decide(raw)
	assert.Equal(t, first.Operations, c.Decide(raw).Operations, "deterministic")
	if len(first.Denials) > 0 {
		assert.Nil(t, first.Operations, "a denial has no operations")
		return false
	}
	admitted, err := pod.Apply(raw, first.Operations)
	require.NoError(t, err)
	if !first.Claimed {
		assert.Empty(t, first.Operations, "a Pod that is not claimed is not changed")
		assert.False(t, c.Verify(raw).User.String() != "", "the verifier finds no user either")
		return true
	}
	assert.Equal(t, len(first.Operations) > 0, slices.ContainsFunc(first.Changes(), changesPod), "explained: there are changes exactly if there are operations")
	second := c.Decide(admitted)
	assert.False(t, slices.ContainsFunc(second.Changes(), changesPod), "explained: the second pass has no changes")
	assert.Empty(t, second.Denials, "idempotent: the admitted Pod is not denied")
	assert.Empty(t, second.Operations, "idempotent: the second pass has no operations")
	assert.Empty(t, second.Drift(), "whole: every enforced field is as planned")
	assert.Empty(t, c.Verify(admitted).Denials, "whole: the verifier admits it")
	if len(first.Operations) > 0 {
		assert.NotEmpty(t, c.Verify(raw).Denials, "the verifier denies the Pod before injection")
	}
	checkLossless(t, raw, admitted)
	// The fuzzer can make a document that the API server would not decode as a Pod. For such a document checkInjected is
	// not called. The document is decoded like in the API server: encoding/json would accept "fsgroup" for fsGroup.
	pod := &corev1.Pod{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(admitted, pod); err == nil {
		checkInjected(t, c, pod)
	}
	return true
}

func changesPod(c inject.Change) bool { return c.Action != inject.Kept && c.Action != inject.LeftOut }

// TestFieldNamesAreCaseSensitive tests that field names are case-sensitive, as in the API server. fsgroup is an unknown
// field and not fsGroup.
func TestFieldNamesAreCaseSensitive(t *testing.T) {
	t.Parallel()
	const pod = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"jupyter-user": "alice"}},
		"spec": {"securityContext": {"fsgroup": 100}, "containers": [{"name": "notebook", "image": "quay.io/jupyter/base-notebook"}]}}`
	for _, c := range conditions() {
		assert.True(t, testProperties(t, c, []byte(pod)), c.Name)
	}
}

// FuzzPods calls testProperties with any JSON. The webhook must deny a text that is no JSON.
func FuzzPods(f *testing.F) {
	cases, err := golden.Cases()
	require.NoError(f, err)
	for _, c := range cases {
		f.Add(c.JSON, c.Identity != nil)
	}
	f.Fuzz(func(t *testing.T, raw []byte, known bool) {
		condition := conditions()[0]
		if known {
			condition = conditions()[1]
		}
		if json.Valid(raw) {
			testProperties(t, condition, raw)
		} else {
			assert.NotEmpty(t, condition.Decide(raw).Denials)
		}
	})
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func itoa(i int) string { return strconv.Itoa(i) }
