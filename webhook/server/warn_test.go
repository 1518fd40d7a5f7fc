package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// newWarnEdge returns an edge in Warn mode.
func newWarnEdge(t *testing.T, identities webhook.Identities, peers *server.Peers) *edge {
	t.Helper()
	c := config.Default()
	c.Mode = config.ModeWarn
	return newEdgeOf(t, c, identities, peers)
}

// assertUnchanged posts a review and asserts that the Pod is admitted unchanged; the response may have warnings.
func (e *edge) assertUnchanged(t *testing.T, path, body string) reply {
	t.Helper()
	status, r := e.post(t, path, body)
	assert.Equal(t, 200, status)
	assert.True(t, r.Response.Allowed, r.Response.Status.Message)
	assert.Empty(t, r.Response.Patch)
	assert.Empty(t, r.Response.PatchType)
	assert.Empty(t, r.Response.Status.Message)
	return r
}

const becomes = "would become a notebook of qiang.guo03 (AtStart): the webhook is in mode Warn and leaves the pod as it is"

// TestWarnInjection tests that the decision is logged, counted, in the audit annotations and in a warning, and that the Pod does
// not change.
func TestWarnInjection(t *testing.T) {
	e := newWarnEdge(t, nil, nil)
	r := e.assertUnchanged(t, "/mutate", review(notebook))
	assert.Equal(t, []string{becomes}, r.Response.Warnings)
	assert.Equal(t, map[string]string{"requester": "qiang", "user": "qiang.guo03", "discovery": "AtStart", "mode": "Warn"},
		r.Response.AuditAnnotations)
	lines := e.log.Lines(t, "admission")
	require.Len(t, lines, 1)
	assert.Equal(t, "would_inject", lines[0]["outcome"])
	assert.Equal(t, "qiang.guo03", lines[0]["user"])
	assert.NotZero(t, lines[0]["operations"])
	assert.Contains(t, e.metrics(t), `{discovery="AtStart",outcome="would_inject",reason="",review="mutate"} 1`)
	assert.Contains(t, e.metrics(t), `{discovery="AtStart",outcome="injected",reason="",review="mutate"} 0`)

	e = newWarnEdge(t, known(identity.Identity{UID: 5003, GID: 6003}), nil)
	r = e.assertUnchanged(t, "/mutate", review(document(forQiang, `"securityContext":{"fsGroup":100},"volumes":[{"name":"d",
		"persistentVolumeClaim":{"claimName":"d"}}],"containers":[{"name":"nb","image":"notebook","volumeMounts":[{"name":"d","mountPath":"/d"}]}]`)))
	require.Len(t, r.Response.Warnings, 2)
	assert.Contains(t, r.Response.Warnings[0], "would become a notebook of qiang.guo03 (AtAdmission, as 5003:6003): ")
	assert.Contains(t, r.Response.Warnings[1], "would be warned: fsGroup 100 is removed")
}

// TestWarnCountsWarnings tests that of many warnings the first are shown, with the number of all others.
func TestWarnCountsWarnings(t *testing.T) {
	names, containers := make([]string, 60), make([]string, 60)
	for i := range names {
		names[i] = fmt.Sprint("side-", i)
		containers[i] = fmt.Sprintf(`{"name":%q,"image":"side","securityContext":{"privileged":true}}`, names[i])
	}
	metadata := fmt.Sprintf(`%s,"annotations":{"jupyter-user.io/home-in":%q}`, forQiang, strings.Join(names, ","))
	spec := `"containers":[{"name":"notebook","image":"notebook"},` + strings.Join(containers, ",") + "]"
	e := newWarnEdge(t, known(identity.Identity{UID: 5003, GID: 6003}), nil)
	r := e.assertUnchanged(t, "/mutate", review(document(metadata, spec)))
	require.Len(t, r.Response.Warnings, 51)
	assert.Contains(t, r.Response.Warnings[49], "would be warned: ")
	assert.Equal(t, "and 11 more", r.Response.Warnings[50])
}

// TestWarnDenial tests that both reviews of a Pod return the same warning, because an API server shows equal warnings only once.
func TestWarnDenial(t *testing.T) {
	for name, c := range map[string]struct{ pod, warning string }{
		"a reserved name": {document(`,"labels":{"jupyter-user":"root"}`, oneContainer), "would be denied: NameReserved: "},
		"the share by another name": {document(forQiang, oneContainer+`,"volumes":[{"name":"mine",
			"persistentVolumeClaim":{"claimName":"hpc-shared-pvc"}}]`), "would be denied: ShareAgain: "},
		"a foreign group": {document(forQiang, `"securityContext":{"supplementalGroups":[27]},`+oneContainer), "would be denied: GroupForeign: "},
	} {
		t.Run(name, func(t *testing.T) {
			e := newWarnEdge(t, nil, nil)
			first := e.assertUnchanged(t, "/mutate", review(c.pod))
			require.NotEmpty(t, first.Response.Warnings)
			assert.Contains(t, first.Response.Warnings[0], c.warning)
			assert.NotEmpty(t, first.Response.AuditAnnotations["reason"])
			last := e.assertUnchanged(t, "/verify", review(c.pod))
			assert.Equal(t, first.Response.Warnings, last.Response.Warnings)
			for _, line := range e.log.Lines(t, "admission") {
				assert.Equal(t, "would_deny", line["outcome"])
			}
		})
	}
}

// TestWarnVerification tests that the verifier returns no warning for a Pod that Warn mode has left unchanged, and
// that it returns a warning for a forged Pod.
func TestWarnVerification(t *testing.T) {
	e := newWarnEdge(t, nil, nil)
	r := e.assertUnchanged(t, "/verify", review(notebook))
	assert.Empty(t, r.Response.Warnings, "the mutating webhook has returned all warnings")
	assert.Equal(t, "verified", e.log.Lines(t, "admission")[0]["outcome"])

	injected := newEdge(t, nil).injected(t, notebook)
	r = e.assertUnchanged(t, "/verify", review(injected))
	assert.Empty(t, r.Response.Warnings, "injected by a replica in Enforce mode")
	r = e.assertUnchanged(t, "/verify", review(strings.Replace(injected, "--min-uid=1000", "--min-uid=1", 1)))
	require.Len(t, r.Response.Warnings, 1)
	assert.Contains(t, r.Response.Warnings[0], "would be denied: Drifted: spec.initContainers[0].args: ")
	r = e.assertUnchanged(t, "/verify", review(document(`,"annotations":{"jupyter-user.io/user":"qiang.guo03"}`, oneContainer)))
	require.Len(t, r.Response.Warnings, 1)
	assert.Contains(t, r.Response.Warnings[0], "would be denied: NotInjected: ")
}

// TestWarnAdmitsFaults tests that Warn mode also admits unreadable Pods, and Pods for which the webhook fails.
func TestWarnAdmitsFaults(t *testing.T) {
	silent := identityFunc(func(_ context.Context, name user.Name) (*identity.Identity, error) {
		if name.String() == "panics" {
			panic("at the disco")
		}
		return nil, assert.AnError
	})
	for name, c := range map[string]struct{ body, warning, outcome string }{
		"a silent share": {review(notebook), "would be denied: IdentitySilent: ", "fault"},
		"a panic":        {review(document(`,"labels":{"jupyter-user":"panics"}`, oneContainer)), "would be denied: InternalError: ", "fault"},
		"no pod":         {review("[]"), "would be denied: PodUnreadable: ", "would_deny"},
		"another kind": {reviewOf("CREATE", "", `{"group":"","version":"v1","kind":"ConfigMap"}`, `{}`),
			"would be denied: NotAPodReview: ", "would_deny"},
		"a review that is too large": {strings.Replace(review(notebook), `"object"`, `"x":"`+strings.Repeat("x", 5<<20)+`","object"`, 1),
			"would be denied: TooLarge: ", "would_deny"},
	} {
		for _, path := range []string{"/mutate", "/mutate/restricted", "/verify"} {
			t.Run(name+" at "+path, func(t *testing.T) {
				e := newWarnEdge(t, silent, nil)
				r := e.assertUnchanged(t, path, c.body)
				assert.Equal(t, uid, r.Response.UID)
				require.Len(t, r.Response.Warnings, 1)
				assert.Contains(t, r.Response.Warnings[0], c.warning)
				assert.Equal(t, c.outcome, e.log.Lines(t, "admission")[0]["outcome"])
			})
		}
	}
}

func TestWarnOnUnclaimedPod(t *testing.T) {
	for _, path := range []string{"/mutate", "/mutate/restricted", "/verify"} {
		e := newWarnEdge(t, nil, nil)
		r := e.assertUnchanged(t, path, review(document(`,"labels":{"app":"x"}`, oneContainer)))
		assert.Empty(t, r.Response.Warnings)
		assert.Empty(t, r.Response.AuditAnnotations)
		assert.Equal(t, "ignored", e.log.Lines(t, "admission")[0]["outcome"])
	}
}

// TestEnforceReplicaAsksWarnReplica tests that a Warn replica returns its real decision to an Enforce replica, which denies the
// Pod.
func TestEnforceReplicaAsksWarnReplica(t *testing.T) {
	all := newReplicas(t)
	warning := newWarnEdge(t, nil, nil)
	enforcing := all.withPeriod(t, "3", nil, all.listen(t, warning))

	_, r := enforcing.post(t, "/verify", review(notebook))
	assert.Equal(t, 403, r.Response.Status.Code)
	assert.Equal(t, "NotInjected", r.Response.Status.Reason, "the Warn replica has not injected the Pod")

	// A replica in Enforce mode has injected this Pod, and one argument was changed afterwards. The Warn replica is asked, because
	// the mode is no part of the generation.
	forged := strings.Replace(newEdge(t, nil).injected(t, notebook), "--min-uid=1000", "--min-uid=1", 1)
	_, r = enforcing.post(t, "/verify", review(forged))
	assert.Equal(t, 403, r.Response.Status.Code, "the Warn replica returns what Enforce mode decides")
	assert.Equal(t, "Drifted", r.Response.Status.Reason)
	assert.Equal(t, "peer", warning.log.Lines(t, "admission")[0]["review"])
	assert.Equal(t, "denied", warning.log.Lines(t, "admission")[0]["outcome"])

	// An annotation does not change the mode.
	_, r = enforcing.post(t, "/mutate", review(document(`,"labels":{"jupyter-user":"root"},"annotations":{"jupyter-user.io/mode":"Warn"}`,
		oneContainer)))
	assert.Equal(t, "NameReserved", r.Response.Status.Reason)
}

// TestWarnReplicaAsksOthers tests that a denial by another replica becomes a warning.
func TestWarnReplicaAsksOthers(t *testing.T) {
	all := newReplicas(t)
	injecting := all.withPeriod(t, "2", nil)
	peers, err := server.NewPeers([]string{all.listen(t, injecting)}, all.current)
	require.NoError(t, err)
	peers.Timeout = all.timeout
	e := newWarnEdge(t, nil, peers)
	injected := injecting.injected(t, notebook)
	assert.Empty(t, e.assertUnchanged(t, "/verify", review(injected)).Response.Warnings)
	r := e.assertUnchanged(t, "/verify", review(strings.Replace(injected, "--min-uid=1000", "--min-uid=1", 1)))
	require.Len(t, r.Response.Warnings, 1)
	assert.Contains(t, r.Response.Warnings[0], "would be denied: Drifted: ")
	assert.Equal(t, "Warn", r.Response.AuditAnnotations["mode"])

	noPeers, err := server.NewPeers(nil, all.current)
	require.NoError(t, err)
	r = newWarnEdge(t, nil, noPeers).assertUnchanged(t, "/verify", review(injected))
	require.Len(t, r.Response.Warnings, 1)
	assert.Contains(t, r.Response.Warnings[0], "would be denied: GenerationUnknown: ")
}
