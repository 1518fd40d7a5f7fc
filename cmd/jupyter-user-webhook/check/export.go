package check

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// export is a directory of an NFS server.
type export struct{ server, path string }

// exportOf returns the NFS export of a volume; empty if it has none.
func exportOf(volume corev1.PersistentVolume) export {
	switch source := volume.Spec.PersistentVolumeSource; {
	case source.NFS != nil:
		return export{source.NFS.Server, source.NFS.Path}
	case source.CSI != nil:
		return exportIn(source.CSI.VolumeAttributes)
	}
	return export{}
}

// exportIn returns the export in a volume's attributes or a StorageClass's parameters for the NFS CSI driver, which ignores
// the case of their names. The path includes subDir, up to the first directory that has the name of a claim or of its
// namespace: users choose these names.
func exportIn(attributes map[string]string) (e export) {
	var subDir string
	for key, value := range attributes {
		switch strings.ToLower(key) {
		case "server":
			e.server = value
		case "share":
			e.path = value
		case "subdir":
			subDir = value
		}
	}
	if fixed, _, isPattern := strings.Cut(subDir, "${pvc."); isPattern {
		subDir = fixed[:strings.LastIndex(fixed, "/")+1]
	}
	if subDir != "" {
		e.path += "/" + subDir
	}
	return e
}

// exportOfClass returns the directory of an NFS server in which volumes of a StorageClass are. The NFS CSI driver makes a
// directory for each volume, by default with the name of the volume, which no user chooses.
func exportOfClass(class storagev1.StorageClass) export {
	e := exportIn(class.Parameters)
	hasSubDir := false
	for key := range class.Parameters {
		hasSubDir = hasSubDir || strings.EqualFold(key, "subDir")
	}
	if class.Provisioner == "nfs.csi.k8s.io" && !hasSubDir {
		e.path += "/${pv.metadata.name}"
	}
	return e
}

// sameFiles returns a Failed finding if a volume has the same CSI driver and handle as a volume of the share, or if both are
// directories of one EFS file system or of the nodes (nodePath), and one directory is the other, or inside the other. It returns
// a Warning if EFS access points hide the directories (nestedHandles).
func sameFiles(volume corev1.PersistentVolume, share []corev1.PersistentVolume) (found []Finding) {
	where := "PersistentVolume " + volume.Name
	for _, shareVolume := range share {
		path, sharePath := nodePath(volume), nodePath(shareVolume)
		nested, known := path != "" && sharePath != "" && oneInside(path, sharePath), true
		if a, b := volume.Spec.CSI, shareVolume.Spec.CSI; a != nil && b != nil && a.Driver == b.Driver {
			nested, known = nestedHandles(a.Driver, a.VolumeHandle, b.VolumeHandle)
		}
		switch {
		case !known:
			found = []Finding{warning(where, "is on the same file system as %s, and the directory of an access point cannot be seen "+
				"from here: make sure that it is neither in the share's directory nor above it", shareVolume.Name)}
		case nested:
			return []Finding{failed(where, "has the same files as %s, and share.volumeNames does not "+
				"name it: a Pod with a claim bound to it reaches the share", shareVolume.Name)}
		}
	}
	return found
}

// nestedHandles reports whether one of two volumes of a CSI driver is the other, or inside the other, by their handles. known
// is false if the handles do not show that. A handle of the EFS driver has three parts, of which the last two can be missing:
//
//	[FileSystemId]:[Subpath]:[AccessPointId]
//
// An access point has a directory of the file system as its root. The handle does not show which.
func nestedHandles(driver, a, b string) (nested, known bool) {
	if driver != "efs.csi.aws.com" || a == b {
		return a == b, true
	}
	x, y := strings.SplitN(a+"::", ":", 3), strings.SplitN(b+"::", ":", 3)
	pathX, pathY := withSlashes(x[1]), withSlashes(y[1])
	pointX, pointY := strings.Trim(x[2], ":"), strings.Trim(y[2], ":")
	switch {
	case x[0] != y[0]:
		return false, true
	case pathX+pointX == "/", pathY+pointY == "/": // the whole file system
		return true, true
	}
	return oneInside(pathX, pathY), pointX == pointY
}

// withSlashes returns a path with one slash at its beginning and at its end, and without double slashes.
func withSlashes(path string) string {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	return strings.ReplaceAll("/"+strings.Join(parts, "/")+"/", "//", "/")
}

// oneInside reports whether one of two directories is the other, or inside the other. Both paths must be results of withSlashes.
func oneInside(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
