package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// hostPathPod is a Pod that mounts a directory of the node, and lists the directory "home" in it. The Pod is no notebook.
// The placeholder is the directory of the node.
const hostPathPod = `
apiVersion: v1
kind: Pod
metadata: {name: by-host-path}
spec:
  restartPolicy: Never
  volumes: [{name: v, hostPath: {path: %s}}]
  containers: [{name: c, image: ` + images.Plain + `, command: [ls, -A, /mnt/home], volumeMounts: [{name: v, mountPath: /mnt}]}]
`

// linkedHostPathPod is a Pod whose init container makes a symbolic link on the node that leads to the share. The other
// container mounts the link by hostPath. The placeholders are a directory of the node, and the root of the share.
const linkedHostPathPod = `
apiVersion: v1
kind: Pod
metadata: {name: by-link}
spec:
  restartPolicy: Never
  volumes: [{name: v, hostPath: {path: %[1]s/other, type: DirectoryOrCreate}}, {name: w, hostPath: {path: %[1]s/other/link}}]
  initContainers: [{name: i, image: ` + images.Plain + `, command: [ln, -s, %[2]s, /mnt/link], volumeMounts: [{name: v, mountPath: /mnt}]}]
  containers: [{name: c, image: ` + images.Plain + `, command: [ls, -A, /mnt/home], volumeMounts: [{name: w, mountPath: /mnt}]}]
`

// TestShareByHostPath tests Pods that mount the share by hostPath. The Pod Security level baseline forbids hostPath. In a
// namespace with the level privileged, the policies deny the path of the share on the nodes, but they do not know symbolic
// links to it. So only admins should create Pods in such a namespace.
func TestShareByHostPath(t *testing.T) {
	require.NoError(t, cluster.makeNamespace(t.Context(), "open", "privileged"))
	root := cluster.share.root
	for name, path := range map[string]string{
		"the share": root, "a home": cluster.share.path("bob"), "the directory above": filepath.Dir(root), "the node": "/",
		"a path with ..": root + "/home/..//./home/../.",
	} {
		t.Run(name, func(t *testing.T) {
			result := tryCreateAs(t, cluster.carol, "open", fmt.Sprintf(hostPathPod, path))
			if name == "a path with .." {
				assertDenied(t, result, "must not contain '..'")
				return
			}
			assertDenied(t, result, "denied request: ShareRoad: spec.volumes: one of v can reach the share itself, and carol "+
				"may not use it directly in namespace open")
		})
	}
	t.Run("level baseline", func(t *testing.T) {
		assertDenied(t, tryCreate(t, atStart, fmt.Sprintf(hostPathPod, root)), `violates PodSecurity "baseline:latest": hostPath volumes`)
	})
	t.Run("a symbolic link is not denied", func(t *testing.T) {
		result := tryCreateAs(t, cluster.carol, "open", fmt.Sprintf(linkedHostPathPod, cluster.Enclosure.Folder, root))
		require.Zero(t, result.ExitCode, result.Stderr)
		p := removeAtEnd(t, "open", "by-link")
		p.await(t, readyLimit, "to end", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
		assert.Contains(t, kubectl(t, "logs", p.name, "-n", p.namespace).Stdout, "bob\n")
	})
}

// carolsClaim is a claim that carol makes. The placeholder is the name of a volume.
const carolsClaim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: mine}
spec: {accessModes: [ReadWriteMany], storageClassName: "", volumeName: "%s", resources: {requests: {storage: 1Gi}}}
`

// volumeWithoutClaimRef is a volume of the share without claimRef, against the advice of deploy/docs/threat-model.md.
const volumeWithoutClaimRef = `
apiVersion: v1
kind: PersistentVolume
metadata: {name: hpc-pv-unclaimed}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  hostPath: {path: %s, type: Directory}
`

const podWithCarolsClaim = `
apiVersion: v1
kind: Pod
metadata: {name: uses-claim}
spec:
  volumes: [{name: v, persistentVolumeClaim: {claimName: mine}}]
  containers: [{name: c, image: ` + images.Plain + `, command: [sleep, "1000"], volumeMounts: [{name: v, mountPath: /mnt}]}]
`

// TestShareByOwnClaim tests that a user who makes a claim or a volume cannot mount the share with it.
func TestShareByOwnClaim(t *testing.T) {
	in := atStart.namespace
	t.Run("a claim on the share's volume", func(t *testing.T) {
		assertDenied(t, tryCreate(t, atStart, fmt.Sprintf(carolsClaim, "hpc-pv-"+in)),
			"ShareClaim: the claim mine is for a volume of the share or of its directories, or a copy, and carol may not use hpc-shared-pvc")
	})
	t.Run("a volume of one's own", func(t *testing.T) {
		assertDenied(t, tryCreate(t, atStart, fmt.Sprintf(volumeWithoutClaimRef, cluster.share.root)),
			`User "carol" cannot create resource "persistentvolumes"`)
	})
	t.Run("a claim that Kubernetes would bind to the share", func(t *testing.T) {
		require.NoError(t, cluster.apply(t.Context(), fmt.Sprintf(volumeWithoutClaimRef, cluster.share.root)))
		result := tryCreate(t, atStart, fmt.Sprintf(carolsClaim, ""))
		require.Zero(t, result.ExitCode, result.Stderr)
		t.Cleanup(func() {
			for _, what := range []string{"pvc/mine", "pv/hpc-pv-unclaimed"} {
				assert.NoError(t, cluster.Admin.Do(context.WithoutCancel(t.Context()), "", "delete", what, "-n", in, "--wait=false"))
			}
		})
		p := create(t, atStart, "uses-claim", podWithCarolsClaim)
		// The volume controller reserves the volume for the claim, and then a policy denies the update that binds the
		// claim.
		require.NoError(t, await(t.Context(), readyLimit, func(ctx context.Context) (bool, error) {
			volume, err := cluster.Client.CoreV1().PersistentVolumes().Get(ctx, "hpc-pv-unclaimed", metav1.GetOptions{})
			return err == nil && volume.Status.Phase == corev1.VolumeBound, err
		}))
		got := p.await(t, readyLimit, "to be unschedulable", func(p *corev1.Pod) bool {
			return len(p.Status.Conditions) > 0 && p.Status.Conditions[0].Reason == corev1.PodReasonUnschedulable
		})
		assert.Contains(t, got.Status.Conditions[0].Message, "unbound immediate PersistentVolumeClaims")
		claim, err := cluster.Client.CoreV1().PersistentVolumeClaims(in).Get(t.Context(), "mine", metav1.GetOptions{})
		require.NoError(t, err)
		assert.Empty(t, claim.Spec.VolumeName)
		assert.Equal(t, corev1.ClaimPending, claim.Status.Phase)
	})
}
