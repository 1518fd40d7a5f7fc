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

// newcomer is a user who has an account but no home.
var newcomer = home{"newcomer", 5017, 6017, 0o700}

const homesNamespace = "jupyter-user-homes"

// firstHomesValues are the values with which the chart renders the CronJob that makes homes. The placeholder is the root of
// the share. With the default schedule, the CronJob would make the homes every ten minutes, perhaps before the test expects
// them.
const firstHomesValues = `
share: {volume: {hostPath: {path: %q}}}
identity: {passwdConfigMap: people}
homes: {enabled: true, schedule: "@yearly", nodeSelector: {kubernetes.io/os: linux}, skeletonConfigMap: skeleton}
`

// homesConfigMaps are the ConfigMaps of the CronJob: the accounts and the skeleton of a home. The accounts are a user with
// a home, a user without a home, and root, for which the CronJob makes no home.
const homesConfigMaps = `
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

// TestFirstHomes tests that a user without a home is denied, and that the denial names the command to make homes. A Job of
// the chart's CronJob runs in a namespace that enforces baseline, and makes the home. Then the user's first notebook runs
// in this home.
func TestFirstHomes(t *testing.T) {
	path := cluster.share.path(newcomer.name)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(path)) })
	denied := kubectl(t, "run", "first", "-n", atAdmission.namespace, "--image="+images.Plain, "--labels=jupyter-user=newcomer")
	assertDenied(t, denied, "passwd has UID 5017, and there is no home on the share; all of them must know the user, with the same UID, so "+
		"ask the admin to make the home (jupyter-user-webhook homes makes missing homes)")

	installFirstHomes(t)
	admin := func(arguments ...string) string {
		result, err := cluster.Admin.Kubectl(t.Context(), append([]string{"-n", homesNamespace}, arguments...)...)
		require.NoError(t, err)
		assert.Zero(t, result.ExitCode, result.Stderr)
		return result.Stdout
	}
	before, err := cluster.share.listing()
	require.NoError(t, err)
	admin("create", "job", "--from=cronjob/jupyter-user-homes", "first-homes")
	admin("wait", "--for=condition=complete", "job/first-homes", "--timeout="+machine.Patience.String())
	result := admin("logs", "job/first-homes")
	assert.Contains(t, result, "made: home/newcomer, for 5017:6017\n")
	assert.Contains(t, result, "1 made, 1 there, 1 skipped, 0 failed\n")
	after, err := cluster.share.listing()
	require.NoError(t, err)
	before[path], before[path+"/.profile"] = "drwx------ 5017:6017", "-rw-r--r-- 5017:6017"
	assert.Equal(t, before, after, "nothing else has changed on the share")

	p := run(t, atAdmission, "first", newcomer.name, images.Plain, withProbes, "--command", "--", "hello")
	p.ready(t)
	assertOwned(t, p, newcomer)
	assert.Equal(t, "a first line", p.exec(t, "sh", "-c", "echo written >$HOME/file && cat $HOME/.profile").Stdout)
}

// installFirstHomes applies the share and the CronJob that the chart renders, and the objects that an admin must add.
func installFirstHomes(t *testing.T) {
	t.Helper()
	rendered, err := cluster.helm.Template(t.Context(), fmt.Sprintf(firstHomesValues, cluster.share.root))
	require.NoError(t, err)
	labels := map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}
	require.NoError(t, cluster.Namespace(t.Context(), homesNamespace, labels))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*goneLimit)
		defer cancel()
		assert.NoError(t, cluster.Admin.Do(ctx, "", "delete", "namespace/"+homesNamespace, "persistentvolume/hpc-pv-"+homesNamespace,
			"--wait"))
	})
	require.NoError(t, cluster.apply(t.Context(), homesConfigMaps))
	for _, file := range []string{"21-share.yaml", "72-homes.yaml"} {
		text, err := rendered.Read(file)
		require.NoError(t, err)
		require.NoError(t, cluster.apply(t.Context(), text))
	}
}
