package property

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/podsecurity"
)

// TestGoldenPodsKeepTheirPodSecurityLevel tests that if the submitted Pod meets a Pod Security level, the admitted Pod
// meets the level too. With discovery at start, baseline is enough in place of restricted. The API server's own library
// checks the levels.
func TestGoldenPodsKeepTheirPodSecurityLevel(t *testing.T) {
	t.Parallel()
	levels := newLevels(t)
	cases, err := golden.Cases()
	require.NoError(t, err)
	admitted := map[api.Level]int{}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if testLevel(t, levels, c, c.JSON, withoutNotebook) {
				admitted[levels.OfPod(decoded(t, c.JSON)).Meets]++
			}
		})
	}
	for _, level := range []api.Level{api.LevelRestricted, api.LevelBaseline, api.LevelPrivileged} {
		assert.NotZero(t, admitted[level], "no submitted Pod meets %s", level)
	}
	t.Logf("%v", admitted)
}

// TestRandomPodsKeepTheirPodSecurityLevel tests the same as TestGoldenPodsKeepTheirPodSecurityLevel, with random Pods.
func TestRandomPodsKeepTheirPodSecurityLevel(t *testing.T) {
	t.Parallel()
	const each = 3000
	levels := newLevels(t)
	admitted := map[api.Level]int{}
	for _, c := range conditions() {
		for seed := range int64(each) {
			pod := newGenerator(seed, 0.7).craftedPod()
			raw := marshal(t, pod)
			if testLevel(t, levels, c, raw, withoutOurs) {
				admitted[levels.OfPod(pod).Meets]++
			}
			if t.Failed() {
				t.Fatalf("%s, seed %d:\n%s", c.Name, seed, raw)
			}
		}
	}
	// Some submitted Pods must meet baseline. Otherwise the test would show nothing.
	assert.Greater(t, admitted[api.LevelBaseline], each/20, "%v", admitted)
	t.Logf("%v", admitted)
}

// testLevel reports whether the webhook admits the Pod as a notebook. Such a Pod must meet the Pod Security level that
// the submitted Pod meets. With discovery at start, baseline is enough in place of restricted. The function "rest" returns
// a copy of the submitted Pod that can violate restricted only by values that the webhook keeps. With discovery at
// admission, the admitted Pod must meet restricted if the copy does.
func testLevel(t *testing.T, levels *podsecurity.Levels, c golden.Case, raw []byte,
	rest func(pod *corev1.Pod, notebook string) *corev1.Pod,
) bool {
	t.Helper()
	d := c.Decide(raw)
	if len(d.Denials) > 0 || !d.Claimed {
		return false
	}
	admitted, err := pod.Apply(raw, d.Operations)
	require.NoError(t, err)
	before, after := decoded(t, raw), decoded(t, admitted)
	was, is := levels.OfPod(before), levels.OfPod(after)

	kept := was.Meets
	if !atAdmission(c) && kept == api.LevelRestricted {
		// With discovery at start the notebook container starts as root, which restricted does not allow.
		kept = api.LevelBaseline
	}
	assert.GreaterOrEqual(t, api.CompareLevels(is.Meets, kept), 0, "the submitted Pod meets %s, the admitted Pod %s: %q", was.Meets, is.Meets, is.Misses)
	if atAdmission(c) && levels.OfPod(rest(before, d.Plan.Notebook)).Meets == api.LevelRestricted {
		assert.Equal(t, api.LevelRestricted, is.Meets, "the rest of the Pod meets restricted: %q", is.Misses)
	}
	if !atAdmission(c) {
		assert.NotEqual(t, api.LevelRestricted, is.Meets, "the container starts as root")
	}
	return true
}

// withoutNotebook returns a copy of the Pod from which the notebook container and all init containers with the name
// jupyter-user-init are removed.
func withoutNotebook(pod *corev1.Pod, notebook string) *corev1.Pod {
	rest := pod.DeepCopy()
	at := notebookOf(rest, notebook)
	rest.Spec.Containers = slices.Delete(rest.Spec.Containers, at, at+1)
	rest.Spec.InitContainers = slices.DeleteFunc(rest.Spec.InitContainers,
		func(c corev1.Container) bool { return c.Name == "jupyter-user-init" })
	return rest
}

// notebookOf returns the index of the first container with this name. A random Pod can have two containers with the same
// name.
func notebookOf(pod *corev1.Pod, notebook string) int {
	return slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == notebook })
}

// withoutOurs returns a copy of the Pod from which all init containers with the name jupyter-user-init are removed. In the
// copy, the security context of the notebook container has the values that the webhook sets. It also has the Pod's own
// SELinux options, Windows options and AppArmor profile, which the webhook keeps. So the notebook container of the copy
// violates restricted only if one of these kept values does.
func withoutOurs(pod *corev1.Pod, notebook string) *corev1.Pod {
	rest := withoutNotebook(pod, notebook)
	c := pod.Spec.Containers[notebookOf(pod, notebook)].DeepCopy()
	own := c.SecurityContext
	c.SecurityContext = &corev1.SecurityContext{
		RunAsNonRoot:             new(true),
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if own != nil {
		c.SecurityContext.SELinuxOptions = own.SELinuxOptions
		c.SecurityContext.WindowsOptions = own.WindowsOptions
		c.SecurityContext.AppArmorProfile = own.AppArmorProfile
	}
	rest.Spec.Containers = append(rest.Spec.Containers, *c)
	return rest
}

func newLevels(t *testing.T) *podsecurity.Levels {
	t.Helper()
	levels, err := podsecurity.NewLevels()
	require.NoError(t, err)
	return levels
}

func decoded(t *testing.T, raw []byte) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	require.NoError(t, json.Unmarshal(raw, pod))
	return pod
}
