package server_test

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// identityFunc is a function that implements webhook.Identities.
type identityFunc func(context.Context, user.Name) (*identity.Identity, error)

func (f identityFunc) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return f(ctx, name)
}

// FindUncached returns the same as Find, because there is no cache.
func (f identityFunc) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return f.Find(ctx, name)
}

// cachedIdentities has a cached result for Find, and the current result for FindUncached.
type cachedIdentities struct{ cached, current identityFunc }

func (c cachedIdentities) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return c.cached(ctx, name)
}

func (c cachedIdentities) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return c.current(ctx, name)
}

func known(id identity.Identity) identityFunc {
	return func(context.Context, user.Name) (*identity.Identity, error) { return &id, nil }
}

func TestIdentityIsInjected(t *testing.T) {
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

func TestSourcesGetUserOfLabel(t *testing.T) {
	var asked []string
	e := newEdge(t, identityFunc(func(_ context.Context, name user.Name) (*identity.Identity, error) {
		asked = append(asked, name.String())
		return nil, nil
	}))
	_, r := e.post(t, "/mutate", review(notebook))
	assert.Equal(t, "IdentityUnknown", r.Response.Status.Reason)
	e.post(t, "/mutate", review(document("", oneContainer)))
	e.post(t, "/mutate", review(document(`,"labels":{"jupyter-user":"../x"}`, oneContainer)))
	assert.Equal(t, []string{"qiang.guo03"}, asked, "no source is asked about an invalid name")
}

func TestRestrictedPath(t *testing.T) {
	e := newEdge(t, nil)
	_, r := e.post(t, "/mutate", review(notebook))
	assert.True(t, r.Response.Allowed)

	_, r = e.post(t, "/mutate/restricted", review(notebook))
	assert.False(t, r.Response.Allowed)
	assert.Equal(t, 403, r.Response.Status.Code)
	assert.Equal(t, "RestrictedNeedsIdentity", r.Response.Status.Reason)
	assert.Contains(t, r.Response.Status.Message, "namespace science enforces the Pod Security Standard restricted")
}

// TestIdentityLookupFails tests that the denial has code 503, because another attempt can succeed, and that only the log has the
// cause.
func TestIdentityLookupFails(t *testing.T) {
	e := newEdge(t, identityFunc(func(context.Context, user.Name) (*identity.Identity, error) {
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

// TestLookupDeadline tests that a slow source gets a deadline, short enough for a response within a second.
func TestLookupDeadline(t *testing.T) {
	e := newEdge(t, identityFunc(func(ctx context.Context, _ user.Name) (*identity.Identity, error) {
		deadline, ok := ctx.Deadline()
		assert.True(t, ok)
		assert.Less(t, time.Until(deadline), time.Second)
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	watch := machine.WatchDuring(t)
	began := time.Now()
	_, r := e.post(t, "/mutate", review(notebook))
	watch.Within(t, time.Since(began), 3*time.Second, "a response, before KubeSpawner's client gives up")
	assert.Equal(t, 503, r.Response.Status.Code)
}

func TestIdentityBelowFloor(t *testing.T) {
	for name, id := range map[string]identity.Identity{
		"root":             {UID: 0, GID: 6003},
		"a system account": {UID: 999, GID: 6003},
		"nobody":           {UID: 65534, GID: 6003},
		"root's group":     {UID: 5003, GID: 0},
		"a UID of 2^31":    {UID: 1 << 31, GID: 6003},
		"a negative UID":   {UID: -1, GID: 6003},
		"a UID of 2^32":    {UID: 1 << 32, GID: 6003},
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

// TestPanicIsDenial tests that a panic becomes a denial with code 500, that the log has the stack, and that the next
// review is handled.
func TestPanicIsDenial(t *testing.T) {
	broken := true
	e := newEdge(t, identityFunc(func(context.Context, user.Name) (*identity.Identity, error) {
		if broken {
			panic(errors.New("the share fell off"))
		}
		return &identity.Identity{UID: 5003, GID: 6003}, nil
	}))
	status, r := e.post(t, "/mutate", review(notebook))
	assert.Equal(t, 200, status)
	assert.False(t, r.Response.Allowed)
	assert.Equal(t, uid, r.Response.UID)
	assert.Equal(t, 500, r.Response.Status.Code)
	assert.Equal(t, "InternalError", r.Response.Status.Reason)
	assert.Contains(t, r.Response.Status.Message, uid, "the admin finds the log line by the uid")
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

// TestSourcesMustAgree tests two and three sources with every combination of their results. The cases of the switch are in the
// order of their precedence.
func TestSourcesMustAgree(t *testing.T) {
	const (
		knows, otherUID, otherGID, doesNotKnow, cannotUse, isSilent = "5003:6003:7001", "5004:6003:7001", "5003:6004", "unknown", "unusable", "silent"
	)
	sourceOf := map[string]identityFunc{
		knows: known(identity.New(5003, 6003, []int64{7001})), otherUID: known(identity.New(5004, 6003, []int64{7001})),
		otherGID: known(identity.New(5003, 6004, nil)), doesNotKnow: unknownUser, isSilent: silent,
		cannotUse: func(context.Context, user.Name) (*identity.Identity, error) {
			return nil, &identity.Unusable{Why: "has no uidNumber"}
		},
	}
	results := slices.Sorted(maps.Keys(sourceOf))
	for _, sources := range append(combinations(results, 2), combinations(results, 3)...) {
		t.Run(strings.Join(sources, " "), func(t *testing.T) {
			var all []identityFunc
			for _, result := range sources {
				all = append(all, sourceOf[result])
			}
			has := func(result string) bool { return slices.Contains(sources, result) }
			uid5003 := has(knows) || has(otherGID)
			reason, id := "", sources[0]
			switch {
			case has(isSilent):
				reason, id = "IdentitySilent", ""
			case has(cannotUse):
				reason, id = "IdentityUnusable", ""
			case !uid5003 && !has(otherUID):
				reason, id = "IdentityUnknown", ""
			case has(doesNotKnow), uid5003 && has(otherUID):
				reason, id = "IdentityDisputed", ""
			}
			e := newEdge(t, agreeing(all...))
			_, r := e.post(t, "/mutate", review(notebook))
			assert.Equal(t, reason, r.Response.Status.Reason)
			assert.Equal(t, reason == "", r.Response.Allowed)
			assert.Equal(t, id, r.Response.AuditAnnotations["identity"], "GID and groups are those of the first")
			if reason == "" {
				_, r = e.post(t, "/verify", review(e.injected(t, notebook)))
				assert.True(t, r.Response.Allowed, r.Response.Status.Message)
			}
		})
	}
}

// agreeing returns two or three sources that must agree.
func agreeing(sources ...identityFunc) (all webhook.Agreeing) {
	names := []denial.Source{denial.DirectoryService, denial.Passwd, denial.Share}
	for i, source := range sources {
		all = append(all, webhook.Source{Name: names[i], Identities: source})
	}
	return all
}

// combinations returns every sequence of n values.
func combinations(values []string, n int) [][]string {
	if n == 0 {
		return [][]string{nil}
	}
	var all [][]string
	for _, shorter := range combinations(values, n-1) {
		for _, value := range values {
			all = append(all, append(slices.Clone(shorter), value))
		}
	}
	return all
}

// TestDisputeMessage tests that the denial has the result of each source. If the account in one source is unusable, the
// denial has only the result of that source.
func TestDisputeMessage(t *testing.T) {
	at := func(uid int64) identityFunc { return known(identity.New(uid, 6003, nil)) }
	for _, c := range []struct {
		directory, passwd, share identityFunc
		message                  string
	}{
		{at(5003), at(5003), at(5004), "the sources disagree about the user qiang.guo03: the directory service has UID 5003, passwd has " +
			"UID 5003, and the home on the share belongs to UID 5004; all of them must know the user, with the same UID, so ask the admin which is right"},
		{unknownUser, at(5003), unknownUser, "the sources disagree about the user qiang.guo03: the directory service has no such user, passwd " +
			"has UID 5003, and there is no home on the share; all of them must know the user, with the same UID, so ask the admin which is right"},
		{at(5003), at(5003), unknownUser, "the sources disagree about the user qiang.guo03: the directory service has UID 5003, passwd " +
			"has UID 5003, and there is no home on the share; all of them must know the user, with the same UID, so ask the admin to make " +
			"the home (jupyter-user-webhook homes makes missing homes)"},
		{func(context.Context, user.Name) (*identity.Identity, error) {
			return nil, &identity.Unusable{Why: "has no uidNumber"}
		}, at(5003), at(5003), "qiang.guo03 has no uidNumber: ask the admin of the directory service to correct the account"},
	} {
		e := newEdge(t, agreeing(c.directory, c.passwd, c.share))
		_, r := e.post(t, "/mutate", review(notebook))
		assert.Equal(t, 403, r.Response.Status.Code)
		assert.Equal(t, c.message, r.Response.Status.Message)
	}
}

// TestSourcesAreAskedConcurrently uses three sources. Each of them returns only when all three have been called.
func TestSourcesAreAskedConcurrently(t *testing.T) {
	var asked sync.WaitGroup
	asked.Add(3)
	waits := identityFunc(func(context.Context, user.Name) (*identity.Identity, error) {
		asked.Done()
		asked.Wait()
		return &identity.Identity{UID: 5003, GID: 6003}, nil
	})
	e := newEdge(t, agreeing(waits, waits, waits))
	_, r := e.post(t, "/mutate", review(notebook))
	assert.True(t, r.Response.Allowed)
}

// TestUnknownUser tests a Pod whose user has no identity. The path /mutate admits the Pod if identity.discovery is AtStart,
// or if it is Auto and there is no source. In all other cases the Pod is denied.
func TestUnknownUser(t *testing.T) {
	for name, c := range map[string]struct {
		sources            webhook.Identities
		discovery          config.Discovery
		reason, restricted string
	}{
		"Auto, one source":        {identityFunc(unknownUser), config.DiscoveryAuto, "IdentityUnknown", "IdentityUnknown"},
		"Auto, two sources":       {agreeing(unknownUser, unknownUser), config.DiscoveryAuto, "IdentityUnknown", "IdentityUnknown"},
		"Auto, no source":         {nil, config.DiscoveryAuto, "", "RestrictedNeedsIdentity"},
		"AtAdmission, one source": {identityFunc(unknownUser), config.DiscoveryAtAdmission, "IdentityUnknown", "IdentityUnknown"},
		"AtAdmission, no source":  {nil, config.DiscoveryAtAdmission, "IdentityUnknown", "IdentityUnknown"},
		"AtStart, one source":     {identityFunc(unknownUser), config.DiscoveryAtStart, "", "RestrictedNeedsIdentity"},
		"AtStart, source fails":   {identityFunc(silent), config.DiscoveryAtStart, "", "RestrictedNeedsIdentity"},
	} {
		t.Run(name, func(t *testing.T) {
			configured := config.Default()
			configured.Identity.Discovery = c.discovery
			e := newEdgeOf(t, configured, c.sources, nil)
			_, r := e.post(t, "/mutate", review(notebook))
			assert.Equal(t, c.reason == "", r.Response.Allowed)
			assert.Equal(t, c.reason, r.Response.Status.Reason)
			if c.reason != "" {
				assert.Equal(t, 403, r.Response.Status.Code)
				assert.Empty(t, r.Response.Patch)
			}
			_, r = e.post(t, "/mutate/restricted", review(notebook))
			assert.Equal(t, c.restricted, r.Response.Status.Reason)
		})
	}
}
