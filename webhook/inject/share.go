package inject

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Share volumes: the share's claim as a volume of the Pod, and the further claims that have directories (share.directories).
//
// Adds the volume hpc-shared-volume of the claim hpc-shared-pvc. With discovery at admission, each further claim also gets
// a volume, which is named like the claim. All of these volumes are ours:
//
//	volume of the Pod                             result
//	our name and our claim                        kept; denied with readOnly: true
//	our name and another source                   denied
//	our name a second time                        denied
//	our claim under another volume name           denied once: mounts of that volume get no second denial
//	a further claim, with discovery at start      denied: a container that starts as root could read every file on it
//
// So an admitted Pod has no second volume for a claim of ours. The mounts of our volumes are ours (mounts.go).

type sharePiece struct {
	want []pod.Volume
	// closedClaims are the claims that this Pod must not use. With discovery at start these are the further claims; with
	// discovery at admission there are none.
	closedClaims []string
	// ofHub reports whether a hub created the Pod. The volumes are then the hub's, and the denial is addressed to the hub's
	// admin.
	ofHub bool
}

// shareVolumes returns the volumes of our claims: first the share's, then one for each further claim.
func shareVolumes(c *config.Config) []pod.Volume {
	volumes := []pod.Volume{{Name: c.Share.VolumeName, PersistentVolumeClaim: &pod.Claim{ClaimName: c.Share.ClaimName}}}
	for _, claim := range c.Share.FurtherClaims() {
		volumes = append(volumes, pod.Volume{Name: claim, PersistentVolumeClaim: &pod.Claim{ClaimName: claim}})
	}
	return volumes
}

func (in *planning) planShare() sharePiece {
	all, ofHub := in.planner.shares, user.FromHub(in.pod.Metadata.Labels)
	if in.discovery == config.DiscoveryAtAdmission {
		return sharePiece{want: all, ofHub: ofHub}
	}
	return sharePiece{want: all[:1], closedClaims: in.planner.further, ofHub: ofHub}
}

// otherShareVolumes returns the names of the volumes that use one of our claims under a name other than ours.
// sharePiece.reconcile denies these volumes.
func (in *planning) otherShareVolumes() (names []string) {
	for _, v := range in.pod.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		for _, ours := range in.planner.shares {
			if ours.PersistentVolumeClaim.ClaimName == v.PersistentVolumeClaim.ClaimName && ours.Name != v.Name {
				names = append(names, v.Name)
			}
		}
	}
	return names
}

func (p sharePiece) reconcile(document *pod.Pod, c *changes) {
	for i := range p.want {
		p.reconcileVolume(&p.want[i], i == 0, document, c)
	}
	for _, claim := range p.closedClaims {
		for i, v := range document.Spec.Volumes {
			if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim {
				c.deny(denial.ClaimClosed(pod.VolumesPath.Index(i).Field(), claim))
			}
		}
	}
}

func (p sharePiece) reconcileVolume(want *pod.Volume, isShare bool, document *pod.Pod, c *changes) {
	found, name, claim := false, want.Name, want.PersistentVolumeClaim.ClaimName
	for i, v := range document.Spec.Volumes {
		claimed := v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim
		field := func() string { return pod.VolumesPath.Index(i).Field() }
		switch {
		case v.Name != name && claimed && isShare && p.ofHub:
			c.deny(denial.ShareByHub(field(), claim, initContainersWith(v.Name, document)))
		case v.Name != name && claimed && isShare:
			c.deny(denial.ShareAgain(field(), claim, name))
		case v.Name != name && claimed:
			c.deny(denial.ClaimAgain(field(), claim))
		case v.Name != name:
		case found || !claimed || v.PersistentVolumeClaim.ReadOnly || v.EmptyDir != nil || v.HostPath != nil || v.NFS != nil:
			c.deny(denial.VolumeTaken(field(), name, denial.OurClaim(claim, isShare)))
		default:
			found = true
		}
	}
	if !found {
		c.appendTo(ours, pod.VolumesPath, len(document.Spec.Volumes), want)
	}
}

// initContainersWith returns the names of the init containers that mount a volume.
func initContainersWith(volume string, document *pod.Pod) (names []string) {
	for i := range document.Spec.InitContainers {
		if c := &document.Spec.InitContainers[i]; c.Mounts(volume) {
			names = append(names, c.Name)
		}
	}
	return names
}
