package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// furtherClaimsValues has chart values with two further claims. Notebooks mount the whole volume of the claim hpc-scratch,
// and one directory of the claim hpc-projects.
const furtherClaimsValues = `{share: {volumeNames: [hpc-pv, 'hpc-pv-*'], directoryVolumeNames: {hpc-scratch: ['scratch-pv-*', one-pv]}},
	config: {share: {directories: [
		{claimName: hpc-scratch, mountPath: /scratch, access: ReadWrite},
		{claimName: hpc-projects, subPath: physics, mountPath: /projects, access: ReadOnly}]}}}`

func withFurtherClaims(c *config.Config) {
	c.Share.Directories = []config.Directory{
		{ClaimName: "hpc-scratch", MountPath: "/scratch", Access: config.AccessReadWrite},
		{ClaimName: "hpc-projects", SubPath: "physics", MountPath: "/projects", Access: config.AccessReadOnly},
	}
}

func mayUseShares(verb string, claims ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{"jupyter-user.io"}, Resources: []string{"shares"}, ResourceNames: claims,
		Verbs: []string{verb}}
}

func claimSource(name string) corev1.VolumeSource {
	return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
}

// TestAttacksOnMountsOfFurtherClaims changes notebooks with further claims. The verifier denies each change. The policy
// net.jupyter-user.io denies mounts of other directories than the configuration lists for the claim.
func TestAttacksOnMountsOfFurtherClaims(t *testing.T) {
	t.Parallel()
	verified := startVerified(t)
	verified.reconfigure(t, withFurtherClaims)
	net := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, furtherClaimsValues)})
	for _, user := range []string{"alice", "qiang.guo03"} {
		made := injectedBy(t, verified.configured, user)
		require.NoError(t, create(t.Context(), verified.carol, "lab", made.DeepCopy()))
		require.NoError(t, create(t.Context(), net.carol, "lab", made), "what the webhook makes is admitted")
	}
	mount := func(volume string, change func(*corev1.VolumeMount)) func(*corev1.Pod) {
		return func(pod *corev1.Pod) {
			for i := range pod.Spec.Containers[0].VolumeMounts {
				if m := &pod.Spec.Containers[0].VolumeMounts[i]; m.Name == volume {
					change(m)
				}
			}
		}
	}
	for name, a := range map[string]struct {
		user        string
		change      func(*corev1.Pod)
		deniedByNet bool
	}{
		"the whole of a claim of which a directory is listed": {"alice", mount("hpc-projects", func(m *corev1.VolumeMount) { m.SubPath = "" }), true},
		"another directory of the claim":                      {"alice", mount("hpc-projects", func(m *corev1.VolumeMount) { m.SubPath = "chemistry" }), true},
		"the home's path on the claim":                        {"alice", mount("hpc-projects", func(m *corev1.VolumeMount) { m.SubPath = "home/alice" }), true},
		"a directory by an expression": {"alice", mount("hpc-projects", func(m *corev1.VolumeMount) {
			m.SubPath, m.SubPathExpr = "", "physics"
		}), true},
		"a directory of the claim that is listed whole": {"alice", mount("hpc-scratch", func(m *corev1.VolumeMount) { m.SubPath = "bob" }), true},
		"a directory of the claim, on the share":        {"alice", mount("hpc-projects", func(m *corev1.VolumeMount) { m.Name = "hpc-shared-volume" }), true},
		"a read-only directory to write to":             {"alice", mount("hpc-projects", func(m *corev1.VolumeMount) { m.ReadOnly = false }), false},
		"the claim under another name": {"alice", func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine", VolumeSource: claimSource("hpc-projects")})
		}, false},
		"the claim under another name, whole": {"alice", func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine", VolumeSource: claimSource("hpc-projects")})
			pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/mine"})
		}, true},
		"a sidecar with the claim": {"alice", func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x",
				SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64(5001)), RunAsGroup: new(int64(6001)), AllowPrivilegeEscalation: new(false)},
				VolumeMounts:    []corev1.VolumeMount{{Name: "hpc-projects", MountPath: "/p", SubPath: "physics"}}})
		}, false},
		"a sidecar of another UID": {"alice", func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x",
				SecurityContext: &corev1.SecurityContext{RunAsUser: new(int64(1337)), AllowPrivilegeEscalation: new(false)}})
		}, false},
		"the init container mounts the claim": {"alice", func(pod *corev1.Pod) {
			init := &pod.Spec.InitContainers[0]
			init.VolumeMounts = append(init.VolumeMounts, corev1.VolumeMount{Name: "hpc-scratch", MountPath: "/var/run/secrets/x"})
		}, true},
		"a sidecar has the claim as a block device": {"alice", func(pod *corev1.Pod) {
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x",
				VolumeDevices: []corev1.VolumeDevice{{Name: "hpc-scratch", DevicePath: "/dev/x"}}})
		}, true},
		"the claim in a Pod with discovery at start": {"qiang.guo03", func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "mine", VolumeSource: claimSource("hpc-scratch")})
			pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "mine", MountPath: "/scratch"})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			pod := injectedBy(t, verified.configured, a.user)
			a.change(pod)
			assert.ErrorContains(t, create(t.Context(), verified.carol, "lab", pod.DeepCopy()),
				`admission webhook "verified-pods.jupyter-user.io" denied the request: `)
			if a.deniedByNet {
				assert.ErrorContains(t, create(t.Context(), net.carol, "lab", pod), "ValidatingAdmissionPolicy 'net.jupyter-user.io'")
			}
		})
	}
}

// TestAttacksOnFurtherClaims tests that the policies guard each further claim like the share.
func TestAttacksOnFurtherClaims(t *testing.T) {
	t.Parallel()
	g := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, furtherClaimsValues)})
	require.NoError(t, g.Apply(t.Context(), snapshotType("VolumeSnapshot", "snapshot.storage.k8s.io", "v1")))
	g.allow(t, "lab", "bob", rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"volumesnapshots"}, Verbs: []string{"create"}})
	ephemeral := func(change func(*corev1.PersistentVolumeClaim)) corev1.VolumeSource {
		return corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{
			VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: claim(change).Spec}}}
	}
	onScratch := func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "scratch-pv-7" }
	copiesScratch := func(c *corev1.PersistentVolumeClaim) {
		c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "hpc-scratch"}
	}
	attacks := map[string]attack{
		"the claim in a Pod that is no notebook":     {"share/ShareMounted", byBob(claimSource("hpc-scratch"))},
		"another claim in a Pod that is no notebook": {"share/ShareMounted", byBob(claimSource("hpc-projects"))},
		"an ephemeral claim on its volume":           {"share/ShareRoad", byBob(ephemeral(onScratch))},
		"an ephemeral copy":                          {"share/ShareRoad", byBob(ephemeral(copiesScratch))},
		"an ephemeral claim that gets the claim's name": {"share/ShareRoad", func(t *testing.T, g *guarded) error {
			pod := plainPod()
			pod.GenerateName, pod.Name = "", "hpc"
			pod.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: ephemeral(func(*corev1.PersistentVolumeClaim) {})}}
			return create(t.Context(), g.bob, "lab", pod)
		}},
		"the claim created":                         {"claims/ShareClaim", newClaim(func(c *corev1.PersistentVolumeClaim) { c.Name = "hpc-projects" })},
		"a claim on the claim's volume":             {"claims/ShareClaim", newClaim(onScratch)},
		"a claim on the claim's second volume":      {"claims/ShareClaim", newClaim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "one-pv" })},
		"a copy":                                    {"claims/ShareClaim", newClaim(copiesScratch)},
		"the claim deleted":                         {"claims/ShareClaim", onScratchClaim(func(t *testing.T, g *guarded, c *corev1.PersistentVolumeClaim) error { return deleteClaim(t, g, c) })},
		"the claim given an owner":                  {"claims/ShareClaim", onScratchClaim(func(t *testing.T, g *guarded, c *corev1.PersistentVolumeClaim) error { return setOwner(t, g.bob, c) })},
		"a snapshot":                                {"snapshots/ShareSnapshot", createSnapshot("VolumeSnapshot", "snapshot.storage.k8s.io", "v1", `{"persistentVolumeClaimName": "hpc-scratch"}`)},
		"another image in a Pod that has the claim": {"images/ImageAccess", patchScratchImage},
		"kubectl debug of a Pod that has the claim": {"debug/NoAccess", debugScratchPod},
	}
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) { assertDenied(t, a.do(t, g), a.rule) })
	}
}

// onScratchClaim returns an attack on the claim hpc-scratch in namespace open.
func onScratchClaim(try func(*testing.T, *guarded, *corev1.PersistentVolumeClaim) error) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		claims := g.admin(t).CoreV1().PersistentVolumeClaims("open")
		_, err := claims.Create(t.Context(), claim(func(c *corev1.PersistentVolumeClaim) { c.Name = "hpc-scratch" }), metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			require.NoError(t, err)
		}
		stored, err := claims.Get(t.Context(), "hpc-scratch", metav1.GetOptions{})
		require.NoError(t, err)
		return try(t, g, stored)
	}
}

func deleteClaim(t *testing.T, g *guarded, c *corev1.PersistentVolumeClaim) error {
	t.Helper()
	return g.bob.CoreV1().PersistentVolumeClaims("open").Delete(t.Context(), c.Name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
}

// createScratchPod creates, as admin, a Pod that is no notebook and has the claim hpc-scratch as a volume.
func createScratchPod(t *testing.T, g *guarded) *corev1.Pod {
	t.Helper()
	pod := plainPod()
	addGate(pod)
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: claimSource("hpc-scratch")}}
	kept, err := g.admin(t).CoreV1().Pods("open").Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	return kept
}

func patchScratchImage(t *testing.T, g *guarded) error {
	pod := createScratchPod(t, g)
	pod.Spec.Containers[0].Image = "mine"
	_, err := g.bob.CoreV1().Pods("open").Update(t.Context(), pod, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

func debugScratchPod(t *testing.T, g *guarded) error {
	pod := createScratchPod(t, g)
	added := debugger()
	added.TargetContainerName = ""
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{added}
	_, err := g.bob.CoreV1().Pods("open").UpdateEphemeralContainers(t.Context(), pod.Name, pod, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// TestRightsToFurtherClaims tests that the right to one claim is no right to another. A volume that can reach the data of
// any claim, such as inline NFS, needs the rights to all claims.
func TestRightsToFurtherClaims(t *testing.T) {
	t.Parallel()
	g := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, furtherClaimsValues)})
	g.allow(t, "open", "erin", withPods, mayUseShares("use", "hpc-scratch"))
	g.allow(t, "open", "frank", withPods, mayUseShares("use", "hpc-shared-pvc"))
	g.allow(t, "open", "grace", withPods, mayUseShares("use", "hpc-shared-pvc", "hpc-scratch", "hpc-projects"))
	g.allow(t, "open", "system:serviceaccount:open:backup", mayUseShares("run-as", "hpc-scratch"))
	with := func(account string, volumes ...corev1.VolumeSource) *corev1.Pod {
		pod := plainPod()
		pod.Spec.ServiceAccountName = account
		for i, v := range volumes {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: string(rune('a' + i)), VolumeSource: v})
		}
		return pod
	}
	require.NoError(t, g.Apply(t.Context(), "{apiVersion: v1, kind: ServiceAccount, metadata: {name: backup, namespace: open}}"))
	require.NoError(t, g.Apply(t.Context(), "{apiVersion: v1, kind: ServiceAccount, metadata: {name: plain, namespace: open}}"))
	scratch, share, nfs := claimSource("hpc-scratch"), claimSource("hpc-shared-pvc"), corev1.VolumeSource{
		NFS: &corev1.NFSVolumeSource{Server: "192.0.2.1", Path: "/"}}
	for name, c := range map[string]struct {
		requester string
		pod       *corev1.Pod
		names     string
	}{
		"the claim, by its own right":                           {"erin", with("plain", scratch), ""},
		"the share, by the claim's right":                       {"erin", with("plain", share), "hpc-shared-pvc"},
		"share and claim, by the claim's right":                 {"erin", with("plain", scratch, share), "hpc-shared-pvc, hpc-scratch"},
		"an inline volume, by the claim's right":                {"erin", with("plain", nfs), "hpc-shared-pvc, hpc-scratch, hpc-projects"},
		"the share, by its own right":                           {"frank", with("plain", share), ""},
		"the claim, by the share's right":                       {"frank", with("plain", scratch), "hpc-scratch"},
		"an inline volume, by the share's right":                {"frank", with("plain", nfs), "hpc-shared-pvc, hpc-scratch, hpc-projects"},
		"an inline volume, by the rights to all":                {"grace", with("plain", nfs), ""},
		"the claim, by the ServiceAccount's right":              {"bob", with("backup", scratch), ""},
		"the share, by the ServiceAccount's right":              {"bob", with("backup", share), "hpc-shared-pvc"},
		"share and claim, by rights of user and ServiceAccount": {"frank", with("backup", scratch, share), ""},
		"the claim, without a right":                            {"bob", with("plain", scratch), "hpc-scratch"},
	} {
		t.Run(name, func(t *testing.T) {
			err := create(t.Context(), g.clientOf(t, c.requester), "open", c.pod)
			if c.names == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, "ask the admin for the verb use on shares.jupyter-user.io named "+c.names)
		})
	}
	t.Run("the claim on a volume of the share", func(t *testing.T) {
		made := claim(func(c *corev1.PersistentVolumeClaim) { c.Name, c.Spec.VolumeName = "hpc-scratch", "hpc-pv-open" })
		_, err := g.clientOf(t, "erin").CoreV1().PersistentVolumeClaims("open").Create(t.Context(), made, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		assertDenied(t, err, "claims/ShareClaim")
		assert.ErrorContains(t, err, "named hpc-shared-pvc")
	})
	t.Run("the claim on its own volume", func(t *testing.T) {
		made := claim(func(c *corev1.PersistentVolumeClaim) { c.Name, c.Spec.VolumeName = "hpc-scratch", "scratch-pv-open" })
		_, err := g.clientOf(t, "erin").CoreV1().PersistentVolumeClaims("open").Create(t.Context(), made, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		assert.NoError(t, err)
	})
	t.Run("the controller binds the claim", func(t *testing.T) {
		made, err := g.clientOf(t, "erin").CoreV1().PersistentVolumeClaims("open").Create(t.Context(),
			claim(func(c *corev1.PersistentVolumeClaim) { c.Name = "hpc-scratch" }), metav1.CreateOptions{})
		require.NoError(t, err)
		own, foreign := made.DeepCopy(), made.DeepCopy()
		own.Spec.VolumeName, foreign.Spec.VolumeName = "scratch-pv-open", "hpc-pv-open"
		binds := func(c *corev1.PersistentVolumeClaim) error {
			_, err := g.clientOf(t, binder).CoreV1().PersistentVolumeClaims("open").Update(t.Context(), c, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		}
		assert.NoError(t, binds(own))
		assertDenied(t, binds(foreign), "claims/ShareClaim")
	})
}
