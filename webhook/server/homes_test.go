package server_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// homesByField returns a configuration with homes from the directory service.
func homesByField() *config.Config {
	c := config.Default()
	c.Share.HomePrefix = "/hpc"
	c.Share.Directories = []config.Directory{{SubPath: "projects", MountPath: "/data/hpc/projects", Access: config.AccessReadWrite}}
	return c
}

func livesAt(home string, groups ...int64) identityFunc {
	id := identity.New(5003, 6003, groups)
	id.Home = home
	return known(id)
}

// TestAHomeOfTheDirectoryService: the home of the home field is mounted, and the init container sees only the directory
// above it.
func TestAHomeOfTheDirectoryService(t *testing.T) {
	e := newEdgeOf(t, homesByField(), livesAt("/hpc/home/q/qiang.guo03", 680, 7001), nil)
	made := e.injected(t, notebook)
	for _, part := range []string{
		`"jupyter-user.io/home":"/hpc/home/q/qiang.guo03"`, `"jupyter-user.io/identity":"5003:6003:7001"`,
		`"readOnly":true,"mountPath":"/data/hpc/home/q","subPath":"home/q"`,
		`"mountPath":"/data/hpc/home/q/qiang.guo03","subPath":"home/q/qiang.guo03"`,
		`"mountPath":"/home/qiang.guo03","subPath":"home/q/qiang.guo03"`, `"--homes=/data/hpc/home/q"`,
	} {
		assert.Contains(t, made, part)
	}
	assert.Equal(t, 1, strings.Count(made, `"subPath":"home/q"`), "only the init container sees the directory above the home")
	_, r := e.post(t, "/verify", review(made))
	assert.True(t, r.Response.Allowed, r.Response.Status.Message)
	_, r = e.post(t, "/mutate", review(made))
	assert.Empty(t, r.Response.Patch, "a second pass changes nothing")
}

// TestHomeFieldsThatAreNone: home fields that cannot be the user's are denied before anything is planned, and the message
// does not show them.
func TestHomeFieldsThatAreNone(t *testing.T) {
	for name, c := range map[string]struct{ field, says string }{
		"no home":               {"", "is empty"},
		"upwards":               {"/hpc/home/b/../../x/qiang.guo03", `must not contain ".."`},
		"another user's home":   {"/hpc/home/b/bob", "must end with the user's name"},
		"inside another's home": {"/hpc/home/b/bob/shared", "must end with the user's name"},
		"the share's root":      {"/hpc", "must be below /hpc (share.homePrefix)"},
		"in the share's root":   {"/hpc/qiang.guo03", "must not be directly in the root of the share"},
		"elsewhere":             {"/home/qiang.guo03", "must be below /hpc (share.homePrefix)"},
		"in a directory":        {"/hpc/projects/qiang.guo03", "must lie apart from /data/hpc/projects of share.directories"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdgeOf(t, homesByField(), livesAt(c.field), nil)
			for _, path := range []string{"/mutate", "/mutate/restricted"} {
				_, r := e.post(t, path, review(notebook))
				assert.False(t, r.Response.Allowed)
				assert.Empty(t, r.Response.Patch)
				assert.Equal(t, 403, r.Response.Status.Code)
				assert.Equal(t, "HomeUnusable", r.Response.Status.Reason)
				assert.Contains(t, r.Response.Status.Message, "the home field of qiang.guo03 in the directory service "+c.says)
				assert.NotContains(t, r.Response.Status.Message, "bob", "the requester may have no access to that user")
			}
		})
	}
}

// TestAHomeFieldThatChanges: a home field that changes between the two reviews of one Pod, or differs in another replica,
// gives 503 and does not blame the Pod.
func TestAHomeFieldThatChanges(t *testing.T) {
	const home = "/hpc/home/q/qiang.guo03"
	made := newEdgeOf(t, homesByField(), livesAt(home), nil).injected(t, notebook)
	for name, c := range map[string]struct {
		now    webhook.Identities
		reason string
	}{
		"as before":                  {livesAt(home), ""},
		"remembered is older":        {cachedIdentities{livesAt("/hpc/old/qiang.guo03"), livesAt(home)}, ""},
		"moved":                      {livesAt("/hpc/home/2/qiang.guo03"), "IdentityDiffers"},
		"moved to where no home is":  {livesAt("/hpc/home/b/bob"), "IdentityDiffers"},
		"moved, and remembered here": {cachedIdentities{livesAt(home), silent}, ""},
		"gone":                       {identityFunc(unusable), "IdentityDiffers"},
		"silent now":                 {cachedIdentities{livesAt("/hpc/old/qiang.guo03"), silent}, "IdentitySilent"},
	} {
		t.Run(name, func(t *testing.T) {
			_, r := newEdgeOf(t, homesByField(), c.now, nil).post(t, "/verify", review(made))
			assert.Equal(t, c.reason == "", r.Response.Allowed)
			assert.Equal(t, c.reason, r.Response.Status.Reason)
			if c.reason != "" {
				assert.Equal(t, 503, r.Response.Status.Code)
				assert.Contains(t, r.Response.Status.Message, "try again")
			}
		})
	}
}

// TestAForgedHome: a Pod is denied if its annotation, its mounts or both are for another home.
func TestAForgedHome(t *testing.T) {
	e := newEdgeOf(t, homesByField(), livesAt("/hpc/home/q/qiang.guo03"), nil)
	made := e.injected(t, notebook)
	for name, c := range map[string]struct {
		change []string
		reason string
	}{
		"the annotation":            {[]string{`"/hpc/home/q/qiang.guo03"`, `"/hpc/home/b/qiang.guo03"`}, "IdentityDiffers"},
		"annotation and mounts":     {[]string{`home/q`, `home/b`}, "IdentityDiffers"},
		"no annotation":             {[]string{`"jupyter-user.io/home":"/hpc/home/q/qiang.guo03",`, ``}, "IdentityDiffers"},
		"the mounts":                {[]string{`"subPath":"home/q/qiang.guo03"`, `"subPath":"home/b/bob"`}, "MountForeign"},
		"the init container's":      {[]string{`"subPath":"home/q"`, `"subPath":"home"`}, "Drifted"},
		"the whole share in its":    {[]string{`"mountPath":"/data/hpc/home/q","subPath":"home/q"`, `"mountPath":"/data/hpc/home/q"`}, "Drifted"},
		"no identity, so no home's": {[]string{`"jupyter-user.io/identity":"5003:6003",`, ``}, "IdentityDiffers"},
	} {
		t.Run(name, func(t *testing.T) {
			forged := strings.ReplaceAll(made, c.change[0], c.change[1])
			require.NotEqual(t, made, forged)
			_, r := e.post(t, "/verify", review(forged))
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, c.reason, r.Response.Status.Reason, r.Response.Status.Message)
		})
	}
}

// TestAHomeWithoutAnIdentity: with homes from the directory service there is no discovery at start.
func TestAHomeWithoutAnIdentity(t *testing.T) {
	for _, identities := range []webhook.Identities{nil, identityFunc(nobodyKnown)} {
		_, r := newEdgeOf(t, homesByField(), identities, nil).post(t, "/mutate", review(notebook))
		assert.False(t, r.Response.Allowed)
		assert.Equal(t, "IdentityUnknown", r.Response.Status.Reason)
	}
	plain := newEdge(t, known(identity.Identity{UID: 5003, GID: 6003}))
	_, r := plain.post(t, "/verify", review(strings.Replace(plain.injected(t, notebook), `"jupyter-user.io/config":`,
		`"jupyter-user.io/home":"/hpc/home/b/bob","jupyter-user.io/config":`, 1)))
	assert.Equal(t, "Drifted", r.Response.Status.Reason, "with homes by pattern the Pod must not have the annotation")
}
