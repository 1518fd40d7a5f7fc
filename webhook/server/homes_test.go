package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// homesByField returns a configuration with homes from the home field of the directory service.
func homesByField() *config.Config {
	c := config.Default()
	c.Share.HomePrefix = "/hpc"
	c.Share.Directories = []config.Directory{{SubPath: "projects", MountPath: "/data/hpc/projects", Access: config.AccessReadWrite}}
	return c
}

func withHome(home string, groups ...int64) identityFunc {
	id := identity.New(5003, 6003, groups)
	id.Home = home
	return known(id)
}

// TestHomeByField tests that the home from the home field is mounted, and that only the init container sees the directory
// above the home.
func TestHomeByField(t *testing.T) {
	e := newEdgeOf(t, homesByField(), withHome("/hpc/home/q/qiang.guo03", 680, 7001), nil)
	injected := e.injected(t, notebook)
	for _, part := range []string{
		`"jupyter-user.io/home":"/hpc/home/q/qiang.guo03"`, `"jupyter-user.io/identity":"5003:6003:7001"`,
		`"readOnly":true,"mountPath":"/data/hpc/home/q","subPath":"home/q"`,
		`"mountPath":"/data/hpc/home/q/qiang.guo03","subPath":"home/q/qiang.guo03"`,
		`"mountPath":"/home/qiang.guo03","subPath":"home/q/qiang.guo03"`, `"--homes=/data/hpc/home/q"`,
	} {
		assert.Contains(t, injected, part)
	}
	assert.Equal(t, 1, strings.Count(injected, `"subPath":"home/q"`), "only the init container sees the directory above the home")
	_, r := e.post(t, "/verify", review(injected))
	assert.True(t, r.Response.Allowed, r.Response.Status.Message)
	_, r = e.post(t, "/mutate", review(injected))
	assert.Empty(t, r.Response.Patch, "a second pass changes nothing")
}

// TestInvalidHomeFields tests that Pods of users with an invalid home field are denied, and that the message does not show
// another user's name from that field.
func TestInvalidHomeFields(t *testing.T) {
	for name, c := range map[string]struct{ field, why string }{
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
			e := newEdgeOf(t, homesByField(), withHome(c.field), nil)
			for _, path := range []string{"/mutate", "/mutate/restricted"} {
				_, r := e.post(t, path, review(notebook))
				assert.False(t, r.Response.Allowed)
				assert.Empty(t, r.Response.Patch)
				assert.Equal(t, 403, r.Response.Status.Code)
				assert.Equal(t, "HomeUnusable", r.Response.Status.Reason)
				assert.Contains(t, r.Response.Status.Message, "the home field of qiang.guo03 "+c.why)
				assert.NotContains(t, r.Response.Status.Message, "bob", "a requester without access to that user gets the message too")
			}
		})
	}
}

// TestHomeInUnsafeDirectory tests the denials of a home below a directory in which another user could replace homes.
func TestHomeInUnsafeDirectory(t *testing.T) {
	for why, parent := range map[string]identity.BadParent{
		"which belongs to UID 5001 on the share: its owner could replace a home with another directory; ask the admin to chown": {Owner: 5001},
		"UID 65534 is nobody": {Owner: 65534},
		"in which others than root may write on the share (mode 0777): they could replace a home with another directory; ask the admin " +
			"for chmod go-w on that directory": {Mode: 0o777},
		"is a symbolic link": {Link: true},
	} {
		parent.Dir = "home"
		e := newEdge(t, identityFunc(func(context.Context, user.Name) (*identity.Identity, error) {
			return nil, &identity.Unusable{Parent: &parent}
		}))
		_, r := e.post(t, "/mutate", review(notebook))
		assert.Equal(t, "HomeUnusable", r.Response.Status.Reason, why)
		assert.Contains(t, r.Response.Status.Message, why)
	}
}

// TestVerifyAfterHomeChange tests a home field that changes between the two reviews of one Pod, or differs in another replica.
func TestVerifyAfterHomeChange(t *testing.T) {
	const home = "/hpc/home/q/qiang.guo03"
	injected := newEdgeOf(t, homesByField(), withHome(home), nil).injected(t, notebook)
	for name, c := range map[string]struct {
		now    webhook.Identities
		reason string
	}{
		"unchanged":                           {withHome(home), ""},
		"older result in cache":               {cachedIdentities{withHome("/hpc/old/qiang.guo03"), withHome(home)}, ""},
		"moved":                               {withHome("/hpc/home/2/qiang.guo03"), "IdentityDiffers"},
		"moved to an invalid home":            {withHome("/hpc/home/b/bob"), "IdentityDiffers"},
		"unchanged in cache, source fails":    {cachedIdentities{withHome(home), silent}, ""},
		"unusable account":                    {identityFunc(unusable), "IdentityDiffers"},
		"older result in cache, source fails": {cachedIdentities{withHome("/hpc/old/qiang.guo03"), silent}, "IdentitySilent"},
	} {
		t.Run(name, func(t *testing.T) {
			_, r := newEdgeOf(t, homesByField(), c.now, nil).post(t, "/verify", review(injected))
			assert.Equal(t, c.reason == "", r.Response.Allowed)
			assert.Equal(t, c.reason, r.Response.Status.Reason)
			if c.reason != "" {
				assert.Equal(t, 503, r.Response.Status.Code)
				assert.Contains(t, r.Response.Status.Message, "try again")
			}
		})
	}
}

// TestForgedHome tests Pods whose annotations or mounts were changed or removed after the injection.
func TestForgedHome(t *testing.T) {
	e := newEdgeOf(t, homesByField(), withHome("/hpc/home/q/qiang.guo03"), nil)
	injected := e.injected(t, notebook)
	for name, c := range map[string]struct {
		change []string
		reason string
	}{
		"the annotation":                    {[]string{`"/hpc/home/q/qiang.guo03"`, `"/hpc/home/b/qiang.guo03"`}, "IdentityDiffers"},
		"annotation and mounts":             {[]string{`home/q`, `home/b`}, "IdentityDiffers"},
		"no annotation":                     {[]string{`"jupyter-user.io/home":"/hpc/home/q/qiang.guo03",`, ``}, "IdentityDiffers"},
		"the mounts":                        {[]string{`"subPath":"home/q/qiang.guo03"`, `"subPath":"home/b/bob"`}, "MountForeign"},
		"mount of the init container":       {[]string{`"subPath":"home/q"`, `"subPath":"home"`}, "Drifted"},
		"whole share in the init container": {[]string{`"mountPath":"/data/hpc/home/q","subPath":"home/q"`, `"mountPath":"/data/hpc/home/q"`}, "Drifted"},
		"no identity":                       {[]string{`"jupyter-user.io/identity":"5003:6003",`, ``}, "IdentityDiffers"},
	} {
		t.Run(name, func(t *testing.T) {
			forged := strings.ReplaceAll(injected, c.change[0], c.change[1])
			require.NotEqual(t, injected, forged)
			_, r := e.post(t, "/verify", review(forged))
			assert.False(t, r.Response.Allowed)
			assert.Equal(t, c.reason, r.Response.Status.Reason, r.Response.Status.Message)
		})
	}
}

// TestHomeByFieldNeedsIdentity tests that a Pod is denied if homes come from the home field and no source knows the user.
// Discovery at start is not possible then, because the init container cannot read the home field.
func TestHomeByFieldNeedsIdentity(t *testing.T) {
	for _, identities := range []webhook.Identities{nil, identityFunc(unknownUser)} {
		_, r := newEdgeOf(t, homesByField(), identities, nil).post(t, "/mutate", review(notebook))
		assert.False(t, r.Response.Allowed)
		assert.Equal(t, "IdentityUnknown", r.Response.Status.Reason)
	}
	plain := newEdge(t, known(identity.Identity{UID: 5003, GID: 6003}))
	_, r := plain.post(t, "/verify", review(strings.Replace(plain.injected(t, notebook), `"jupyter-user.io/config":`,
		`"jupyter-user.io/home":"/hpc/home/b/bob","jupyter-user.io/config":`, 1)))
	assert.Equal(t, "Drifted", r.Response.Status.Reason, "with homes by pattern the Pod must not have the annotation")
}
