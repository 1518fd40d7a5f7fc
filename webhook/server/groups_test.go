package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// inGroups returns the identity of a user in n groups: 7001, 7002, …
func inGroups(n int) identity.Identity {
	var groups []int64
	for i := range n {
		groups = append(groups, int64(7000+n-i)) // not sorted, because a source can return them in any order
	}
	return identity.New(5003, 6003, groups)
}

// TestMaxGroups tests users with more and fewer groups than identity.maxGroups.
func TestMaxGroups(t *testing.T) {
	const cut = "the pod gets only the 15 supplementary groups of qiang.guo03 with the lowest numbers, and cannot access files of " +
		"the others (identity.tooManyGroups: Cut)"
	for _, c := range []struct {
		groups  int
		setting config.TooManyGroups
		given   int // number of groups; -1 if the Pod is denied
		warning string
	}{
		{0, "Deny", 0, ""}, {1, "Deny", 1, ""}, {15, "Deny", 15, ""}, {16, "Deny", -1, ""}, {40, "Deny", -1, ""},
		{0, "Cut", 0, ""}, {1, "Cut", 1, ""}, {15, "Cut", 15, ""}, {16, "Cut", 15, cut}, {40, "Cut", 15, cut},
	} {
		t.Run(fmt.Sprintf("%d %s", c.groups, c.setting), func(t *testing.T) {
			configured := config.Default()
			configured.Identity.TooManyGroups = c.setting
			w := webhook.New(configured, known(inGroups(c.groups)))
			submitted := webhook.Review{Pod: []byte(notebook), Namespace: "science"}

			d := w.Decide(t.Context(), submitted)
			if c.given < 0 {
				require.Len(t, d.Denials, 1)
				assert.EqualValues(t, "TooManyGroups", d.Denials[0].Reason)
				assert.Empty(t, d.Operations)
				return
			}
			require.Empty(t, d.Denials)
			assert.Equal(t, inGroups(c.given).String(), d.Identity.String(), "which goes into log and audit")
			if c.warning != "" {
				assert.Equal(t, []string{c.warning}, d.Warnings)
			} else {
				assert.Empty(t, d.Warnings)
			}
			injected, err := pod.Apply(submitted.Pod, d.Operations)
			require.NoError(t, err)
			assert.Contains(t, string(injected), `"jupyter-user.io/identity":"`+inGroups(c.given).String()+`"`)
			submitted.Pod = injected
			assert.Empty(t, w.Verify(t.Context(), submitted).Denials)
			assert.Empty(t, w.Decide(t.Context(), submitted).Operations, "a second pass changes nothing")
		})
	}
}

// TestDeniedGroupIsFoundBeforeCut tests that both reviews find a denied group before they cut the groups. It also tests that
// the verifier denies a Pod that was injected without the cut.
func TestDeniedGroupIsFoundBeforeCut(t *testing.T) {
	configured := config.Default()
	configured.Identity.MaxGroups, configured.Identity.TooManyGroups = 2, config.TooManyGroupsCut
	injected := func(w *webhook.Webhook) webhook.Review {
		d := w.Decide(t.Context(), webhook.Review{Pod: []byte(notebook), Namespace: "science"})
		require.Empty(t, d.Denials)
		pod, err := pod.Apply([]byte(notebook), d.Operations)
		require.NoError(t, err)
		return webhook.Review{Pod: pod, Namespace: "science"}
	}
	unlimited := webhook.New(config.Default(), known(inGroups(3)))
	denials := webhook.New(configured, known(inGroups(3))).Verify(t.Context(), injected(unlimited)).Denials
	require.Len(t, denials, 1)
	assert.EqualValues(t, "GenerationUnknown", denials[0].Reason, "injected under a configuration that allows more groups")

	configured.Identity.DeniedGIDs = []int64{7003}
	d := webhook.New(configured, known(inGroups(3))).Decide(t.Context(), webhook.Review{Pod: []byte(notebook)})
	require.Len(t, d.Denials, 1)
	assert.EqualValues(t, "IdentityDenied", d.Denials[0].Reason, "a denied group is found although the cut would remove it")

	before := webhook.New(configured, known(inGroups(2)))
	pod := injected(before)
	denials = webhook.New(configured, known(inGroups(3))).Verify(t.Context(), pod).Denials
	require.Len(t, denials, 1)
	assert.EqualValues(t, "IdentityDiffers", denials[0].Reason, "the verifier finds the denied group too")
}

func TestMaxGroupsZero(t *testing.T) {
	configured := config.Default()
	configured.Identity.MaxGroups, configured.Identity.TooManyGroups = 0, config.TooManyGroupsCut
	d := webhook.New(configured, known(inGroups(1))).Decide(t.Context(), webhook.Review{Pod: []byte(notebook)})
	require.Empty(t, d.Denials)
	assert.Equal(t, "5003:6003", d.Identity.String())
}

// TestGroupsBelowFloor tests that a supplementary group below the floor is left out with a warning, and that a primary
// group below the floor is denied. A group that is left out is not counted for the maximum, and a Pod cannot ask for it.
func TestGroupsBelowFloor(t *testing.T) {
	const warning = "supplementary groups of qiang.guo03 are left out: those under 1000 (identity.minGID), which belong to the system, " +
		"and those with a number that no Pod can have; the pod cannot access their files"
	configured := config.Default()
	configured.Identity.MaxGroups = 2
	id := identity.New(20335, 68100, []int64{680, 975, 1020, 68000})
	w := webhook.New(configured, known(id))
	submitted := webhook.Review{Pod: []byte(notebook), Namespace: "science"}
	d := w.Decide(t.Context(), submitted)
	require.Empty(t, d.Denials)
	assert.Equal(t, "20335:68100:1020,68000", d.Identity.String())
	assert.Equal(t, []string{warning}, d.Warnings)
	injected, err := pod.Apply(submitted.Pod, d.Operations)
	require.NoError(t, err)
	assert.Contains(t, string(injected), `"supplementalGroups":[1020,68000]`)
	submitted.Pod = injected
	assert.Empty(t, w.Verify(t.Context(), submitted).Denials)
	assert.Empty(t, w.Decide(t.Context(), submitted).Operations, "a second pass changes nothing")

	for annotated, reason := range map[string]string{
		"20335:68100:680,1020,68000":     "IdentityDiffers",
		"20335:68100:680,975,1020,68000": "IdentityDiffers",
	} {
		forged := strings.Replace(string(injected), "20335:68100:1020,68000", annotated, 1)
		require.NotEqual(t, string(injected), forged)
		denials := w.Verify(t.Context(), webhook.Review{Pod: []byte(forged), Namespace: "science"}).Denials
		require.NotEmpty(t, denials)
		assert.EqualValues(t, reason, denials[0].Reason, "a Pod cannot get a group that was left out")
	}
	forged := strings.Replace(string(injected), "[1020,68000]", "[680,1020,68000]", 1)
	denials := w.Verify(t.Context(), webhook.Review{Pod: []byte(forged), Namespace: "science"}).Denials
	require.Len(t, denials, 1)
	assert.EqualValues(t, "GroupForeign", denials[0].Reason)

	d = webhook.New(configured, known(identity.New(20335, 680, nil))).Decide(t.Context(), webhook.Review{Pod: []byte(notebook)})
	require.Len(t, d.Denials, 1)
	assert.EqualValues(t, "IdentityDenied", d.Denials[0].Reason)
	assert.Contains(t, d.Denials[0].Message, "GID 680 is below 1000")
	assert.Empty(t, d.Warnings)
}

// withGroups returns a notebook Pod that asks for groups.
func withGroups(t *testing.T, groups string) []byte {
	t.Helper()
	pod := strings.Replace(notebook, `"spec":{`, `"spec":{"securityContext":{"supplementalGroups":[`+groups+`]},`, 1)
	require.NotEqual(t, notebook, pod)
	return []byte(pod)
}

// TestImageGroups tests in which cases a Pod gets a group of identity.imageGroups that it asks for.
func TestImageGroups(t *testing.T) {
	const home = "100 is a group of the image (identity.imageGroups), and notebooks here see more of the share than the home, where files with that " +
		"GID belong to others: remove it"
	for name, c := range map[string]struct {
		configure func(*config.Config)
		unknown   bool
		requests  string
		given     string // supplementalGroups; empty if the Pod is denied
		why       string
	}{
		"requested":              {requests: "100", given: "[7001,100]"},
		"requested twice":        {requests: "100,100", given: "[7001,100]"},
		"with one of the user's": {requests: "7001,100", given: "[7001,100]"},
		"not requested":          {requests: "7001", given: "[7001]"},
		"not configured": {configure: func(c *config.Config) { c.Identity.ImageGroups = nil }, requests: "100",
			why: "100 is not known to be a group of qiang.guo03"},
		"another group": {requests: "101", why: "101 is not known to be a group of qiang.guo03"},
		"at start":      {unknown: true, requests: "100", why: "a pod whose user is found at start has no supplementary groups: remove 100"},
		"with directories": {configure: func(c *config.Config) {
			c.Share.Directories = []config.Directory{{SubPath: "datasets", MountPath: "/data/hpc/datasets", Access: config.AccessReadOnly}}
		}, requests: "100", why: home},
		"with every home": {configure: func(c *config.Config) { c.Share.ExposeEveryHome = config.ExposeToTheUser }, requests: "100", why: home},
		"with every home, even to root": {configure: func(c *config.Config) { c.Share.ExposeEveryHome = config.ExposeEvenToRoot }, requests: "100",
			why: home},
		"more than maxGroups": {configure: func(c *config.Config) { c.Identity.MaxGroups = 1 }, requests: "100",
			why: "100 is a group of the image (identity.imageGroups), and qiang.guo03 already has the 1 groups that a pod may have, and " +
				"NFS would silently ignore one more: remove it"},
	} {
		t.Run(name, func(t *testing.T) {
			configured := config.Default()
			configured.Identity.ImageGroups = []int64{100}
			if c.configure != nil {
				c.configure(configured)
			}
			w := webhook.New(configured, known(inGroups(1)))
			if c.unknown {
				w = webhook.New(configured, nil)
			}
			submitted := webhook.Review{Pod: withGroups(t, c.requests), Namespace: "science"}
			d := w.Decide(t.Context(), submitted)
			if c.given == "" {
				require.Len(t, d.Denials, 1)
				assert.EqualValues(t, "GroupForeign", d.Denials[0].Reason)
				assert.Equal(t, "spec.securityContext.supplementalGroups[0]", d.Denials[0].Field)
				assert.Contains(t, d.Denials[0].Message, c.why)
				return
			}
			require.Empty(t, d.Denials)
			injected, err := pod.Apply(submitted.Pod, d.Operations)
			require.NoError(t, err)
			assert.Contains(t, string(injected), `"supplementalGroups":`+c.given)
			assert.Contains(t, string(injected), `"jupyter-user.io/identity":"5003:6003:7001"`, "the identity has only the user's groups")
			submitted.Pod = injected
			assert.Empty(t, w.Verify(t.Context(), submitted).Denials)
			assert.Empty(t, w.Decide(t.Context(), submitted).Operations, "a second pass changes nothing")
		})
	}
}
