package integration

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func attacksByOtherVolumes() map[string]attack {
	const road = "share/ShareRoad"
	template := func(change func(*corev1.PersistentVolumeClaim)) corev1.VolumeSource {
		return corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{
			VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: claim(change).Spec},
		}}
	}
	all := map[string]attack{
		"the share's NFS server inline": {road, byBobInOpen(corev1.VolumeSource{
			NFS: &corev1.NFSVolumeSource{Server: "nfs.corp.example", Path: "/export"}})},
		"an NFS server inline in a notebook": {road, byCarol(func(pod *corev1.Pod) {
			pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: "all", VolumeSource: corev1.VolumeSource{
				NFS: &corev1.NFSVolumeSource{Server: "192.0.2.1", Path: "/"}}})
		})},
		"the share by a CSI ephemeral volume": {road, byBobInOpen(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{
			Driver: "nfs.csi.k8s.io", VolumeAttributes: map[string]string{"server": "nfs.corp.example", "share": "/export"}}})},
		"the share by a CSI driver's name in capitals": {road, byBobInOpen(corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{
			Driver: "NFS.csi.K8s.io", VolumeAttributes: map[string]string{"server": "nfs.corp.example", "share": "/export"}}})},
		"hostPath of the share":                          {road, byBobInOpen(hostPath("/srv/share"))},
		"hostPath inside of the share":                   {road, byBobInOpen(hostPath("/srv/share/home/alice"))},
		"hostPath above the share":                       {road, byBobInOpen(hostPath("/srv"))},
		"hostPath of the whole node":                     {road, byBobInOpen(hostPath("/"))},
		"hostPath longer than the policy reads":          {road, byBobInOpen(hostPath("/srv/share/" + strings.Repeat("./", 500)))},
		"hostPath below a hidden directory":              {road, byBobInOpen(hostPath("/mnt/old/.hidden/..x"))},
		"hostPath with further slashes and dots":         {road, byBobInOpen(hostPath("/srv//./share/"))},
		"a generic ephemeral volume on the PV":           {road, byBob(template(bindToShare))},
		"a generic ephemeral copy":                       {road, byBob(template(copyShare))},
		"hostPath of the share, configured with a slash": {road, byBobInOpen(hostPath("/data/slash/home"))},
		"a generic ephemeral volume whose claim gets the name of the share's claim": {road, func(t *testing.T, g *guarded) error {
			pod := plainPod()
			pod.GenerateName, pod.Name = "", "hpc-shared"
			pod.Spec.Volumes = []corev1.Volume{{Name: "pvc", VolumeSource: template(func(*corev1.PersistentVolumeClaim) {})}}
			return create(t.Context(), g.bob, "lab", pod)
		}},
	}
	for kind, source := range networkVolumes() {
		all["an inline volume of kind "+kind] = attack{road, byBobInOpen(source)}
	}
	return all
}

// networkVolumes returns inline volumes of kinds that can reach any server. The policies cannot know whether the server has
// the share.
func networkVolumes() map[string]corev1.VolumeSource {
	return map[string]corev1.VolumeSource{
		"azureFile":      {AzureFile: &corev1.AzureFileVolumeSource{SecretName: "s", ShareName: "s"}},
		"cephfs":         {CephFS: &corev1.CephFSVolumeSource{Monitors: []string{"192.0.2.1"}}},
		"fc":             {FC: &corev1.FCVolumeSource{TargetWWNs: []string{"50060e801049cfd1"}, Lun: new(int32(0))}},
		"flexVolume":     {FlexVolume: &corev1.FlexVolumeSource{Driver: "example.com/nfs"}},
		"glusterfs":      {Glusterfs: &corev1.GlusterfsVolumeSource{EndpointsName: "e", Path: "p"}},
		"iscsi":          {ISCSI: &corev1.ISCSIVolumeSource{TargetPortal: "192.0.2.1", IQN: "iqn.2026-01.com.example:x"}},
		"portworxVolume": {PortworxVolume: &corev1.PortworxVolumeSource{VolumeID: "v"}},
		"quobyte":        {Quobyte: &corev1.QuobyteVolumeSource{Registry: "r.example:7861", Volume: "v"}},
		"rbd":            {RBD: &corev1.RBDVolumeSource{CephMonitors: []string{"192.0.2.1"}, RBDImage: "i"}},
		"scaleIO":        {ScaleIO: &corev1.ScaleIOVolumeSource{Gateway: "g", System: "s", VolumeName: "v", SecretRef: &corev1.LocalObjectReference{Name: "s"}}},
		"storageos":      {StorageOS: &corev1.StorageOSVolumeSource{VolumeName: "v"}},
	}
}

func bindToShare(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "hpc-pv-lab" }

func copyShare(c *corev1.PersistentVolumeClaim) {
	c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "PersistentVolumeClaim", Name: "hpc-shared-pvc"}
}

// binder is the user name of Kubernetes' controller that binds claims to volumes.
const binder = "system:serviceaccount:kube-system:persistent-volume-binder"

func hostPath(path string) corev1.VolumeSource {
	return corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}
}

// byBobInOpen returns an attack: bob creates a Pod with a volume in namespace open, which has no Pod Security level.
func byBobInOpen(volume corev1.VolumeSource) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		pod := plainPod()
		pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: volume}}
		return create(t.Context(), g.bob, "open", pod)
	}
}

// snapshotType returns a CustomResourceDefinition with the names of a real snapshot type. Its schema allows any spec.
func snapshotType(kind, group, version string) string {
	plural := strings.ToLower(kind) + "s"
	return fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: %[1]s.%[3]s
  annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes-csi/external-snapshotter/pull/814"}
spec:
  group: %[3]s
  names: {kind: %[2]s, listKind: %[2]sList, plural: %[1]s, singular: %[5]s}
  scope: Namespaced
  versions:
  - name: %[4]s
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
`, plural, kind, group, version, strings.ToLower(kind))
}

var (
	snapshotShare = createSnapshot("VolumeSnapshot", "snapshot.storage.k8s.io", "v1",
		`{"persistentVolumeClaimName": "hpc-shared-pvc"}`)
	// snapshotGroup selects claims by a label, which the share's claim can have.
	snapshotGroup = createSnapshot("VolumeGroupSnapshot", "groupsnapshot.storage.k8s.io", "v1beta1",
		`{"selector": {"matchLabels": {"mine": "yes"}}}`)
)

// createSnapshot returns an attack: bob creates a snapshot object of a type.
func createSnapshot(kind, group, version, source string) func(*testing.T, *guarded) error {
	return func(t *testing.T, g *guarded) error {
		body := fmt.Appendf(nil, `{"apiVersion": "%s/%s", "kind": %q, "metadata": {"name": "s"}, "spec": {"source": %s}}`, group, version,
			kind, source)
		return g.bob.CoreV1().RESTClient().Post().
			AbsPath("/apis", group, version, "namespaces/lab", strings.ToLower(kind)+"s").
			Param("dryRun", "All").Body(body).SetHeader("Content-Type", "application/json").Do(t.Context()).Error()
	}
}
