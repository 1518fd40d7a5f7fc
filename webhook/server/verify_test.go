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

// injected returns the Pod after its injection by this edge.
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

func TestWhatWasMadeIsVerified(t *testing.T) {
	for name, who := range map[string]struct {
		identities webhook.Identities
		discovery  string
		kept       map[string]string
	}{
		"at admission": {known(identity.Identity{UID: 5003, GID: 6003}), "AtAdmission",
			map[string]string{"requester": "qiang", "user": "qiang.guo03", "discovery": "AtAdmission", "identity": "5003:6003"}},
		"at start": {nil, "AtStart",
			map[string]string{"requester": "qiang", "user": "qiang.guo03", "discovery": "AtStart"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, who.identities)
			_, r := e.post(t, "/verify", review(e.injected(t, notebook)))
			assert.True(t, r.Response.Allowed, r.Response.Status.Message)
			assert.Empty(t, r.Response.Patch, "a verifier changes nothing")
			assert.Empty(t, r.Response.Warnings)
			assert.Equal(t, who.kept, r.Response.AuditAnnotations)
			lines := e.log.Lines(t, "admission")
			require.Len(t, lines, 1)
			assert.Equal(t, "verify", lines[0]["review"])
			assert.Equal(t, "verified", lines[0]["outcome"])
			assert.Equal(t, who.discovery, lines[0]["discovery"])
			assert.Contains(t, e.metrics(t),
				`jupyter_user_admissions_total{discovery="`+who.discovery+`",outcome="verified",reason="",review="verify"} 1`)
		})
	}
}

func nobodyKnown(context.Context, user.Name) (*identity.Identity, error) { return nil, nil }

// TestWhatTheVerifierDenies has Pods that another webhook has changed, or that were written by hand.
func TestWhatTheVerifierDenies(t *testing.T) {
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
		"an identity that nobody knows": {
			[]string{`"jupyter-user.io/discovery":`, `"jupyter-user.io/identity":"5003:6003","jupyter-user.io/discovery":`},
			"IdentityDiffers", "metadata.annotations[jupyter-user.io/identity]",
			"the identity of qiang.guo03 has changed between the two reviews of this pod: try again, and if that does not help ask the admin which other " +
				"webhook writes this annotation"},
		"an identity that is none": {
			[]string{`"jupyter-user.io/discovery":`, `"jupyter-user.io/identity":"root","jupyter-user.io/discovery":`},
			"Drifted", "metadata.annotations[jupyter-user.io/identity]", drifted},
		"no label": {
			[]string{`"jupyter-user":"qiang.guo03"`, `"app":"x"`}, "NotInjected", "",
			"the pod has the annotation jupyter-user.io/config, but is not a user's notebook: it has no label that names a user; remove that part, " +
				"or label the pod jupyter-user and leave the rest to the webhook"},
		"opting out afterwards": {
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

// TestNeverMade has Pods that no webhook has injected, each with one part of a notebook. The verifier denies them.
func TestNeverMade(t *testing.T) {
	const hubs = `,"annotations":{"hub.jupyter.org/username":"alice"}`
	for name, body := range map[string]string{
		"a label":                       notebook,
		"a hub's server":                document(`,"labels":{"hub.jupyter.org/username":"alice","component":"singleuser-server"}`+hubs, oneContainer),
		"an annotation":                 document(`,"annotations":{"jupyter-user.io/user":"alice"}`, oneContainer),
		"an annotation that is asked":   document(`,"annotations":{"jupyter-user.io/probes":"on"}`, oneContainer),
		"an annotation of no name":      document(`,"annotations":{"jupyter-user.io/":""}`, oneContainer),
		"an annotation on a hub's Pod":  document(`,"labels":{"hub.jupyter.org/username":"alice"},"annotations":{"hub.jupyter.org/username":"alice","jupyter-user.io/user":"alice"}`, oneContainer),
		"an annotation of an opted out": document(`,"labels":{"jupyter-user":"alice"},"annotations":{"jupyter-user.io/inject":"false","jupyter-user.io/discovery":"x"}`, oneContainer),
		"the init container":            document("", oneContainer+`,"initContainers":[{"name":"jupyter-user-init"}]`),
		"its name on another":           document("", `"containers":[{"name":"jupyter-user-init"}]`),
		"its name on the second":        document("", oneContainer+`,"initContainers":[{"name":"a"},{"name":"jupyter-user-init"}]`),
		"its name on a debug container": document("", oneContainer+`,"ephemeralContainers":[{"name":"jupyter-user-init"}]`),
	} {
		t.Run(name, func(t *testing.T) {
			_, r := newEdge(t, nil).post(t, "/verify", review(body))
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, "NotInjected", r.Response.Status.Reason)
		})
	}
}

// TestNoneOfOurs has Pods that the verifier admits. The policies may deny them.
func TestNoneOfOurs(t *testing.T) {
	const share = `,"volumes":[{"name":"all","persistentVolumeClaim":{"claimName":"hpc-shared-pvc"}}]`
	for name, body := range map[string]string{
		"nothing of ours":      document("", oneContainer),
		"a hub's other Pod":    document(`,"labels":{"hub.jupyter.org/username":"alice"},"annotations":{"hub.jupyter.org/username":"alice"}`, oneContainer),
		"opted out":            document(`,"labels":{"jupyter-user":"alice"},"annotations":{"jupyter-user.io/inject":"false"}`, oneContainer),
		"opted out of nothing": document(`,"annotations":{"jupyter-user.io/inject":"off"}`, oneContainer),
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

// TestOptingOutInAnotherWord: both reviews deny a value other than "false", with the same sentence.
func TestOptingOutInAnotherWord(t *testing.T) {
	body := document(`,"labels":{"jupyter-user":"alice"},"annotations":{"jupyter-user.io/inject":"off"}`, oneContainer)
	for _, path := range []string{"/mutate", "/verify"} {
		_, r := newEdge(t, nil).post(t, path, review(body))
		assert.False(t, r.Response.Allowed)
		assert.Equal(t, 422, r.Response.Status.Code)
		assert.Equal(t, "AnnotationInvalid", r.Response.Status.Reason)
		assert.Contains(t, r.Response.Status.Message, `"off" is not "false", the only value, which leaves the Pod as it is`)
	}
}

// TestTheIdentityIsHeldAgainstItsSource compares the identity on the Pod with the source. A different identity and a silent
// source have different reasons.
func TestTheIdentityIsHeldAgainstItsSource(t *testing.T) {
	alice := identity.Identity{UID: 5003, GID: 6003}
	for name, c := range map[string]struct {
		before       webhook.Identities
		now          identityFunc
		code         int
		reason, says string
	}{
		"a source that came to be":  {nil, known(alice), 503, "IdentityDiffers", "try again"},
		"an account that is none":   {known(alice), unusable, 503, "IdentityDiffers", "try again"},
		"a home that went":          {known(alice), nobodyKnown, 503, "IdentityDiffers", "try again"},
		"a home of another owner":   {known(alice), known(identity.Identity{UID: 5004, GID: 6003}), 503, "IdentityDiffers", "try again"},
		"a home of another group":   {known(alice), known(identity.Identity{UID: 5003, GID: 6004}), 503, "IdentityDiffers", "try again"},
		"a group more":              {known(alice), known(identity.New(5003, 6003, []int64{7001})), 503, "IdentityDiffers", "try again"},
		"a source that went silent": {known(alice), silent, 503, "IdentitySilent", "try again"},
	} {
		t.Run(name, func(t *testing.T) {
			made := newEdge(t, c.before).injected(t, notebook)
			e := newEdge(t, c.now)
			_, r := e.post(t, "/verify", review(made))
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, c.code, r.Response.Status.Code)
			assert.Equal(t, c.reason, r.Response.Status.Reason)
			assert.Contains(t, r.Response.Status.Message, c.says)
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

// TestACachedResultIsNoGround: a cached result does not deny an identity that another replica has just found.
func TestACachedResultIsNoGround(t *testing.T) {
	alice := known(identity.Identity{UID: 5003, GID: 6003})
	made := newEdge(t, alice).injected(t, notebook)
	for name, c := range map[string]struct {
		source webhook.Identities
		reason string
	}{
		"it came to be since":          {cachedIdentities{nobodyKnown, alice}, ""},
		"it was another's before":      {cachedIdentities{known(identity.Identity{UID: 1, GID: 1}), alice}, ""},
		"it is what is remembered":     {cachedIdentities{alice, silent}, ""},
		"it is neither then nor now":   {cachedIdentities{nobodyKnown, nobodyKnown}, "IdentityDiffers"},
		"nobody can tell what it is":   {cachedIdentities{nobodyKnown, silent}, "IdentitySilent"},
		"what it was before is silent": {cachedIdentities{silent, alice}, "IdentitySilent"},
		"it was unusable before":       {cachedIdentities{unusable, alice}, ""},
		"it is unusable now":           {cachedIdentities{nobodyKnown, unusable}, "IdentityDiffers"},
	} {
		t.Run(name, func(t *testing.T) {
			_, r := newEdge(t, c.source).post(t, "/verify", review(made))
			assert.Equal(t, c.reason == "", r.Response.Allowed)
			assert.Equal(t, c.reason, r.Response.Status.Reason)
		})
	}
}

// TestSourcesThatDifferBetweenTwoReviews: if the sources change between the two reviews of a Pod, the second returns 503 "try
// again". When the Pod is created again, it is denied with the true reason.
func TestSourcesThatDifferBetweenTwoReviews(t *testing.T) {
	of := func(uid, gid int64, groups ...int64) identityFunc { return known(identity.New(uid, gid, groups)) }
	for name, now := range map[string]struct {
		directory, share identityFunc
		again            string
	}{
		"another UID in one":             {of(5004, 6003, 7001), of(5003, 6003), "IdentityDisputed"},
		"another UID in both":            {of(5004, 6003, 7001), of(5004, 6003), ""},
		"another GID":                    {of(5003, 6004, 7001), of(5003, 6003), ""},
		"another group":                  {of(5003, 6003, 7002), of(5003, 6003), ""},
		"disabled in one":                {nobodyKnown, of(5003, 6003), "IdentityDisputed"},
		"gone from both":                 {nobodyKnown, nobodyKnown, "IdentityUnknown"},
		"without a UID":                  {unusable, of(5003, 6003), "IdentityUnusable"},
		"under the floor":                {of(999, 6003, 7001), of(999, 6003), "IdentityDenied"},
		"in more groups than a Pod has":  {known(inGroups(16)), of(5003, 6003), "TooManyGroups"},
		"silent, and disputed otherwise": {silent, of(5004, 6003), "IdentitySilent"},
	} {
		t.Run(name, func(t *testing.T) {
			made := newEdge(t, agreeing(of(5003, 6003, 7001), of(5003, 6003))).injected(t, notebook)
			e := newEdge(t, agreeing(now.directory, now.share))
			_, r := e.post(t, "/verify", review(made))
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, 503, r.Response.Status.Code)
			assert.Contains(t, r.Response.Status.Message, "try again")
			_, r = e.post(t, "/mutate", review(notebook))
			assert.Equal(t, now.again, r.Response.Status.Reason)
		})
	}
}
