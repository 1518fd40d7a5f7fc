package server_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// injected returns the Pod as the edge injects it, and clears the log of the edge.
func (e *edge) injected(t *testing.T, pod string) string {
	t.Helper()
	_, r := e.post(t, "/mutate", review(pod))
	require.True(t, r.Response.Allowed, r.Response.Status.Message)
	text, err := base64.StdEncoding.DecodeString(r.Response.Patch)
	require.NoError(t, err)
	patch, err := jsonpatch.DecodePatch(text)
	require.NoError(t, err)
	admitted, err := patch.Apply([]byte(pod))
	require.NoError(t, err)
	e.log.Clear()
	return string(admitted)
}

func TestVerifyInjectedPod(t *testing.T) {
	for name, c := range map[string]struct {
		identities  webhook.Identities
		discovery   string
		annotations map[string]string
	}{
		"at admission": {known(identity.Identity{UID: 5003, GID: 6003}), "AtAdmission",
			map[string]string{"requester": "qiang", "user": "qiang.guo03", "discovery": "AtAdmission", "identity": "5003:6003"}},
		"at start": {nil, "AtStart",
			map[string]string{"requester": "qiang", "user": "qiang.guo03", "discovery": "AtStart"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, c.identities)
			_, r := e.post(t, "/verify", review(e.injected(t, notebook)))
			assert.True(t, r.Response.Allowed, r.Response.Status.Message)
			assert.Empty(t, r.Response.Patch, "a verifier changes nothing")
			assert.Empty(t, r.Response.Warnings)
			assert.Equal(t, c.annotations, r.Response.AuditAnnotations)
			lines := e.log.Lines(t, "admission")
			require.Len(t, lines, 1)
			assert.Equal(t, "verify", lines[0]["review"])
			assert.Equal(t, "verified", lines[0]["outcome"])
			assert.Equal(t, c.discovery, lines[0]["discovery"])
			assert.Contains(t, e.metrics(t),
				`jupyter_user_admissions_total{discovery="`+c.discovery+`",outcome="verified",reason="",review="verify"} 1`)
		})
	}
}

func unknownUser(context.Context, user.Name) (*identity.Identity, error) { return nil, nil }

// TestVerifyDeniesChangedPod tests Pods that another webhook has changed, or that were written by hand.
func TestVerifyDeniesChangedPod(t *testing.T) {
	const drifted = "this is not what the webhook wrote: leave the field to the webhook, or ask the admin which other webhook changes it"
	for name, c := range map[string]struct {
		change                 []string // old, new, …
		reason, field, message string
	}{
		"an exec probe that would run as root": {
			[]string{`"readinessProbe":{`, `"readinessProbe":{"exec":{"command":["sh"]},`},
			"Drifted", "spec.containers[0].readinessProbe.exec.command", drifted},
		"a lower floor": {
			[]string{`--min-uid=1000`, `--min-uid=1`}, "Drifted", "spec.initContainers[0].args", drifted},
		"another HOME": {
			[]string{`{"name":"HOME","value":"/home/qiang.guo03"}`, `{"name":"HOME","value":"/tmp"}`},
			"Drifted", "spec.containers[0].env[1]", drifted},
		"a variable for our program": {
			[]string{`"command":["/jupyter-user-init"]`, `"env":[{"name":"LD_PRELOAD","value":"/x"}],"command":["/jupyter-user-init"]`},
			"Drifted", "spec.initContainers[0].env", drifted},
		"another discovery": {
			[]string{`"jupyter-user.io/discovery":"AtStart"`, `"jupyter-user.io/discovery":"AtAdmission"`},
			"Drifted", "metadata.annotations[jupyter-user.io/discovery]", drifted},
		"another user in the annotation": {
			[]string{`"jupyter-user.io/user":"qiang.guo03"`, `"jupyter-user.io/user":"bob"`},
			"Drifted", "metadata.annotations[jupyter-user.io/user]", drifted},
		"another user in the label": {
			[]string{`"jupyter-user":"qiang.guo03"`, `"jupyter-user":"bob"`},
			"MountForeign", "spec.containers[0].volumeMounts[0]", "the volume hpc-shared-volume is mounted at /data/hpc/home/qiang.guo03, " +
				"which is not a mount of the webhook: remove this mount, the webhook adds the home and the directories that the admin lists in share.directories"},
		"an identity of an unknown user": {
			[]string{`"jupyter-user.io/discovery":`, `"jupyter-user.io/identity":"5003:6003","jupyter-user.io/discovery":`},
			"IdentityDiffers", "metadata.annotations[jupyter-user.io/identity]",
			"the identity of qiang.guo03 has changed between the two reviews of this pod: try again, and if that does not help ask the admin which other " +
				"webhook writes this annotation"},
		"an invalid identity": {
			[]string{`"jupyter-user.io/discovery":`, `"jupyter-user.io/identity":"root","jupyter-user.io/discovery":`},
			"Drifted", "metadata.annotations[jupyter-user.io/identity]", drifted},
		"no label": {
			[]string{`"jupyter-user":"qiang.guo03"`, `"app":"x"`}, "NotInjected", "",
			"the pod has the annotation jupyter-user.io/config, but is not a user's notebook: it has no label that names a user; remove that part, " +
				"or label the pod jupyter-user and leave the rest to the webhook"},
		"opted out after injection": {
			[]string{`"jupyter-user.io/config":`, `"jupyter-user.io/inject":"false","jupyter-user.io/config":`}, "NotInjected", "",
			"the pod has the annotation jupyter-user.io/config, but is not a user's notebook: its annotation jupyter-user.io/inject opts out; " +
				"remove that part, or label the pod jupyter-user and leave the rest to the webhook"},
		"no generation": {
			[]string{`"jupyter-user.io/config":`, `"x":`}, "NotInjected", "",
			"the pod has parts of a notebook but lacks annotations of the webhook: label it jupyter-user and leave the rest to the webhook"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			changed := e.injected(t, notebook)
			for i := 0; i < len(c.change); i += 2 {
				require.Contains(t, changed, c.change[i])
				changed = strings.Replace(changed, c.change[i], c.change[i+1], 1)
			}
			_, r := e.post(t, "/verify", review(changed))
			assert.False(t, r.Response.Allowed)
			first := r.Response.Status.Details.Causes[0]
			if c.reason == "IdentityDiffers" {
				assert.Equal(t, 503, r.Response.Status.Code, "it may have changed")
			} else {
				assert.Equal(t, 403, r.Response.Status.Code)
			}
			assert.Equal(t, c.reason, first.Reason)
			assert.Equal(t, c.field, first.Field)
			assert.Equal(t, c.message, first.Message)
			assert.Equal(t, c.reason, r.Response.AuditAnnotations["reason"])
		})
	}
}

// TestVerifyDeniesPodThatWasNotInjected tests Pods that were not injected, each with one part of a notebook.
func TestVerifyDeniesPodThatWasNotInjected(t *testing.T) {
	const hubs = `,"annotations":{"hub.jupyter.org/username":"alice"}`
	for name, body := range map[string]string{
		"a label":                               notebook,
		"a hub's server":                        document(`,"labels":{"hub.jupyter.org/username":"alice","component":"singleuser-server"}`+hubs, oneContainer),
		"an annotation":                         document(`,"annotations":{"jupyter-user.io/user":"alice"}`, oneContainer),
		"an annotation with a request":          document(`,"annotations":{"jupyter-user.io/probes":"on"}`, oneContainer),
		"an annotation without a name":          document(`,"annotations":{"jupyter-user.io/":""}`, oneContainer),
		"an annotation on a hub's Pod":          document(`,"labels":{"hub.jupyter.org/username":"alice"},"annotations":{"hub.jupyter.org/username":"alice","jupyter-user.io/user":"alice"}`, oneContainer),
		"an annotation after opting out":        document(`,"labels":{"jupyter-user":"alice"},"annotations":{"jupyter-user.io/inject":"false","jupyter-user.io/discovery":"x"}`, oneContainer),
		"the init container":                    document("", oneContainer+`,"initContainers":[{"name":"jupyter-user-init"}]`),
		"its name on a container":               document("", `"containers":[{"name":"jupyter-user-init"}]`),
		"its name on the second init container": document("", oneContainer+`,"initContainers":[{"name":"a"},{"name":"jupyter-user-init"}]`),
		"its name on a debug container":         document("", oneContainer+`,"ephemeralContainers":[{"name":"jupyter-user-init"}]`),
	} {
		t.Run(name, func(t *testing.T) {
			_, r := newEdge(t, nil).post(t, "/verify", review(body))
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, "NotInjected", r.Response.Status.Reason)
		})
	}
}

// TestUnclaimedPods tests Pods that the webhook admits unchanged. The chart's policies can deny some of them.
func TestUnclaimedPods(t *testing.T) {
	const share = `,"volumes":[{"name":"all","persistentVolumeClaim":{"claimName":"hpc-shared-pvc"}}]`
	for name, body := range map[string]string{
		"nothing of ours":                 document("", oneContainer),
		"a hub's other Pod":               document(`,"labels":{"hub.jupyter.org/username":"alice"},"annotations":{"hub.jupyter.org/username":"alice"}`, oneContainer),
		"opted out":                       document(`,"labels":{"jupyter-user":"alice"},"annotations":{"jupyter-user.io/inject":"false"}`, oneContainer),
		"invalid opt-out without a label": document(`,"annotations":{"jupyter-user.io/inject":"off"}`, oneContainer),
		"opted out, with the share's claim": document(`,"labels":{"jupyter-user":"alice"},"annotations":{"jupyter-user.io/inject":"false"}`,
			oneContainer+share),
		"the share's claim": document("", oneContainer+share),
		"our volume names": document("", oneContainer+
			`,"volumes":[{"name":"hpc-shared-volume","emptyDir":{}},{"name":"uid-gid-config","configMap":{"name":"x"}}]`),
		"the share's claim by our volume name": document("", oneContainer+
			`,"volumes":[{"name":"hpc-shared-volume","persistentVolumeClaim":{"claimName":"hpc-shared-pvc"}}]`),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			for _, path := range []string{"/mutate", "/mutate/restricted", "/verify"} {
				_, r := e.post(t, path, review(body))
				assert.True(t, r.Response.Allowed, path)
				assert.Empty(t, r.Response.Patch, path)
				assert.Empty(t, r.Response.AuditAnnotations, path)
			}
		})
	}
}

// TestInvalidOptOut tests that both reviews deny a value of jupyter-user.io/inject other than "false".
func TestInvalidOptOut(t *testing.T) {
	body := document(`,"labels":{"jupyter-user":"alice"},"annotations":{"jupyter-user.io/inject":"off"}`, oneContainer)
	for _, path := range []string{"/mutate", "/verify"} {
		_, r := newEdge(t, nil).post(t, path, review(body))
		assert.False(t, r.Response.Allowed)
		assert.Equal(t, 422, r.Response.Status.Code)
		assert.Equal(t, "AnnotationInvalid", r.Response.Status.Reason)
		assert.Contains(t, r.Response.Status.Message, `"off" is not "false", the only value, which leaves the Pod as it is`)
	}
}

// TestVerifyIdentity tests sources of identities that changed after the injection of the Pod.
func TestVerifyIdentity(t *testing.T) {
	alice := identity.Identity{UID: 5003, GID: 6003}
	for name, c := range map[string]struct {
		before       webhook.Identities
		now          identityFunc
		code         int
		reason, want string
	}{
		"a new source":        {nil, known(alice), 503, "IdentityDiffers", "try again"},
		"an unusable account": {known(alice), unusable, 503, "IdentityDiffers", "try again"},
		"an unknown user":     {known(alice), unknownUser, 503, "IdentityDiffers", "try again"},
		"another UID":         {known(alice), known(identity.Identity{UID: 5004, GID: 6003}), 503, "IdentityDiffers", "try again"},
		"another GID":         {known(alice), known(identity.Identity{UID: 5003, GID: 6004}), 503, "IdentityDiffers", "try again"},
		"a further group":     {known(alice), known(identity.New(5003, 6003, []int64{7001})), 503, "IdentityDiffers", "try again"},
		"a source that fails": {known(alice), silent, 503, "IdentitySilent", "try again"},
	} {
		t.Run(name, func(t *testing.T) {
			injected := newEdge(t, c.before).injected(t, notebook)
			e := newEdge(t, c.now)
			_, r := e.post(t, "/verify", review(injected))
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, c.code, r.Response.Status.Code)
			assert.Equal(t, c.reason, r.Response.Status.Reason)
			assert.Contains(t, r.Response.Status.Message, c.want)
			assert.NotContains(t, e.log.Lines(t, "admission")[0], "peer", "no other replica is asked")
		})
	}
}

func unusable(context.Context, user.Name) (*identity.Identity, error) {
	return nil, &identity.Unusable{Why: "has no uidNumber"}
}

func silent(context.Context, user.Name) (*identity.Identity, error) {
	return nil, errors.New("stat /share/home: stale file handle")
}

// TestVerifyIdentityWithoutCache tests that the source is asked without the cache if the cached result differs from the
// identity in the Pod. Another replica can have found that identity just now.
func TestVerifyIdentityWithoutCache(t *testing.T) {
	alice := known(identity.Identity{UID: 5003, GID: 6003})
	injected := newEdge(t, alice).injected(t, notebook)
	for name, c := range map[string]struct {
		source webhook.Identities
		reason string
	}{
		"cache without the user":               {cachedIdentities{unknownUser, alice}, ""},
		"cache with another identity":          {cachedIdentities{known(identity.Identity{UID: 1, GID: 1}), alice}, ""},
		"cache with the identity":              {cachedIdentities{alice, silent}, ""},
		"unknown user":                         {cachedIdentities{unknownUser, unknownUser}, "IdentityDiffers"},
		"cache without the user, source fails": {cachedIdentities{unknownUser, silent}, "IdentitySilent"},
		"cached lookup fails":                  {cachedIdentities{silent, alice}, "IdentitySilent"},
		"cache with an unusable account":       {cachedIdentities{unusable, alice}, ""},
		"unusable account":                     {cachedIdentities{unknownUser, unusable}, "IdentityDiffers"},
	} {
		t.Run(name, func(t *testing.T) {
			_, r := newEdge(t, c.source).post(t, "/verify", review(injected))
			assert.Equal(t, c.reason == "", r.Response.Allowed)
			assert.Equal(t, c.reason, r.Response.Status.Reason)
		})
	}
}

// TestSourcesChangeBetweenReviews tests that the verifier returns 503 "try again" if the sources have changed since
// the Pod was injected. When the Pod is created again, the new state of the sources decides.
func TestSourcesChangeBetweenReviews(t *testing.T) {
	knows := func(uid, gid int64, groups ...int64) identityFunc { return known(identity.New(uid, gid, groups)) }
	for name, now := range map[string]struct {
		directory, share identityFunc
		reason           string // of the denial when the Pod is created again; empty if it is admitted
	}{
		"another UID in one":             {knows(5004, 6003, 7001), knows(5003, 6003), "IdentityDisputed"},
		"another UID in both":            {knows(5004, 6003, 7001), knows(5004, 6003), ""},
		"another GID":                    {knows(5003, 6004, 7001), knows(5003, 6003), ""},
		"another group":                  {knows(5003, 6003, 7002), knows(5003, 6003), ""},
		"disabled in one":                {unknownUser, knows(5003, 6003), "IdentityDisputed"},
		"gone from both":                 {unknownUser, unknownUser, "IdentityUnknown"},
		"without a UID":                  {unusable, knows(5003, 6003), "IdentityUnusable"},
		"under the floor":                {knows(999, 6003, 7001), knows(999, 6003), "IdentityDenied"},
		"in more groups than a Pod has":  {known(inGroups(16)), knows(5003, 6003), "TooManyGroups"},
		"silent, and disputed otherwise": {silent, knows(5004, 6003), "IdentitySilent"},
	} {
		t.Run(name, func(t *testing.T) {
			injected := newEdge(t, agreeing(knows(5003, 6003, 7001), knows(5003, 6003))).injected(t, notebook)
			e := newEdge(t, agreeing(now.directory, now.share))
			_, r := e.post(t, "/verify", review(injected))
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, 503, r.Response.Status.Code)
			assert.Contains(t, r.Response.Status.Message, "try again")
			_, r = e.post(t, "/mutate", review(notebook))
			assert.Equal(t, now.reason, r.Response.Status.Reason)
		})
	}
}
