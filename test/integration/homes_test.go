package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// byInitial are the values of the chart for homes by their initials.
const byInitial = `{config: {share: {home: "people/{initial}/{user}"}}}`

// homesByInitial is the configuration that byInitial makes.
func homesByInitial(c *config.Config) { c.Share.Home = "people/{initial}/{user}" }

// attacksOnHomesByInitial are mounts of something else of the share than the home of alice, which is people/a/alice.
func attacksOnHomesByInitial() map[string]func(*corev1.Pod) {
	notebook := func(subPath string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { pod.Spec.Containers[0].VolumeMounts[0].SubPath = subPath }
	}
	init := func(mountPath, subPath string) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			m := &pod.Spec.InitContainers[0].VolumeMounts[0]
			m.MountPath, m.SubPath = mountPath, subPath
		}
	}
	return map[string]func(*corev1.Pod){
		"another user's home of the same initial":                  notebook("people/a/ann"),
		"another user's home":                                      notebook("people/b/bob"),
		"a home without the initial":                               notebook("people/alice"),
		"the initial of another letter":                            notebook("people/A/alice"),
		"the homes of an initial":                                  notebook("people/a"),
		"all homes":                                                notebook("people"),
		"the share's root":                                         notebook(""),
		"the pattern itself":                                       notebook("people/{initial}/{user}"),
		"a directory of the home":                                  notebook("people/a/alice/x"),
		"a home two directories further down":                      notebook("people/a/a/alice"),
		"the init container sees all homes":                        init("/data/hpc/people", "people"),
		"the init container sees other homes":                      init("/data/hpc/people/b", "people/b"),
		"the init container sees other homes at the place of ours": init("/data/hpc/people/a", "people/b"),
		"the init container sees the share's root":                 init("/data/hpc/people/a", ""),
		"the init container sees its homes elsewhere":              init("/data/hpc/people/b", "people/a"),
	}
}

// TestTheNetKnowsHomesByInitial: whoever answers for the webhook, no other home is mounted than the one that the pattern makes of
// the user's name.
func TestTheNetKnowsHomesByInitial(t *testing.T) {
	t.Parallel()
	g := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, byInitial)})
	configured := config.Default()
	homesByInitial(configured)
	for _, user := range []string{"alice", "qiang.guo03"} {
		require.NoError(t, create(t.Context(), g.carol, "lab", injectedBy(t, configured, user)), "what the webhook makes is admitted")
	}
	for name, change := range attacksOnHomesByInitial() {
		t.Run(name, func(t *testing.T) {
			pod := injectedBy(t, configured, "alice")
			change(pod)
			err := create(t.Context(), g.carol, "lab", pod)
			require.Error(t, err)
			assert.Regexp(t, `ValidatingAdmissionPolicy 'net.jupyter-user.io'.* denied request: (MountForeign|InitForeign): `, err.Error())
		})
	}
}

// TestTheVerifierKnowsHomesByInitial where there is no policy.
func TestTheVerifierKnowsHomesByInitial(t *testing.T) {
	t.Parallel()
	g := startVerified(t)
	g.serving(t, homesByInitial)
	require.NoError(t, create(t.Context(), g.carol, "lab", injectedBy(t, g.serves, "alice")))
	for name, change := range attacksOnHomesByInitial() {
		t.Run(name, func(t *testing.T) {
			pod := injectedBy(t, g.serves, "alice")
			change(pod)
			assert.ErrorContains(t, create(t.Context(), g.carol, "lab", pod),
				`admission webhook "verified-pods.jupyter-user.io" denied the request: `)
		})
	}
}
