package server_test

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// found is who knows identities, as a function.
type found func(context.Context, user.Name) (*identity.Identity, error)

func (f found) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return f(ctx, name)
}

// FindUncached is Find: nothing is remembered.
func (f found) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return f.Find(ctx, name)
}

// remembering is who answers Find from memory, and FindUncached by looking.
type remembering struct{ found, anew found }

func (r remembering) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return r.found(ctx, name)
}

func (r remembering) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return r.anew(ctx, name)
}

func known(id identity.Identity) found {
	return func(context.Context, user.Name) (*identity.Identity, error) { return &id, nil }
}

func TestAKnownIdentityIsWrittenIntoThePod(t *testing.T) {
	e := newEdge(t, known(identity.Identity{UID: 5003, GID: 6003}))
	for _, path := range []string{"/mutate", "/mutate/restricted"} {
		_, r := e.post(t, path, review(notebook))
		assert.True(t, r.Response.Allowed)
		patch, err := base64.StdEncoding.DecodeString(r.Response.Patch)
		require.NoError(t, err)
		assert.Contains(t, string(patch), `"jupyter-user.io/identity":"5003:6003"`)
		assert.Contains(t, string(patch), `"jupyter-user.io/discovery":"AtAdmission"`)
		assert.Contains(t, string(patch), `"runAsUser":5003`)
	}
	for _, line := range e.log.Lines(t, "admission") {
		assert.Equal(t, "AtAdmission", line["discovery"])
	}
}

func TestTheOneWhoIsAskedForIsTheOneInTheLabel(t *testing.T) {
	var asked []string
	e := newEdge(t, found(func(_ context.Context, name user.Name) (*identity.Identity, error) {
		asked = append(asked, name.String())
		return nil, nil
	}))
	_, r := e.post(t, "/mutate", review(notebook))
	assert.True(t, r.Response.Allowed, "who is not known finds the identity at start")
	e.post(t, "/mutate", review(document("", oneContainer)))
	e.post(t, "/mutate", review(document(`,"labels":{"jupyter-user":"../x"}`, oneContainer)))
	assert.Equal(t, []string{"qiang.guo03"}, asked, "nobody is asked for a name that is none")
}

func TestThePathSaysWhetherTheNamespaceIsRestricted(t *testing.T) {
	e := newEdge(t, nil)
	_, r := e.post(t, "/mutate", review(notebook))
	assert.True(t, r.Response.Allowed)

	_, r = e.post(t, "/mutate/restricted", review(notebook))
	assert.False(t, r.Response.Allowed)
	assert.Equal(t, 403, r.Response.Status.Code)
	assert.Equal(t, "RestrictedNeedsIdentity", r.Response.Status.Reason)
	assert.Contains(t, r.Response.Status.Message, "namespace science enforces the Pod Security Standard restricted")
}

// TestAnIdentityThatCannotBeFound is 503: it is no fault of the pod's, and trying again may help. Why is in the log alone.
func TestAnIdentityThatCannotBeFound(t *testing.T) {
	e := newEdge(t, found(func(context.Context, user.Name) (*identity.Identity, error) {
		return nil, errors.New("stat /share/home: stale file handle")
	}))
	_, r := e.post(t, "/mutate", review(notebook))
	assert.False(t, r.Response.Allowed)
	assert.Equal(t, uid, r.Response.UID)
	assert.Equal(t, 503, r.Response.Status.Code)
	assert.Equal(t, "IdentitySilent", r.Response.Status.Reason)
	assert.NotContains(t, r.Response.Status.Message, "stale")

	lines := e.log.Lines(t, "")
	require.Len(t, lines, 1)
	assert.Equal(t, "ERROR", lines[0]["level"])
	assert.Equal(t, "fault", lines[0]["outcome"])
	assert.Equal(t, []any{"IdentitySilent"}, lines[0]["reasons"])
	assert.Equal(t, "find the identity of qiang.guo03: stat /share/home: stale file handle", lines[0]["fault"])
}

// TestASlowSourceIsNotWaitedFor: the deadline is there, and it is short enough for an answer within a second.
func TestASlowSourceIsNotWaitedFor(t *testing.T) {
	e := newEdge(t, found(func(ctx context.Context, _ user.Name) (*identity.Identity, error) {
		deadline, ok := ctx.Deadline()
		assert.True(t, ok)
		assert.Less(t, time.Until(deadline), time.Second)
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	watch := machine.For(t)
	began := time.Now()
	_, r := e.post(t, "/mutate", review(notebook))
	watch.Within(t, time.Since(began), 3*time.Second, "an answer, when KubeSpawner's client gives up")
	assert.Equal(t, 503, r.Response.Status.Code)
}

func TestAnIdentityUnderTheFloorIsRefused(t *testing.T) {
	for name, id := range map[string]identity.Identity{
		"root":                  {UID: 0, GID: 6003},
		"a system account":      {UID: 999, GID: 6003},
		"nobody":                {UID: 65534, GID: 6003},
		"root's group":          {UID: 5003, GID: 0},
		"in root's group":       {UID: 5003, GID: 6003, Groups: []int64{0}},
		"a UID beyond 31 bits":  {UID: 1 << 31, GID: 6003},
		"a UID less than none":  {UID: -1, GID: 6003},
		"a group beyond them":   {UID: 5003, GID: 6003, Groups: []int64{1 << 31}},
		"the wrap-around of it": {UID: 1 << 32, GID: 6003},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, known(id))
			_, r := e.post(t, "/mutate", review(notebook))
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, 403, r.Response.Status.Code)
			assert.Equal(t, "IdentityDenied", r.Response.Status.Reason)
		})
	}
}

// TestAPanicIsAnAnswer: code 500, in the log with where it happened, and the next review is answered.
func TestAPanicIsAnAnswer(t *testing.T) {
	broken := true
	e := newEdge(t, found(func(context.Context, user.Name) (*identity.Identity, error) {
		if broken {
			panic(errors.New("the share fell off"))
		}
		return nil, nil
	}))
	status, r := e.post(t, "/mutate", review(notebook))
	assert.Equal(t, 200, status)
	assert.False(t, r.Response.Allowed)
	assert.Equal(t, uid, r.Response.UID)
	assert.Equal(t, 500, r.Response.Status.Code)
	assert.Equal(t, "InternalError", r.Response.Status.Reason)
	assert.Contains(t, r.Response.Status.Message, uid, "by which the admin finds it")
	assert.NotContains(t, r.Response.Status.Message, "the share fell off")

	require.Len(t, e.log.Lines(t, "admission"), 1)
	assert.Equal(t, "fault", e.log.Lines(t, "admission")[0]["outcome"])
	panics := e.log.Lines(t, "panic")
	require.Len(t, panics, 1)
	assert.Equal(t, "ERROR", panics[0]["level"])
	assert.Equal(t, uid, panics[0]["uid"])
	assert.Contains(t, panics[0]["fault"], "the share fell off")
	assert.Contains(t, panics[0]["stack"], "identities_test.go")

	broken = false
	_, r = e.post(t, "/mutate", review(notebook))
	assert.True(t, r.Response.Allowed)
}

// TestPasswdAndShareHaveToAgree: passwd for the groups, the share for the truth. The sentence names both.
func TestPasswdAndShareHaveToAgree(t *testing.T) {
	account := identity.New(5003, 6003, []int64{7001})
	for name, c := range map[string]struct {
		passwd, share found
		identity      string
		code          int
		reason, says  string
	}{
		"they agree":               {known(account), known(identity.New(5003, 6003, nil)), "5003:6003:7001", 0, "", ""},
		"the GID is passwd's":      {known(account), known(identity.New(5003, 5003, nil)), "5003:6003:7001", 0, "", ""},
		"neither knows the person": {nobodyKnown, nobodyKnown, "", 0, "", ""},
		"another UID": {known(account), known(identity.New(5004, 6003, nil)), "", 403, "IdentityDisputed",
			"qiang.guo03 is UID 5003 in passwd, and the home on the share belongs to UID 5004: ask the admin which of the two is right"},
		"an account without a home": {known(account), nobodyKnown, "", 403, "IdentityDisputed",
			"qiang.guo03 is UID 5003 in passwd, and has no home on the share: ask the admin for one"},
		"a home without an account": {nobodyKnown, known(account), "", 403, "IdentityDisputed",
			"the home of qiang.guo03 belongs to UID 5003, and passwd knows nobody of that name: ask the admin for the account, or whether " +
				"the home is still somebody's"},
		"a silent share":  {known(account), silent, "", 503, "IdentitySilent", "cannot be found out at the moment"},
		"a silent passwd": {silent, known(account), "", 503, "IdentitySilent", "cannot be found out at the moment"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, webhook.Agreeing{Passwd: c.passwd, Share: c.share})
			_, r := e.post(t, "/mutate", review(notebook))
			assert.Equal(t, c.code == 0, r.Response.Allowed)
			assert.Equal(t, c.reason, r.Response.Status.Reason)
			assert.Contains(t, r.Response.Status.Message, c.says)
			assert.Equal(t, c.identity, r.Response.AuditAnnotations["identity"])
			if c.code == 0 {
				_, r = e.post(t, "/verify", review(e.made(t, notebook)))
				assert.True(t, r.Response.Allowed, r.Response.Status.Message)
			}
		})
	}
}
