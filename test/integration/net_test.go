package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// admitEverything admits every request. It is the server of an attacker who can change the address in the webhook
// configurations.
func admitEverything(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	if err := json.NewEncoder(w).Encode(review); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// TestNetWithoutWebhook lets the API server call a server that admits everything, in place of the webhook. The policy
// net.jupyter-user.io must still deny mounts of other homes.
func TestNetWithoutWebhook(t *testing.T) {
	t.Parallel()
	c := startUnserved(t, controlplane.Options{})
	c.listen(t, c.calledAddress(), http.HandlerFunc(admitEverything))
	g := &guarded{ControlPlane: c.ControlPlane}
	require.NoError(t, c.Namespace(t.Context(), "lab", map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}))
	g.allow(t, "lab", "carol", withPods, mayUse("alice"))
	g.allow(t, "lab", "hub", withPods, mayUse())
	g.carol, g.hub = g.clientOf(t, "carol"), g.clientOf(t, "hub")

	require.NoError(t, create(t.Context(), g.carol, "lab", injected(t, "alice")), "what the webhook makes is admitted")
	count := 0
	for name, a := range attacks() {
		if strings.HasPrefix(a.rule, "net/") {
			t.Run(name, func(t *testing.T) { assertDenied(t, a.do(t, g), a.rule) })
			count++
		}
	}
	assert.Greater(t, count, 20)
	assert.ErrorContains(t, attacks()["the init container with another image"].do(t, g), "If the image of the first, evil, is right, the admin must add it")
	for name, user := range map[string]string{"no user": "", "the directory of the homes": ".", "the parent directory": "..", "another user": "x/../bob",
		"two lines": "alice\n", "a leading slash": "/alice", "a trailing slash": "alice/", "a path": "bob/alice"} {
		t.Run("the name of "+name, func(t *testing.T) {
			err := create(t.Context(), g.hub, "lab", podWithName(t, user))
			require.Error(t, err)
			assert.Contains(t, err.Error(), "ValidatingAdmissionPolicy '")
		})
	}
	for name, subPath := range map[string]string{"home/": "home/", "home//alice": "home//alice", "./home/alice": "./home/alice",
		"home/alice/": "home/alice/", "of another user": "home/bob", "in upper case": "home/Alice", "of a subdirectory": "home/alice/x"} {
		t.Run("subPath "+name, func(t *testing.T) {
			pod := injected(t, "alice")
			pod.Spec.Containers[0].VolumeMounts[0].SubPath = subPath
			assertDenied(t, create(t.Context(), g.hub, "lab", pod), "net/MountForeign")
		})
	}
}

// TestNetDeniesInvalidNames tests that without the policy access.jupyter-user.io, the policy net.jupyter-user.io denies
// the home of a name that no user can have.
func TestNetDeniesInvalidNames(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	require.NoError(t, g.Admin.Do(t.Context(), "", "delete", "validatingadmissionpolicybinding", "access.jupyter-user.io"))
	require.NoError(t, g.AwaitPolicies(t.Context()))
	require.NoError(t, create(t.Context(), g.bob, "lab", podWithName(t, "bob")))
	for _, user := range []string{"", ".", "..", "../x", "alice\n", "alice/", "bob/alice", strings.Repeat("a", 33), "ä"} {
		assertDenied(t, create(t.Context(), g.bob, "lab", podWithName(t, user)), "net/MountForeign")
	}
}

// podWithName returns a Pod whose annotation has this user name. The Pod mounts the home of this name. In the subPath, the
// name has no leading slash. It has no ".." there either, because the API server accepts no subPath with this element.
func podWithName(t *testing.T, user string) *corev1.Pod {
	t.Helper()
	pod := injected(t, "alice")
	pod.Annotations["jupyter-user.io/user"] = user
	for i := range pod.Spec.Containers[0].VolumeMounts {
		if m := &pod.Spec.Containers[0].VolumeMounts[i]; m.SubPath == "home/alice" {
			m.SubPath = "home/" + strings.ReplaceAll(strings.TrimPrefix(user, "/"), "..", "")
		}
	}
	return pod
}
