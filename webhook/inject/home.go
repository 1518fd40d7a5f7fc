package inject

import (
	"path"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Home mounts: the user's home, and the parts of the share that the configuration adds.
//
// Mounts the home twice, by subPath: inside share.mountPath (/data/hpc/home/<name>), so that paths in users' files stay
// valid, and at /home/<name>, which is HOME. With discovery at admission the directories of share.directories follow.
// They are on the share or on further claims, and read-only or read-write. With share.exposeEveryHome the first of the
// two mounts is the whole share.
//
// With discovery at start only the home is mounted, because a root shell in the notebook container can become any UID. A
// warning names the directories that are left out. With share.exposeEveryHome: EvenToRoot the whole share is mounted
// nevertheless, and each Pod gets a warning.
//
// The mounts are ours (mounts.go).

// typicalMounts is the initial capacity for our mounts in the notebook container.
const typicalMounts = 6

func (in *planning) planHome() (mounts []wantedMount, warnings []string) {
	name := in.facts.User.String()
	mounts = make([]wantedMount, 0, typicalMounts)
	if in.seesEveryHome() {
		mounts = append(mounts, wantedMount{description: description{"the share", "", ""}, Mount: pod.Mount{
			Name: in.planner.config.Share.VolumeName, MountPath: in.planner.config.Share.MountPath,
		}})
	} else {
		mounts = append(mounts, in.homeMount(in.homeOnShare))
	}
	mounts = append(mounts, in.homeMount(in.home))

	var leftOut []string
	for i := range in.planner.config.Share.Directories {
		d := &in.planner.config.Share.Directories[i]
		if in.discovery == config.DiscoveryAtAdmission {
			mounts = append(mounts, in.directoryMount(d))
		} else {
			leftOut = append(leftOut, d.MountPathOf(name))
		}
	}
	switch {
	case in.discovery == config.DiscoveryAtAdmission:
	case in.planner.config.Share.ExposeEveryHome == config.ExposeEvenToRoot:
		warnings = append(warnings, denial.EveryHomeToRoot())
	case in.planner.config.Share.ExposeEveryHome == config.ExposeToTheUser:
		leftOut = append(leftOut, in.planner.config.Share.MountPath)
	}
	if len(leftOut) > 0 {
		warnings = append(warnings, denial.DirectoriesLeftOut(leftOut))
	}
	return mounts, warnings
}

// directoryMount returns the mount of a configured directory, of the share or of a further claim.
func (in *planning) directoryMount(d *config.Directory) wantedMount {
	name := in.facts.User.String()
	subPath := d.SubPathOf(name)
	m := wantedMount{description: description{"the share's ", subPath, ""}, Mount: pod.Mount{
		Name: in.planner.config.Share.VolumeName, MountPath: d.MountPathOf(name), SubPath: subPath,
		ReadOnly: d.Access != config.AccessReadWrite,
	}}
	if d.ClaimName != "" {
		m.Name, m.description = d.ClaimName, description{"a directory of the claim ", d.ClaimName, ""}
	}
	return m
}

// findHome finds the user's home on the share, and the directory above the home. In the init container that directory has the
// same path as in the notebook container, so that messages show a path that users know. With share.homePrefix, findHome
// does nothing for an unknown identity, which chooseDiscovery has denied.
func (in *planning) findHome() *denial.Denial {
	share, name := &in.planner.config.Share, in.facts.User.String()
	switch {
	case share.HomesByField() && in.identity == nil:
		return nil
	case share.HomesByField():
		home, why := share.HomeOf(name, in.identity.Home)
		if why != "" {
			return new(denial.HomeFieldUnusable(name, why))
		}
		in.subPath, in.parent = home, path.Dir(home)
	default:
		in.subPath, in.parent = share.Home.Of(name), share.Home.Parent(name)
	}
	in.homesDir = in.planner.fixedHomes
	if in.homesDir == "" {
		in.homesDir = share.MountPath + "/" + in.parent
	}
	in.homeOnShare = in.homesDir + "/" + name
	return nil
}

// fixedHomes returns the directory above the homes, as a path in the init container; empty if users have different
// directories above their homes.
func fixedHomes(c *config.Config) string {
	if c.Share.HomesByField() || !c.Share.Home.ParentIsFixed() {
		return ""
	}
	return c.Share.MountPath + "/" + c.Share.Home.Parent("")
}

func (in *planning) seesEveryHome() bool {
	switch in.planner.config.Share.ExposeEveryHome {
	case config.ExposeEvenToRoot:
		return true
	case config.ExposeToTheUser:
		return in.discovery == config.DiscoveryAtAdmission
	}
	return false
}
