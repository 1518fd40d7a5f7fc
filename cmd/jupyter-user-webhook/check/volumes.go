package check

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// shareVolumes checks that the share's volumes are bound only to the share's claims, and that no other volume or
// StorageClass leads to the share. Each volume of the share must have a claimRef, because without it Kubernetes binds
// the volume to any matching claim. And share.volumeNames must name the volume, because the policies protect no other volume.
func shareVolumes(ctx context.Context, s *state) (found []Finding) {
	share := s.sharePVs()
	if len(share) == 0 {
		return []Finding{failed("", "no PersistentVolume is named by share.volumeNames (%s) or bound to the share's claims: "+
			"name the share's volumes in the chart's values (share.volumeNames)", s.parameters["volumes"])}
	}
	for _, volume := range share {
		found = append(found, s.judgeShareVolume(volume)...)
		found = append(found, s.onTheShare(ctx, volume, share)...)
	}
	found = append(found, s.allowedVolumes(ctx, share)...)
	for _, volume := range s.volumes.Items {
		if !s.isShare(volume) {
			found = append(found, s.otherExport(ctx, "PersistentVolume "+volume.Name, exportOf(volume), share)...)
			found = append(found, sameFiles(volume, share)...)
		}
	}
	for _, class := range s.storageClasses.Items {
		found = append(found, s.otherExport(ctx, "StorageClass "+class.Name, exportOfClass(class), share)...)
	}
	if len(found) == 0 {
		found = append(found, ok("", "%s of the share, each with its claimRef, and no other leads to "+
			"it", count(len(share), "volume")))
	}
	return found
}

func (s *state) judgeShareVolume(volume corev1.PersistentVolume) (found []Finding) {
	where := "PersistentVolume " + volume.Name
	if !s.inVolumeNames(volume.Name) {
		found = append(found, failed(where, "is bound to a claim of the share, and share.volumeNames does not name it: add it there"))
	}
	claim := volume.Spec.ClaimRef
	switch {
	case claim == nil:
		found = append(found, failed(where, "has no claimRef, so any claim can be bound to it: write the namespace and the name "+
			"of its claim there"))
	case !slices.Contains(s.words("claims"), claim.Name):
		found = append(found, failed(where, "is for the claim %s/%s, which is not among the share's claims in the policies: "+
			"Pods that mount that claim are not guarded", claim.Namespace, claim.Name))
	}
	return found
}

// onTheShare returns a finding if the volume of a further claim (share.directories) has files of the share: a directory of
// that volume could be a home. The finding is Unknown if the address of a server cannot be found.
func (s *state) onTheShare(ctx context.Context, volume corev1.PersistentVolume, all []corev1.PersistentVolume) []Finding {
	if claim := volume.Spec.ClaimRef; claim == nil || !slices.Contains(s.furtherClaims(), claim.Name) {
		return nil
	}
	ofShare := slices.DeleteFunc(slices.Clone(all), func(other corev1.PersistentVolume) bool {
		return other.Spec.ClaimRef == nil || other.Spec.ClaimRef.Name != s.claimName()
	})
	where := "PersistentVolume " + volume.Name
	common := append(s.otherExport(ctx, where, exportOf(volume), ofShare), sameFiles(volume, ofShare)...)
	if !slices.ContainsFunc(common, func(f Finding) bool { return f.Status == Failed }) {
		return common
	}
	return []Finding{failed(where, "is for the claim %s, and has files of the share, so that a directory of it could be a "+
		"user's home: list the directory without claimName (share.directories)", volume.Spec.ClaimRef.Name)}
}

// sharePVs returns the volumes that share.volumeNames names, or that are bound to the share's claim or to a further claim.
func (s *state) sharePVs() (found []corev1.PersistentVolume) {
	for _, volume := range s.volumes.Items {
		if s.isShare(volume) {
			found = append(found, volume)
		}
	}
	return found
}

func (s *state) isShare(volume corev1.PersistentVolume) bool {
	return s.inVolumeNames(volume.Name) || slices.ContainsFunc(s.shareClaims(), func(c corev1.PersistentVolumeClaim) bool {
		return c.Spec.VolumeName == volume.Name
	})
}

// inVolumeNames reports whether share.volumeNames includes a name. A * at the end of a word matches any ending.
func (s *state) inVolumeNames(name string) bool {
	return slices.ContainsFunc(s.words("volumes"), func(word string) bool {
		start, ending := strings.CutSuffix(word, "*")
		return word == name || ending && strings.HasPrefix(name, start)
	})
}

// otherExport returns a finding if an NFS export has files of the share: the export is the share's directory, or is inside
// or above that directory. The finding is Unknown if the address of a server cannot be found.
func (s *state) otherExport(ctx context.Context, where string, e export, share []corev1.PersistentVolume) []Finding {
	for _, volume := range share {
		shareExport := exportOf(volume)
		a, b := withSlashes(e.path), withSlashes(shareExport.path)
		if e.server == "" || shareExport.server == "" || !oneInside(a, b) {
			continue
		}
		same, err := s.sameHost(ctx, e.server, shareExport.server)
		switch {
		case err != nil:
			return []Finding{unknown(where, "it is unknown whether its server %s is the share's: %s", e.server, oneLine(err))}
		case same:
			return []Finding{failed(where, "leads to the same export as %s, and share.volumeNames does not name it: a Pod with "+
				"a claim bound to it reaches the share", volume.Name)}
		}
	}
	return nil
}

// nodePath returns the path of a volume on the nodes; empty if its files are elsewhere.
func nodePath(volume corev1.PersistentVolume) string {
	switch {
	case volume.Spec.HostPath != nil:
		return withSlashes(volume.Spec.HostPath.Path)
	case volume.Spec.Local != nil:
		return withSlashes(volume.Spec.Local.Path)
	}
	return ""
}

// allowedVolumes checks three values of the policies. The policies guard the paths in hostPaths, so each volume of the share on
// the nodes must be at or below one of these paths. They guard inline volumes of the drivers in csiDrivers, so the driver of
// each volume of the share must be one of these. The policies do not guard the servers in otherNFSServers, so the share's
// server must not be one of them.
func (s *state) allowedVolumes(ctx context.Context, share []corev1.PersistentVolume) (found []Finding) {
	for _, volume := range share {
		if path := nodePath(volume); path != "" && !slices.ContainsFunc(s.words("hostPaths"), func(word string) bool {
			return strings.HasPrefix(path, withSlashes(word))
		}) {
			found = append(found, failed(policyValues, "hostPaths lacks %s, where %s lies on the nodes: Pods may mount it from there",
				path, volume.Name))
		}
	}
	for _, volume := range share {
		if csi := volume.Spec.CSI; csi != nil && !slices.Contains(s.words("csiDrivers"), strings.ToLower(csi.Driver)) {
			found = append(found, warning(policyValues, "csiDrivers lacks %s, the driver of %s: Pods may mount the share by an inline "+
				"volume of it, if the driver has such volumes (Ephemeral in volumeLifecycleModes of its CSIDriver)",
				strings.ToLower(csi.Driver), volume.Name))
		}
	}
	for _, server := range s.words("otherNFSServers") {
		found = append(found, s.otherServer(ctx, server, share)...)
	}
	return found
}

// policyValues is the object that has the values of the policies.
const policyValues = "ConfigMap " + webhookName

// otherServer returns a finding if a server in otherNFSServers is the share's. The finding is Unknown if the address of a
// server cannot be found, and no volume shows that the server is the share's.
func (s *state) otherServer(ctx context.Context, other string, share []corev1.PersistentVolume) (found []Finding) {
	for _, volume := range share {
		server := exportOf(volume).server
		if server == "" {
			continue
		}
		same, err := s.sameHost(ctx, other, server)
		switch {
		case same:
			return []Finding{failed(policyValues, "otherNFSServers has %s, which is the server of %s: Pods may mount the share by "+
				"a volume of their own", other, volume.Name)}
		case err != nil && found == nil:
			found = []Finding{unknown(policyValues, "it is unknown whether %s, which otherNFSServers has, is the server of %s: "+
				"%s", other, volume.Name, oneLine(err))}
		}
	}
	return found
}

// sameHost reports whether two hosts have the same name or a common address.
func (s *state) sameHost(ctx context.Context, a, b string) (bool, error) {
	if strings.EqualFold(a, b) {
		return true, nil
	}
	addressesOfA, err := s.addresses(ctx, a)
	if err != nil {
		return false, err
	}
	addressesOfB, err := s.addresses(ctx, b)
	return slices.ContainsFunc(addressesOfA, func(address string) bool { return slices.Contains(addressesOfB, address) }), err
}
