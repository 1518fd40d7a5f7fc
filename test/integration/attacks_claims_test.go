package integration

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

func attacksOnClaims() map[string]attack {
	const claimed = "claims/ShareClaim"
	return map[string]attack{
		"a claim on the share's volume": {claimed, newClaim(bindToShare)},
		"a claim on a volume with a listed name": {claimed, newClaim(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.VolumeName = "hpc-pv"
		})},
		"a claim on the share's volume with the name of the share's claim": {claimed, newClaim(func(c *corev1.PersistentVolumeClaim) {
			bindToShare(c)
			c.Name = "hpc-shared-pvc"
		})},
		"a copy of the share": {claimed, newClaim(copyShare)},
		"a copy of the share by reference": {claimed, newClaim(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSourceRef = &corev1.TypedObjectReference{Kind: "PersistentVolumeClaim", Name: "hpc-shared-pvc"}
		})},
		"a snapshot of the share":         {"snapshots/ShareSnapshot", snapshotShare},
		"a snapshot of a group of claims": {"snapshots/ShareSnapshot", snapshotGroup},
		"a claim bound to the share's volume later": {claimed, func(t *testing.T, g *guarded) error {
			c := claim(func(c *corev1.PersistentVolumeClaim) { c.Name, c.GenerateName = "", "later-" })
			created, err := g.bob.CoreV1().PersistentVolumeClaims("lab").Create(t.Context(), c, metav1.CreateOptions{})
			require.NoError(t, err)
			bindToShare(created)
			_, err = g.bob.CoreV1().PersistentVolumeClaims("lab").Update(t.Context(), created,
				metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		}},
		"a claim that the controller binds to the share's volume": {claimed, func(t *testing.T, g *guarded) error {
			c := claim(func(c *corev1.PersistentVolumeClaim) { c.Name, c.GenerateName = "", "taken-" })
			created, err := g.bob.CoreV1().PersistentVolumeClaims("lab").Create(t.Context(), c, metav1.CreateOptions{})
			require.NoError(t, err)
			bindToShare(created)
			_, err = g.clientOf(t, binder).CoreV1().PersistentVolumeClaims("lab").Update(t.Context(), created,
				metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		}},
		"the share's claim created by a user": {claimed, newClaim(func(c *corev1.PersistentVolumeClaim) { c.Name = "hpc-shared-pvc" })},
		"the share's claim deleted": {claimed, onShareClaim(func(t *testing.T, g *guarded, c *corev1.PersistentVolumeClaim) error {
			return g.bob.CoreV1().PersistentVolumeClaims("open").Delete(t.Context(), c.Name, metav1.DeleteOptions{
				DryRun: []string{metav1.DryRunAll}})
		})},
		"the share's claim deleted with all others": {claimed, onShareClaim(func(t *testing.T, g *guarded, _ *corev1.PersistentVolumeClaim) error {
			return g.bob.CoreV1().PersistentVolumeClaims("open").DeleteCollection(t.Context(), metav1.DeleteOptions{
				DryRun: []string{metav1.DryRunAll}}, metav1.ListOptions{})
		})},
		"an owner reference added to the share's claim": {claimed, onShareClaim(func(t *testing.T, g *guarded, c *corev1.PersistentVolumeClaim) error {
			return setOwner(t, g.bob, c)
		})},
		"an owner reference added to the share's claim with its status": {claimed, onShareClaim(func(t *testing.T, g *guarded, c *corev1.PersistentVolumeClaim) error {
			c.OwnerReferences = anOwner
			_, err := g.bob.CoreV1().PersistentVolumeClaims("open").UpdateStatus(t.Context(), c, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		})},
		"the share's claim enlarged": {claimed, onShareClaim(func(t *testing.T, g *guarded, c *corev1.PersistentVolumeClaim) error {
			return enlarge(t.Context(), g.bob, c)
		})},
		"an owner reference added by a StatefulSet's controller": {claimed, onShareClaim(func(t *testing.T, g *guarded, c *corev1.PersistentVolumeClaim) error {
			return setOwner(t, g.clientOf(t, statefulSets), c)
		})},
		"the share's claim created by a StatefulSet's controller": {claimed, func(t *testing.T, g *guarded) error {
			_, err := g.clientOf(t, statefulSets).CoreV1().PersistentVolumeClaims("lab").Create(t.Context(),
				claim(func(c *corev1.PersistentVolumeClaim) { c.Name = "hpc-shared-pvc" }), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		}},
	}
}

const statefulSets = "system:serviceaccount:kube-system:statefulset-controller"

// enlarge requests more storage for a claim, in a dry run.
func enlarge(ctx context.Context, client kubernetes.Interface, c *corev1.PersistentVolumeClaim) error {
	c.Spec.Resources.Requests = corev1.ResourceList{"storage": resource.MustParse("9Gi")}
	_, err := client.CoreV1().PersistentVolumeClaims(c.Namespace).Update(ctx, c, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// onShareClaim returns an attack on the share's claim in namespace open.
func onShareClaim(try func(*testing.T, *guarded, *corev1.PersistentVolumeClaim) error) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error { return try(t, g, boundShareClaim(t, g, "open")) }
}

// boundShareClaim returns the share's claim of a namespace, bound as Kubernetes' controller binds a claim. The claim has a
// StorageClass that allows expansion, because the API server itself denies the expansion of any other claim.
func boundShareClaim(t *testing.T, g *guarded, namespace string) *corev1.PersistentVolumeClaim {
	t.Helper()
	_, err := g.admin(t).StorageV1().StorageClasses().Create(t.Context(), &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "expandable"}, Provisioner: "none.example", AllowVolumeExpansion: new(true),
	}, metav1.CreateOptions{})
	requireCreated(t, err)
	_, err = g.admin(t).CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), claim(func(c *corev1.PersistentVolumeClaim) {
		c.Name, c.Spec.StorageClassName = "hpc-shared-pvc", new("expandable")
	}), metav1.CreateOptions{})
	requireCreated(t, err)
	g.allow(t, namespace, binder, withPods)
	claims := g.clientOf(t, binder).CoreV1().PersistentVolumeClaims(namespace)
	var bound *corev1.PersistentVolumeClaim
	require.NoError(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if bound, err = claims.Get(t.Context(), "hpc-shared-pvc", metav1.GetOptions{}); err != nil {
			return err
		}
		bindToShare(bound)
		if bound, err = claims.Update(t.Context(), bound, metav1.UpdateOptions{}); err != nil {
			return err
		}
		bound.Status.Phase = corev1.ClaimBound
		bound, err = claims.UpdateStatus(t.Context(), bound, metav1.UpdateOptions{})
		return err
	}))
	return bound
}

// requireCreated fails the test unless an object was created, now or by an earlier test.
func requireCreated(t *testing.T, err error) {
	t.Helper()
	if !apierrors.IsAlreadyExists(err) {
		require.NoError(t, err)
	}
}

// anOwner refers to a ConfigMap of the attacker. An object with this owner is deleted together with the ConfigMap.
var anOwner = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "mine", UID: "1"}}

func setOwner(t *testing.T, client kubernetes.Interface, c *corev1.PersistentVolumeClaim) error {
	t.Helper()
	c.OwnerReferences = anOwner
	_, err := client.CoreV1().PersistentVolumeClaims("open").Update(t.Context(), c,
		metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}
