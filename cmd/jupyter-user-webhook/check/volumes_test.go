package check

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

func TestShareVolumes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*state)
		status Status
		says   string
	}{
		"the shipped values": {func(*state) {}, OK, "1 volume of the share"},
		"no volume":          {func(s *state) { s.volumes.Items = nil }, Failed, "no PersistentVolume is named by share.volumeNames (hpc-pv hpc-pv-*)"},
		"a volume that the values do not name": {func(s *state) {
			s.volumes.Items[0].Name, s.claims.Items[0].Spec.VolumeName = "pvc-1", "pvc-1"
		}, Failed, "PersistentVolume pvc-1: is bound to a claim of the share, and share.volumeNames does not name it"},
		"the server by its address": {func(s *state) {
			s.volumes.Items = append(s.volumes.Items, nfs("other", "192.0.2.10", "/export/home"))
		}, Failed, "PersistentVolume other: leads to the same export as hpc-pv"},
		"the server's root":               {func(s *state) { s.volumes.Items = append(s.volumes.Items, nfs("other", "NFS.example", "/")) }, Failed, "PersistentVolume other"},
		"another directory of the server": {func(s *state) { s.volumes.Items = append(s.volumes.Items, nfs("other", "nfs.example", "/export2")) }, OK, ""},
		"another server":                  {func(s *state) { s.volumes.Items = append(s.volumes.Items, nfs("other", "198.51.100.1", "/export")) }, OK, ""},
		"a server without an address":     {func(s *state) { s.volumes.Items = append(s.volumes.Items, nfs("other", "gone.example", "/export")) }, Unknown, "PersistentVolume other: it is unknown whether its server gone.example is the share's"},
		"a name that begins alike":        {func(s *state) { s.volumes.Items = append(s.volumes.Items, nfs("hpc-pvx", "nfs.example", "/export")) }, Failed, "hpc-pvx: leads to the same"},
		"the server in otherNFSServers":   {func(s *state) { s.parameters["otherNFSServers"] = "192.0.2.11 192.0.2.10" }, Failed, "otherNFSServers has 192.0.2.10, which is the server of hpc-pv"},
		"the server in otherNFSServers, after a server without an address": {func(s *state) {
			s.volumes.Items = []corev1.PersistentVolume{nfs("hpc-pv-gone", "gone.example", "/export"), nfs("hpc-pv", "nfs.example", "/export")}
			s.parameters["otherNFSServers"] = "nfs.example"
		}, Failed, "otherNFSServers has nfs.example, which is the server of hpc-pv"},
		"a server without an address in otherNFSServers": {func(s *state) {
			s.volumes.Items = append(s.volumes.Items, nfs("hpc-pv-other", "192.0.2.12", "/export"))
			s.parameters["otherNFSServers"] = "gone.example"
		}, Unknown, "ConfigMap jupyter-user-webhook: it is unknown whether gone.example, which otherNFSServers has, is the server of hpc-pv: no such host"},
		"a directory of the nodes": {func(s *state) {
			s.volumes.Items[0].Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/srv/share/"}}
		}, Failed, "hostPaths lacks /srv/share/, where hpc-pv lies on the nodes"},
		"a volume that the values name": {func(s *state) {
			s.parameters["hostPaths"] = "/srv"
			s.volumes.Items[0].Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/srv/share/"}}
		}, OK, ""},
		"the same directory of the nodes": {func(s *state) {
			s.parameters["hostPaths"] = "/srv"
			s.volumes.Items[0].Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/srv/share"}}
			other := nfs("other", "", "")
			other.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/srv"}}
			s.volumes.Items = append(s.volumes.Items, other)
		}, Failed, "PersistentVolume other: has the same files as hpc-pv"},
		"the same handle of a CSI driver": {func(s *state) {
			addCSIVolumes(s, "d", "h", "h")
		}, Failed, "PersistentVolume other: has the same files as hpc-pv"},
		"the volume of a further claim": {func(s *state) { addFurtherClaim(s, nfs("scratch-pv", "nfs.example", "/scratch")) }, OK, "2 volumes"},
		"the volume of a further claim, which is not listed": {func(s *state) {
			addFurtherClaim(s, nfs("other", "nfs.example", "/scratch"))
		}, Failed, "PersistentVolume other: is bound to a claim of the share, and share.volumeNames does not name it"},
		"the volume of a further claim, on the share": {func(s *state) {
			addFurtherClaim(s, nfs("scratch-pv", "192.0.2.10", "/export/home"))
		}, Failed, "PersistentVolume scratch-pv: is for the claim scratch, and has files of the share"},
		"the volume of a further claim, on a server without an address": {func(s *state) {
			addFurtherClaim(s, nfs("scratch-pv", "gone.example", "/export/home"))
		}, Unknown, "PersistentVolume scratch-pv: it is unknown whether its server gone.example is the share's"},
		"a name that ends in any way": {func(s *state) { s.volumes.Items = append(s.volumes.Items, nfs("hpc-pv-x", "nfs.example", "/export")) }, OK, "2 volumes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := closedCluster(t)
			c.change(s)
			assertOneFinding(t, shareVolumes(t.Context(), s), c.status, c.says)
		})
	}
}

// addCSIVolumes makes the share's volume a volume of a CSI driver, and adds another volume of this driver. The arguments share
// and other are the handles of the two volumes.
func addCSIVolumes(s *state, driver, share, other string) {
	s.parameters["csiDrivers"] = strings.ToLower(driver)
	s.volumes.Items = append(s.volumes.Items, nfs("other", "", ""))
	for i, handle := range []string{share, other} {
		s.volumes.Items[i].Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{
			CSI: &corev1.CSIPersistentVolumeSource{Driver: driver, VolumeHandle: handle}}
	}
}

// TestVolumesOfEFS tests which handles [FileSystemId]:[Subpath]:[AccessPointId] of the EFS driver lead to the share.
func TestVolumesOfEFS(t *testing.T) {
	const same, point = "PersistentVolume other: has the same files as hpc-pv",
		"PersistentVolume other: is on the same file system as hpc-pv, and the directory of an access point cannot be seen from here"
	for _, c := range []struct {
		share, other string
		status       Status
		says         string
	}{
		{"fs-1", "fs-1", Failed, same},
		{"fs-1", "fs-2", OK, ""},
		{"fs-1", "fs-1:/home", Failed, same},
		{"fs-1", "fs-1::fsap-2", Failed, same},
		{"fs-1::fsap-1", "fs-1", Failed, same},
		{"fs-1::fsap-1", "fs-1::fsap-1", Failed, same},
		{"fs-1:/hpc", "fs-1:/hpc/home/", Failed, same},
		{"fs-1:/hpc", "fs-1:/dynamic", OK, ""},
		{"fs-1:/hpc", "fs-1::fsap-2", Warning, point},
		{"fs-1::fsap-1", "fs-1::fsap-2", Warning, point},
		{"fs-1::fsap-1", "fs-2::fsap-2", OK, ""},
	} {
		s := closedCluster(t)
		addCSIVolumes(s, "efs.csi.aws.com", c.share, c.other)
		assertOneFinding(t, shareVolumes(t.Context(), s), c.status, c.says)
	}
}

// TestVolumesOfNFSDriver tests the volumes and StorageClasses of csi-driver-nfs: each volume is a directory (subDir) of an
// export. A StorageClass makes such directories, by default with the unique name of the volume.
func TestVolumesOfNFSDriver(t *testing.T) {
	const driver = "nfs.csi.k8s.io"
	attributes := func(subDir string) map[string]string {
		return map[string]string{"server": "nfs.example", "share": "/export", "subDir": subDir}
	}
	for _, c := range []struct {
		volume, class string
		status        Status
		says          string
	}{
		{"pvc-1", "", OK, ""},
		{"hpc/home", "", Failed, "PersistentVolume other: leads to the same export as hpc-pv"},
		{"/", "", Failed, "PersistentVolume other: leads to the same export as hpc-pv"},
		{"pvc-1", "${pv.metadata.name}", OK, ""},
		{"pvc-1", "${pvc.metadata.namespace}/${pvc.metadata.name}", Failed, "StorageClass dynamic: leads to the same export as hpc-pv"},
		{"pvc-1", "users/${pvc.metadata.name}", OK, ""},
		{"pvc-1", "hpc", Failed, "StorageClass dynamic: leads to the same export as hpc-pv"},
		{"pvc-1", "hpc/${pv.metadata.name}", Failed, "StorageClass dynamic: leads to the same export as hpc-pv"},
	} {
		s := closedCluster(t)
		addCSIVolumes(s, driver, "a", "b")
		s.volumes.Items[0].Spec.CSI.VolumeAttributes = attributes("hpc")
		s.volumes.Items[1].Spec.CSI.VolumeAttributes = attributes(c.volume)
		class := storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "dynamic"}, Provisioner: driver, Parameters: attributes(c.class)}
		if c.class == "" {
			delete(class.Parameters, "subDir")
		}
		s.storageClasses.Items = []storagev1.StorageClass{class}
		assertOneFinding(t, shareVolumes(t.Context(), s), c.status, c.says)
	}
}

// TestUnguardedCSIDriver tests that the policies must guard inline volumes of the share's driver.
func TestUnguardedCSIDriver(t *testing.T) {
	s := closedCluster(t)
	addCSIVolumes(s, "EFS.csi.aws.com", "fs-1", "fs-2")
	assertOneFinding(t, shareVolumes(t.Context(), s), OK, "1 volume")
	s.parameters["csiDrivers"] = "nfs.csi.k8s.io"
	assertOneFinding(t, shareVolumes(t.Context(), s), Warning, "ConfigMap jupyter-user-webhook: csiDrivers lacks efs.csi.aws.com, the driver of "+
		"hpc-pv: Pods may mount the share by an inline volume of it, if the driver has such volumes")
}

func addFurtherClaim(s *state, volume corev1.PersistentVolume) {
	s.config = config.Default()
	s.config.Share.Directories = []config.Directory{{ClaimName: "scratch", MountPath: "/scratch", Access: config.AccessReadOnly}}
	s.parameters["claims"] += " scratch"
	s.parameters["volumes"] += " scratch-pv"
	claim := s.claims.Items[0]
	claim.Name, claim.Spec.VolumeName = "scratch", volume.Name
	s.claims.Items = append(s.claims.Items, claim)
	volume.Spec.ClaimRef = &corev1.ObjectReference{Namespace: claim.Namespace, Name: "scratch"}
	s.volumes.Items = append(s.volumes.Items, volume)
}

// TestMissingFurtherClaim tests that a namespace with notebooks needs the further claims (share.directories).
func TestMissingFurtherClaim(t *testing.T) {
	s := closedCluster(t)
	addFurtherClaim(s, corev1.PersistentVolume{})
	for i := range s.claims.Items {
		s.claims.Items[i].Status.Phase = corev1.ClaimBound
		s.claims.Items[i].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	}
	assertOneFinding(t, claims(t.Context(), s), OK, "is bound in")
	s.claims.Items = s.claims.Items[:1]
	assertOneFinding(t, claims(t.Context(), s), Failed, "has no claim scratch, which has directories for notebooks")
	s.parameters = shippedValues(t)
	assertOneFinding(t, parametersAgree(t.Context(), s), Failed, "claims of the policies lacks scratch")
}
