package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// newcomer is a user with an account and without a home.
var newcomer = home{"newcomer", 5017, 6017, 0o700}

const homesSpace = "jupyter-user-homes"

// firstHomes are the values with which the chart renders the CronJob.
const firstHomes = `
share: {volume: {hostPath: {path: %q}}}
identity: {passwdConfigMap: people}
homes: {enabled: true, nodeSelector: {kubernetes.io/os: linux}, skeletonConfigMap: skeleton}
`

// accountsOfHomes are the accounts of the CronJob: a user with a home, a user without one, and an account that gets none.
const accountsOfHomes = `
apiVersion: v1
kind: ConfigMap
metadata: {name: people, namespace: jupyter-user-homes}
data:
  passwd: |
    root:x:0:0::/root:/bin/sh
    alice:x:5001:6001::/home/alice:/bin/bash
    newcomer:x:5017:6017::/home/newcomer:/bin/bash
---
apiVersion: v1
kind: ConfigMap
metadata: {name: skeleton, namespace: jupyter-user-homes}
data: {.profile: "a first line"}
`

// TestFirstHomes tests that a user without a home is denied, and the denial names the command. A Job of the chart's CronJob
// makes the home, in a namespace that enforces baseline. Then the first notebook runs in it.
func TestFirstHomes(t *testing.T) {
	path := world.share.path(newcomer.name)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(path)) })
	denied := kubectl(t, "run", "first", "-n", atAdmission.namespace, "--image="+images.Plain, "--labels=jupyter-user=newcomer")
	assertDenied(t, denied, "passwd has UID 5017, and there is no home on the share; all of them must know the user, with the same UID, so "+
		"ask the admin to make the home (jupyter-user-webhook homes makes missing homes)")

	installFirstHomes(t)
	admin := func(arguments ...string) string {
		said, err := world.Admin.Kubectl(t.Context(), append([]string{"-n", homesSpace}, arguments...)...)
		require.NoError(t, err)
		assert.Zero(t, said.ExitCode, said.Stderr)
		return said.Stdout
	}
	before, err := world.share.listing()
	require.NoError(t, err)
	admin("create", "job", "--from=cronjob/jupyter-user-homes", "first-homes")
	admin("wait", "--for=condition=complete", "job/first-homes", "--timeout="+machine.Patience.String())
	said := admin("logs", "job/first-homes")
	assert.Contains(t, said, "made: home/newcomer, for 5017:6017\n")
	assert.Contains(t, said, "1 made, 1 there, 1 skipped, 0 failed\n")
	after, err := world.share.listing()
	require.NoError(t, err)
	before[path], before[path+"/.profile"] = "drwx------ 5017:6017", "-rw-r--r-- 5017:6017"
	assert.Equal(t, before, after, "nothing else has changed on the share")

	p := run(t, atAdmission, "first", newcomer.name, images.Plain, withProbes, "--command", "--", "hello")
	p.ready(t)
	assertOwned(t, p, newcomer)
	assert.Equal(t, "a first line", p.exec(t, "sh", "-c", "echo written >$HOME/file && cat $HOME/.profile").Stdout)
}

// installFirstHomes applies what the chart renders for the CronJob, and the objects that an admin must add.
func installFirstHomes(t *testing.T) {
	t.Helper()
	rendered, err := world.helm.Template(t.Context(), fmt.Sprintf(firstHomes, world.share.root))
	require.NoError(t, err)
	require.NoError(t, world.Namespace(t.Context(), homesSpace, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*goneLimit)
		defer cancel()
		assert.NoError(t, world.Admin.Do(ctx, "", "delete", "namespace/"+homesSpace, "persistentvolume/hpc-pv-"+homesSpace, "--wait"))
	})
	require.NoError(t, world.apply(t.Context(), accountsOfHomes))
	for _, file := range []string{"21-share.yaml", "72-homes.yaml"} {
		text, err := rendered.Read(file)
		require.NoError(t, err)
		require.NoError(t, world.apply(t.Context(), text))
	}
}
