package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// places is an installation with a share of its own, with users' data in many places. It exists during one test, and serves two
// namespaces, one for each level of Pod Security.
var (
	places       = installation{"jupyter-user-places", "jupyter-user-places"}
	placesSpaces = []string{"places", "places-baseline"}
)

// placesHomes is the namespace of its CronJob for homes.
const placesHomes = "places-homes"

// placesValues have homes by initials, project directories of two groups, a further claim, and a directory for each user.
const placesValues = `
createNamespace: true
replicas: 1
share: {volume: {hostPath: {path: %q}}}
namespaces: [places, places-baseline]
onlyNamespaces: [places, places-baseline, places-homes]
identity: {passwdConfigMap: people}
homes: {enabled: true, namespace: places-homes}
certificates: {source: secret, caBundle: %q}
`

// placesConfiguration is the rest of the configuration, below the key config.
const placesConfiguration = `
  share:
    home: home/{initial}/{user}
    directories:
    - {subPath: projects/physics, mountPath: /projects/physics, access: ReadWrite}
    - {subPath: projects/chemistry, mountPath: /projects/chemistry, access: ReadWrite}
    - {claimName: hpc-scratch, mountPath: /scratch, access: ReadWrite}
    - {subPath: "work/{user}", mountPath: "/work/{user}", access: ReadWrite}
`

// placesPeople are two users; the first one is in the group physics.
const placesPeople = `
apiVersion: v1
kind: ConfigMap
metadata: {name: people, namespace: %s}
data:
  passwd: |
    root:x:0:0::/root:/bin/sh
    alice:x:5001:6001::/home/alice:/bin/bash
    newcomer:x:5017:6017::/home/newcomer:/bin/bash
  group: |
    physics:x:9101:alice
    chemistry:x:9102:bob
`

// scratchClaim is a further claim in a namespace, on another directory of the node.
const scratchClaim = `
apiVersion: v1
kind: PersistentVolume
metadata: {name: scratch-pv-%[1]s, labels: {app.kubernetes.io/name: jupyter-user-webhook}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  storageClassName: ""
  persistentVolumeReclaimPolicy: Retain
  claimRef: {namespace: %[1]s, name: hpc-scratch}
  hostPath: {path: %[2]q}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: hpc-scratch, namespace: %[1]s, labels: {app.kubernetes.io/name: jupyter-user-webhook}}
spec:
  accessModes: [ReadWriteMany]
  storageClassName: ""
  volumeName: scratch-pv-%[1]s
  resources: {requests: {storage: 1Gi}}
`

// TestDataInManyPlaces tests that in namespaces of both levels, a user has the home below its initial, and can write to the
// project directory of the user's group, to a further claim and to the user's own directory, but not to another group's
// directory. A sidecar and an init container that the annotation names have the home. The CronJob makes the home and directories
// of a newcomer, and the first notebook has them.
func TestDataInManyPlaces(t *testing.T) {
	root := installPlaces(t)
	t.Run("before homes", func(t *testing.T) { deniedWithoutAHome(t) })
	makeFirstHomes(t)
	for _, name := range []string{"home/a/alice 5001:6001 drwx------", "work/alice 5001:6001 drwx------", "home/n/newcomer 5017:6017 drwx------",
		"work/newcomer 5017:6017 drwx------"} {
		path, owner, _ := strings.Cut(name, " ")
		assert.Equal(t, owner, ownerAndMode(t, filepath.Join(root, path)), path)
	}
	for _, space := range placesSpaces {
		t.Run(space, func(t *testing.T) {
			worksInManyPlaces(t, space, root)
			first := created(t, space, runIn(t, space, "first", newcomer.name))
			first.ready(t)
			assert.Zero(t, first.exec(t, "sh", "-c", "touch $HOME/mine /work/newcomer/mine").ExitCode)
			assert.Equal(t, "5017:6017 -rw-r--r--", ownerAndMode(t, filepath.Join(root, "work/newcomer/mine")))
		})
	}
}

// manyPlaces is a notebook of alice, with an init container and a sidecar that have the home.
const manyPlaces = `
apiVersion: v1
kind: Pod
metadata:
  name: many
  labels: {jupyter-user: alice}
  annotations: {jupyter-user.io/home-in: "clone,side", jupyter-user.io/probes: "on"}
spec:
  initContainers:
  - {name: clone, image: %[1]s, command: [sh, -c, "id -u >/home/alice/by-init"]}
  containers:
  - {name: nb, image: %[1]s, command: [hello]}
  - {name: side, image: %[1]s, command: [sh, -c, "id -u >/home/alice/by-side; exec sleep infinity"]}
`

func worksInManyPlaces(t *testing.T, space, root string) {
	t.Helper()
	result := tryCreateAs(t, world.carol, space, fmt.Sprintf(manyPlaces, images.Plain))
	require.Zero(t, result.ExitCode, result.Stderr)
	p := created(t, space, "many")
	p.ready(t)
	home := filepath.Join(root, "home/a/alice")
	for _, file := range []string{"by-init", "by-side"} {
		require.NoError(t, await(t.Context(), machine.Patience, func(context.Context) (bool, error) {
			said, err := os.ReadFile(filepath.Join(home, file))
			return err == nil && string(said) == "5001\n", nil
		}), file)
		assert.Equal(t, "5001:6001 -rw-r--r--", ownerAndMode(t, filepath.Join(home, file)))
		require.NoError(t, os.Remove(filepath.Join(home, file)))
	}
	wrote := p.exec(t, "sh", "-c", "touch /projects/physics/mine /scratch/mine /work/alice/mine $HOME/mine /data/hpc/home/a/alice/there")
	assert.Zero(t, wrote.ExitCode, wrote.Stderr)
	assert.Equal(t, "5001:9101 -rw-r--r--", ownerAndMode(t, filepath.Join(root, "projects/physics/mine")), "setgid gives the project's group")
	assert.Equal(t, "5001:6001 -rw-r--r--", ownerAndMode(t, filepath.Join(root, "work/alice/mine")))
	assert.Equal(t, "5001:6001 -rw-r--r--", ownerAndMode(t, filepath.Join(home, "there")))
	require.NoError(t, os.Remove(filepath.Join(root, "projects/physics/mine")))
	denied := p.exec(t, "touch", "/projects/chemistry/mine")
	assert.NotZero(t, denied.ExitCode)
	assert.Contains(t, denied.Stderr, "Permission denied")
	assert.NotZero(t, p.exec(t, "ls", "/projects/chemistry").ExitCode, "another group's")
}

// deniedWithoutAHome: before the CronJob makes homes, the init container denies the user. Its message says what to do.
func deniedWithoutAHome(t *testing.T) {
	t.Helper()
	p := created(t, "places", runIn(t, "places", "early", newcomer.name))
	require.NoError(t, await(t.Context(), readyLimit, func(context.Context) (bool, error) {
		return strings.Contains(message(p.get(t)), "newcomer has no home: /data/hpc/home/n/newcomer does not exist on the share"), nil
	}))
	assert.Contains(t, message(p.get(t)), "jupyter-user-webhook homes")
}

// runIn runs a notebook of the small server as carol, and returns its name.
func runIn(t *testing.T, space, name, user string) string {
	t.Helper()
	result := kubectl(t, "run", name, "-n", space, "--image="+images.Plain, "--labels=jupyter-user="+user, withProbes, "--command", "--", "hello")
	require.Zero(t, result.ExitCode, result.Stderr)
	return name
}

func ownerAndMode(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if !assert.NoError(t, err) {
		return ""
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d %s", stat.Uid, stat.Gid, info.Mode())
}

func makeFirstHomes(t *testing.T) {
	t.Helper()
	admin := func(arguments ...string) string {
		said, err := world.Admin.Kubectl(t.Context(), append([]string{"-n", placesHomes}, arguments...)...)
		require.NoError(t, err)
		require.Zero(t, said.ExitCode, said.Stderr)
		return said.Stdout
	}
	admin("create", "job", "--from=cronjob/jupyter-user-homes", "first-homes")
	admin("wait", "--for=condition=complete", "job/first-homes", "--timeout="+machine.Patience.String())
	said := admin("logs", "job/first-homes")
	assert.Contains(t, said, "made: home/n/newcomer, for 5017:6017\n")
	assert.Contains(t, said, "made: work/newcomer, for 5017:6017\n")
	assert.Contains(t, said, "4 made, 0 there, 1 skipped, 0 failed\n")
}

// installPlaces makes the share and the installation, and returns the root of the share.
func installPlaces(t *testing.T) string {
	t.Helper()
	root := filepath.Join(filepath.Dir(world.share.root), "places")
	scratch := filepath.Join(filepath.Dir(world.share.root), "scratch")
	makeDirectory(t, root, 0, 0o755)
	makeDirectory(t, scratch, 0, 0o777|os.ModeSticky)
	for _, dir := range []string{"home", "work", "projects"} {
		makeDirectory(t, filepath.Join(root, dir), 0, 0o755)
	}
	makeDirectory(t, filepath.Join(root, "projects/physics"), 9101, 0o770|os.ModeSetgid)
	makeDirectory(t, filepath.Join(root, "projects/chemistry"), 9102, 0o770|os.ModeSetgid)

	for space, level := range map[string]string{"places": "restricted", "places-baseline": "baseline"} {
		require.NoError(t, world.makeNamespace(t.Context(), space, level))
	}
	require.NoError(t, world.Namespace(t.Context(), placesHomes, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}))
	pair, err := pki.New(24*time.Hour, systemName+"."+places.space+".svc")
	require.NoError(t, err)
	rendered, err := world.helm.Template(t.Context(), strings.TrimSuffix(configuration, "\n")+placesConfiguration+fmt.Sprintf(placesValues, root, pair.Cert))
	require.NoError(t, err)
	manifests, err := places.manifests(rendered, pair)
	require.NoError(t, err)
	homes, err := rendered.Read("72-homes.yaml")
	require.NoError(t, err)
	all := strings.Join([]string{manifests, netOfPlaces(t, rendered), homes, fmt.Sprintf(placesPeople, places.space), fmt.Sprintf(placesPeople, placesHomes),
		fmt.Sprintf(scratchClaim, "places", scratch), fmt.Sprintf(scratchClaim, "places-baseline", scratch)}, "\n---\n")
	exceptPlaces(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 3*goneLimit)
		defer cancel()
		assert.NoError(t, world.Admin.Do(ctx, all, "delete", "-f", "-", "--ignore-not-found", "--wait"))
		assert.NoError(t, world.Admin.Do(ctx, "", "delete", "namespace", placesHomes, "--wait"))
	})
	require.NoError(t, world.apply(t.Context(), all))
	require.NoError(t, world.awaitReplicas(t.Context(), places))
	for _, space := range placesSpaces {
		require.NoError(t, await(t.Context(), machine.Patience, func(ctx context.Context) (bool, error) {
			result, err := world.carol.Kubectl(ctx, "run", "probe", "-n", space, "--image=x", "--labels=jupyter-user=alice", "--dry-run=server",
				"-o", "yaml")
			return strings.Contains(result.Stdout, "subPath: home/a/alice"), err
		}), space)
	}
	return root
}

func makeDirectory(t *testing.T, path string, gid int, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.Mkdir(path, 0o700))
	require.NoError(t, os.Chown(path, 0, gid))
	require.NoError(t, os.Chmod(path, mode))
}

// netOfPlaces returns the policy net of that installation.
func netOfPlaces(t *testing.T, rendered deploy.Rendered) string {
	t.Helper()
	net, err := rendered.Read("62-policy-net.yaml")
	require.NoError(t, err)
	return strings.ReplaceAll(net, "net.jupyter-user.io", "places-net.jupyter-user.io")
}

// exceptPlaces excludes the namespaces of this installation from the shipped policy net, which knows only one directory of homes.
func exceptPlaces(t *testing.T) {
	t.Helper()
	bind := func(ctx context.Context, selector string) error {
		for _, name := range []string{"net.jupyter-user.io", "hub-net.jupyter-user.io"} {
			err := world.Admin.Do(ctx, "", "patch", "validatingadmissionpolicybinding", name, "--type=merge",
				"--patch", `{"spec": {"matchResources": {"namespaceSelector": `+selector+`}}}`)
			if err != nil {
				return err
			}
		}
		return nil
	}
	require.NoError(t, bind(t.Context(), `{"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["`+
		strings.Join(placesSpaces, `", "`)+`"]}]}`))
	t.Cleanup(func() { assert.NoError(t, bind(context.WithoutCancel(t.Context()), `{"matchExpressions": null}`)) })
}
