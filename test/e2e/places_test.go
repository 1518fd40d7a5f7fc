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

// placesInstallation is an installation whose share has the data of users at several places: homes at
// home/{initial}/{user}, and the directories of placesConfig. It exists only during TestHomesAndDirectories, and serves a
// namespace with the Pod Security level restricted and one with the level baseline.
var (
	placesInstallation = installation{"jupyter-user-places", "jupyter-user-places"}
	placesNamespaces   = []string{"places", "places-baseline"}
)

// placesHomesNamespace is the namespace of the CronJob that makes homes.
const placesHomesNamespace = "places-homes"

// placesValues are the values of the chart for placesInstallation. The placeholders are the root of the share and the CA.
// With the default schedule, the CronJob would make the homes every ten minutes, perhaps before the test expects them.
const placesValues = `
createNamespace: true
replicas: 1
share: {volume: {hostPath: {path: %q}}}
namespaces: [places, places-baseline]
onlyNamespaces: [places, places-baseline, places-homes]
identity: {passwdConfigMap: people}
homes: {enabled: true, namespace: places-homes, schedule: "@yearly"}
certificates: {source: secret, caBundle: %q}
`

// placesConfig is the value of config.share: homes at home/{initial}/{user}, the project directories of two groups, a
// further claim, and a directory for each user. It is appended to smallNodeValues, whose last lines belong to config.
const placesConfig = `
  share:
    home: home/{initial}/{user}
    directories:
    - {subPath: projects/physics, mountPath: /projects/physics, access: ReadWrite}
    - {subPath: projects/chemistry, mountPath: /projects/chemistry, access: ReadWrite}
    - {claimName: hpc-scratch, mountPath: /scratch, access: ReadWrite}
    - {subPath: "work/{user}", mountPath: "/work/{user}", access: ReadWrite}
`

// placesAccounts is a ConfigMap with two users, and root, whom the CronJob must skip. alice is in the group physics. The
// placeholder is the namespace.
const placesAccounts = `
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

// scratchClaim is the further claim of placesConfig, and its volume. The placeholders are the namespace and a directory of
// the node.
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

// TestHomesAndDirectories tests placesConfig in both of placesNamespaces. alice can write to her home, to the project
// directory of her group, to a further claim and to her own directory, but not to the directory of another group. A sidecar
// and an init container that the annotation home-in names have the home too. The CronJob makes the home and the own
// directory of each user. The first notebook of the user newcomer can write to both.
func TestHomesAndDirectories(t *testing.T) {
	root := installPlaces(t)
	t.Run("before the home is made", func(t *testing.T) { assertDeniedWithoutHome(t) })
	makeFirstHomes(t)
	for _, name := range []string{"home/a/alice 5001:6001 drwx------", "work/alice 5001:6001 drwx------", "home/n/newcomer 5017:6017 drwx------",
		"work/newcomer 5017:6017 drwx------"} {
		path, owner, _ := strings.Cut(name, " ")
		assert.Equal(t, owner, ownerAndMode(t, filepath.Join(root, path)), path)
	}
	for _, namespace := range placesNamespaces {
		t.Run(namespace, func(t *testing.T) {
			testPodWithSidecar(t, namespace, root)
			first := removeAtEnd(t, namespace, runIn(t, namespace, "first", newcomer.name))
			first.ready(t)
			assert.Zero(t, first.exec(t, "sh", "-c", "touch $HOME/mine /work/newcomer/mine").ExitCode)
			assert.Equal(t, "5017:6017 -rw-r--r--", ownerAndMode(t, filepath.Join(root, "work/newcomer/mine")))
		})
	}
}

// podWithSidecar is a notebook of alice, with an init container and a sidecar that have the home.
const podWithSidecar = `
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

func testPodWithSidecar(t *testing.T, namespace, root string) {
	t.Helper()
	result := tryCreateAs(t, cluster.carol, namespace, fmt.Sprintf(podWithSidecar, images.Plain))
	require.Zero(t, result.ExitCode, result.Stderr)
	p := removeAtEnd(t, namespace, "many")
	p.ready(t)
	home := filepath.Join(root, "home/a/alice")
	for _, file := range []string{"by-init", "by-side"} {
		require.NoError(t, await(t.Context(), machine.Patience, func(context.Context) (bool, error) {
			output, err := os.ReadFile(filepath.Join(home, file))
			return err == nil && string(output) == "5001\n", nil
		}), file)
		assert.Equal(t, "5001:6001 -rw-r--r--", ownerAndMode(t, filepath.Join(home, file)))
		require.NoError(t, os.Remove(filepath.Join(home, file)))
	}
	touched := p.exec(t, "sh", "-c",
		"touch /projects/physics/mine /scratch/mine /work/alice/mine $HOME/mine /data/hpc/home/a/alice/there")
	assert.Zero(t, touched.ExitCode, touched.Stderr)
	assert.Equal(t, "5001:9101 -rw-r--r--", ownerAndMode(t, filepath.Join(root, "projects/physics/mine")), "setgid gives the project's group")
	assert.Equal(t, "5001:6001 -rw-r--r--", ownerAndMode(t, filepath.Join(root, "work/alice/mine")))
	assert.Equal(t, "5001:6001 -rw-r--r--", ownerAndMode(t, filepath.Join(home, "there")))
	require.NoError(t, os.Remove(filepath.Join(root, "projects/physics/mine")))
	denied := p.exec(t, "touch", "/projects/chemistry/mine")
	assert.NotZero(t, denied.ExitCode)
	assert.Contains(t, denied.Stderr, "Permission denied")
	assert.NotZero(t, p.exec(t, "ls", "/projects/chemistry").ExitCode, "the directory of another group must be closed")
}

// assertDeniedWithoutHome asserts that the init container denies a user whose home is not made yet, and that its message
// names the command that makes homes.
func assertDeniedWithoutHome(t *testing.T) {
	t.Helper()
	p := removeAtEnd(t, "places", runIn(t, "places", "early", newcomer.name))
	require.NoError(t, await(t.Context(), readyLimit, func(context.Context) (bool, error) {
		return strings.Contains(initMessage(p.get(t)), "newcomer has no home: /data/hpc/home/n/newcomer does not exist on the share"), nil
	}))
	assert.Contains(t, initMessage(p.get(t)), "jupyter-user-webhook homes")
}

// runIn runs the small server of the image Plain for a user, as carol, and returns the name of the Pod.
func runIn(t *testing.T, namespace, name, user string) string {
	t.Helper()
	result := kubectl(t, "run", name, "-n", namespace, "--image="+images.Plain, "--labels=jupyter-user="+user, withProbes,
		"--command", "--", "hello")
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
		result, err := cluster.Admin.Kubectl(t.Context(), append([]string{"-n", placesHomesNamespace}, arguments...)...)
		require.NoError(t, err)
		require.Zero(t, result.ExitCode, result.Stderr)
		return result.Stdout
	}
	admin("create", "job", "--from=cronjob/jupyter-user-homes", "first-homes")
	admin("wait", "--for=condition=complete", "job/first-homes", "--timeout="+machine.Patience.String())
	result := admin("logs", "job/first-homes")
	assert.Contains(t, result, "made: home/n/newcomer, for 5017:6017\n")
	assert.Contains(t, result, "made: work/newcomer, for 5017:6017\n")
	assert.Contains(t, result, "4 made, 0 there, 1 skipped, 0 failed\n")
}

// installPlaces installs placesInstallation with its share and its namespaces, and returns the root of the share.
func installPlaces(t *testing.T) string {
	t.Helper()
	root := filepath.Join(filepath.Dir(cluster.share.root), "places")
	scratch := filepath.Join(filepath.Dir(cluster.share.root), "scratch")
	makeDirectory(t, root, 0, 0o755)
	makeDirectory(t, scratch, 0, 0o777|os.ModeSticky)
	for _, dir := range []string{"home", "work", "projects"} {
		makeDirectory(t, filepath.Join(root, dir), 0, 0o755)
	}
	makeDirectory(t, filepath.Join(root, "projects/physics"), 9101, 0o770|os.ModeSetgid)
	makeDirectory(t, filepath.Join(root, "projects/chemistry"), 9102, 0o770|os.ModeSetgid)

	for namespace, level := range map[string]string{"places": "restricted", "places-baseline": "baseline"} {
		require.NoError(t, cluster.makeNamespace(t.Context(), namespace, level))
	}
	labels := map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}
	require.NoError(t, cluster.Namespace(t.Context(), placesHomesNamespace, labels))
	pair, err := pki.New(24*time.Hour, systemName+"."+placesInstallation.namespace+".svc")
	require.NoError(t, err)
	rendered, err := cluster.helm.Template(t.Context(),
		strings.TrimSuffix(smallNodeValues, "\n")+placesConfig+fmt.Sprintf(placesValues, root, pair.Cert))
	require.NoError(t, err)
	manifests, err := placesInstallation.manifests(rendered, pair)
	require.NoError(t, err)
	homes, err := rendered.Read("72-homes.yaml")
	require.NoError(t, err)
	all := strings.Join([]string{manifests, renamedNetPolicy(t, rendered), homes,
		fmt.Sprintf(placesAccounts, placesInstallation.namespace), fmt.Sprintf(placesAccounts, placesHomesNamespace),
		fmt.Sprintf(scratchClaim, "places", scratch), fmt.Sprintf(scratchClaim, "places-baseline", scratch)}, "\n---\n")
	excludePlacesFromNet(t)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 3*goneLimit)
		defer cancel()
		assert.NoError(t, cluster.Admin.Do(ctx, all, "delete", "-f", "-", "--ignore-not-found", "--wait"))
		assert.NoError(t, cluster.Admin.Do(ctx, "", "delete", "namespace", placesHomesNamespace, "--wait"))
	})
	require.NoError(t, cluster.apply(t.Context(), all))
	require.NoError(t, cluster.awaitReplicas(t.Context(), placesInstallation))
	for _, namespace := range placesNamespaces {
		require.NoError(t, await(t.Context(), machine.Patience, func(ctx context.Context) (bool, error) {
			result, err := cluster.carol.Kubectl(ctx, "run", "probe", "-n", namespace, "--image=x", "--labels=jupyter-user=alice",
				"--dry-run=server", "-o", "yaml")
			return strings.Contains(result.Stdout, "subPath: home/a/alice"), err
		}), namespace)
	}
	return root
}

func makeDirectory(t *testing.T, path string, gid int, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.Mkdir(path, 0o700))
	require.NoError(t, os.Chown(path, 0, gid))
	require.NoError(t, os.Chmod(path, mode))
}

// renamedNetPolicy returns the policy net.jupyter-user.io that the chart renders for placesInstallation, under another name.
// This policy limits the mounts of the share to the home of the user and the configured directories.
func renamedNetPolicy(t *testing.T, rendered deploy.Rendered) string {
	t.Helper()
	net, err := rendered.Read("62-policy-net.yaml")
	require.NoError(t, err)
	return strings.ReplaceAll(net, "net.jupyter-user.io", "places-net.jupyter-user.io")
}

// excludePlacesFromNet excludes the namespaces of placesInstallation from both bindings of the policy net.jupyter-user.io
// of the shipped installation. This policy allows only homes at home/{user}.
func excludePlacesFromNet(t *testing.T) {
	t.Helper()
	bind := func(ctx context.Context, selector string) error {
		for _, name := range []string{"net.jupyter-user.io", "hub-net.jupyter-user.io"} {
			err := cluster.Admin.Do(ctx, "", "patch", "validatingadmissionpolicybinding", name, "--type=merge",
				"--patch", `{"spec": {"matchResources": {"namespaceSelector": `+selector+`}}}`)
			if err != nil {
				return err
			}
		}
		return nil
	}
	require.NoError(t, bind(t.Context(), `{"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["`+
		strings.Join(placesNamespaces, `", "`)+`"]}]}`))
	t.Cleanup(func() { assert.NoError(t, bind(context.WithoutCancel(t.Context()), `{"matchExpressions": null}`)) })
}
