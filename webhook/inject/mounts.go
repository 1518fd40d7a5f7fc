package inject

import (
	"path"
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Mounts: what the containers see of the share and of the scratch volume. home.go, accounts.go and this file define the
// mounts of the notebook container. homein.go has the mounts of the other containers that get the home, and init.go those of
// the init container.
//
// Adds the mounts of the notebook container. They are ours. In every container but the init container, the webhook denies
// any mount of our volumes that it does not add itself, also one by subPath, subPathExpr or as a device. In each container
// that gets the home, it denies another volume at the path of a mount of ours; in the notebook container also inside the
// scratch directory. It denies a termination message at such a path too, because the kubelet mounts the file of the message.
// The webhook denies such mounts and does not correct them, because it does not know their purpose. Other mounts of other
// volumes are the Pod's.
//
// A container runtime mounts as root and follows symbolic links inside the container. A symbolic link to the scratch
// directory, in a home or in any volume, could direct any mount over the program that the container starts as root. So
// with discovery at start a mount of the Pod's own must not be inside another mount, must have none of our mounts inside,
// and must not be at /dev, nor at or inside /proc or a path of /dev that leads to /proc. It must not contain /etc/hosts, which
// the runtime mounts: a link of that name in the volume could direct that mount too.
//
// The runtime also creates missing directories of a path, as root. If the notebook container sees only the home, the
// runtime can create such directories on the share only in the user's own home. If the container sees more of the share,
// the path, or a link in the home, can lead to a directory that the user must not write to. Then the same rules hold as
// with discovery at start, and the working directory must not be inside a mount, unless it is the home. A path can also
// lead through a link in the image. The webhook cannot check this, because it does not see the image.

// wantedMount is a mount that the webhook adds.
type wantedMount struct {
	pod.Mount
	// description describes the mount in a denial.
	description description
	// closed reports whether other mounts inside this mount are denied.
	closed bool
}

// description is the text that describes a mount, in three parts. They are joined only for a denial.
type description struct{ before, name, after string }

// String returns the joined text.
func (d description) String() string { return d.before + d.name + d.after }

// mountsPiece are the mounts of one container: the notebook container, or another container that gets the home (homein.go).
type mountsPiece struct {
	at        pod.Pointer
	container *pod.Container
	want      []wantedMount
	ours      ourVolumes
	warnings  []string
	// startsAsRoot reports whether the container starts as root, and seesMore whether it sees more of the share than the
	// home.
	startsAsRoot, seesMore bool
	// deniedVolumes are the names of the volumes with which the Pod itself mounts one of our claims (otherShareVolumes). The
	// Pod is denied for them, so their mounts get no denial of their own.
	deniedVolumes []string
	// homeAlone is true for a container other than the notebook container: it gets the home, but no directories of
	// share.directories.
	homeAlone bool
	// home and homeOnShare are the two paths at which the home is mounted.
	home, homeOnShare string
	// homeIn are the other containers that get the home.
	homeIn []homeContainer
	// mountAround is the result of nestedPaths for the container; nil if no rule needs it.
	mountAround map[string]string
}

func (in *planning) planMounts(s switches) mountsPiece {
	homes, warnings := in.planHome()
	scratch := in.planner.config.Scratch
	want := append(homes, wantedMount{
		Mount:       pod.Mount{Name: scratch.VolumeName, ReadOnly: true, MountPath: scratch.MountPath},
		description: description{"what the init container found", "", ""},
		closed:      true,
	})
	if s.accountFiles {
		accounts := in.planAccounts()
		want = append(want, accounts[:]...)
	}
	p := mountsPiece{
		at: in.notebookAt, container: in.notebook, want: want, ours: in.ourVolumes(), warnings: warnings,
		startsAsRoot:  in.discovery == config.DiscoveryAtStart,
		seesMore:      in.seesMoreThanHome(),
		deniedVolumes: in.deniedVolumes,
		home:          in.home, homeOnShare: in.homeOnShare,
		homeIn: in.homeIn,
	}
	if p.startsAsRoot || p.seesMore || len(in.notebook.VolumeDevices) > 0 {
		p.mountAround = nestedPaths(in.notebook)
	}
	return p
}

// ourVolumes are the names of our volumes in a Pod. With discovery at start there are no volumes of further claims.
type ourVolumes struct {
	share, scratch string
	further        []string
}

func (in *planning) ourVolumes() ourVolumes {
	volumes := ourVolumes{share: in.planner.config.Share.VolumeName, scratch: in.planner.config.Scratch.VolumeName}
	if in.discovery == config.DiscoveryAtAdmission {
		volumes.further = in.planner.further
	}
	return volumes
}

func (o ourVolumes) has(name string) bool {
	return name == o.share || name == o.scratch || slices.Contains(o.further, name)
}

func (p mountsPiece) reconcile(pod *pod.Pod, c *changes) {
	c.warnings = append(c.warnings, p.warnings...)
	ownInit := false
	for at, container := range pod.AllContainers {
		switch {
		case p.isOwnInit(at, container):
			ownInit = true
			c.deny(denial.OwnInitContainer(at.Pointer().Field(), container.Name, p.container.Name, p.ours.share, p.ours.scratch))
		case container == p.container:
			p.reconcileContainer(ownInit, c)
		case isInit(at, container), hasHome(p.homeIn, container):
		default:
			p.denyForeign(at.Pointer, container, c)
		}
	}
}

// isOwnInit reports whether a container is an init container of the Pod's own that mounts both the share and the scratch
// volume. Such a container is assumed to do the work of our init container.
func (p mountsPiece) isOwnInit(at pod.Element, container *pod.Container) bool {
	isOwn := at.List == pod.InitContainersPath && container.Name != handoff.Container
	return isOwn && container.Mounts(p.ours.share) && container.Mounts(p.ours.scratch)
}

// reconcileContainer adds our mounts to the container and denies mounts that conflict with them. ownInit reports whether an
// init container of the Pod's own finds the owner (isOwnInit). Then the mounts of the share and the scratch volume get no
// denials of their own, because the denial of that init container already says that these mounts must be removed.
func (p mountsPiece) reconcileContainer(ownInit bool, c *changes) {
	mounts := p.at.Child("volumeMounts")
	present := make([]bool, len(p.want))
	for i, have := range p.container.VolumeMounts {
		field := func() string { return mounts.Index(i).Field() }
		ok, normalized := false, have.Normalized()
		for j, want := range p.want {
			if normalized == want.Mount {
				ok, present[j] = true, true
			}
		}
		if ok {
			continue
		}
		if p.ours.has(have.Name) {
			if !ownInit {
				c.deny(denial.MountForeign(field(), have.Name, have.MountPath, p.homeAlone))
			}
			continue
		}
		if !slices.Contains(p.deniedVolumes, have.Name) {
			p.denyConflict(field, have.MountPath, c)
		}
	}
	if at := p.container.TerminationMessagePath; at != nil && *at != "" {
		// The kubelet mounts a file at this path, to which the container can write.
		p.denyConflict(func() string { return p.at.Child("terminationMessagePath").Field() }, *at, c)
	}
	if p.seesMore {
		p.denyWorkingDir(c)
	}
	p.denyVolumes(func() pod.Pointer { return p.at }, p.container, c)
	for j := range p.want {
		if !present[j] {
			c.appendTo(ours, mounts, len(p.container.VolumeMounts), &p.want[j].Mount)
		}
	}
}

// denyConflict denies a mount, a device or a termination message of the Pod's own at one of our mount paths or inside the
// scratch directory. If the container starts as root or sees more of the share than the home, denyConflict also denies a
// nested path (method nested).
func (p mountsPiece) denyConflict(field func() string, mountPath string, c *changes) {
	at := pod.CleanPath(mountPath)
	if want, taken := p.conflicting(at); taken {
		c.deny(denial.MountTaken(field(), mountPath, want.description.String()))
		return
	}
	if !p.startsAsRoot && !p.seesMore {
		return
	}
	other, nested := p.nested(at)
	switch {
	case !nested:
	case at == "/dev" || slices.Contains(kernelPaths[:], other):
		c.deny(denial.MountOverKernel(field(), mountPath))
	case other == runtimePath:
		c.deny(denial.MountAroundRuntime(field(), mountPath, other))
	case p.startsAsRoot:
		c.deny(denial.MountNested(field(), mountPath, other))
	default:
		c.deny(denial.MountInShare(field(), mountPath, other))
	}
}

// denyWorkingDir denies a working directory that is inside a mount and is not the home itself. A directory in the image's
// own home is not denied, because start.go replaces it.
func (p mountsPiece) denyWorkingDir(c *changes) {
	dir := p.container.WorkingDir
	if dir == nil || *dir == "" || inImagesHome(pod.CleanPath(*dir), p.home) {
		return
	}
	at := pod.CleanPath(*dir)
	if at == p.home || at == p.homeOnShare {
		return
	}
	deny := func(around string) {
		c.deny(denial.MountInShare(p.at.Child("workingDir").Field(), *dir, around))
	}
	for _, want := range p.want {
		if pod.Inside(at, want.MountPath) {
			deny(want.MountPath)
			return
		}
	}
	for _, m := range p.container.VolumeMounts {
		if pod.Inside(at, pod.CleanPath(m.MountPath)) {
			deny(m.MountPath)
			return
		}
	}
}

// kernelPaths are /proc and the paths of /dev that are links into /proc.
var kernelPaths = [...]string{"/proc", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"}

// runtimePath is one of the files that the kubelet and the container runtime mount into every container. The others,
// /etc/hostname and /etc/resolv.conf, are in the same directory, so a mount that contains one of the files contains all.
const runtimePath = "/etc/hosts"

// nested takes the clean path of a mount of the Pod's own, and reports whether the mount is nested. It returns the path
// with which the mount conflicts: a kernel path at or around the mount, another mount around it, or a mount of ours or of the
// runtime's inside it. A mount at /dev is nested too, because kernel paths are inside /dev; the returned path is then /dev.
func (p mountsPiece) nested(at string) (other string, nested bool) {
	if at == "/dev" {
		return at, true
	}
	for _, kernelPath := range kernelPaths {
		if at == kernelPath || pod.Inside(at, kernelPath) {
			return kernelPath, true
		}
	}
	if pod.Inside(runtimePath, at) {
		return runtimePath, true
	}
	for _, want := range p.want {
		if pod.Inside(at, want.MountPath) || pod.Inside(want.MountPath, at) {
			return want.MountPath, true
		}
	}
	other, nested = p.mountAround[at]
	return other, nested
}

// nestedPaths returns the paths of a container's mounts, devices and termination message that are inside another such path,
// each with the nearest path around it. It visits the paths in tree order, in which the content of a directory follows the
// directory. Comparing all pairs took six seconds for a thousand paths of two KiB.
func nestedPaths(c *pod.Container) (inside map[string]string) {
	paths := make([]string, 0, len(c.VolumeMounts)+len(c.VolumeDevices)+1)
	for _, m := range c.VolumeMounts {
		paths = append(paths, pod.WithSlash(pod.CleanPath(m.MountPath)))
	}
	for _, d := range c.VolumeDevices {
		if d.DevicePath != "" {
			paths = append(paths, pod.WithSlash(pod.CleanPath(d.DevicePath)))
		}
	}
	if message := c.TerminationMessagePath; message != nil && *message != "" {
		paths = append(paths, pod.WithSlash(pod.CleanPath(*message)))
	}
	slices.Sort(paths)
	var around []string
	for _, p := range slices.Compact(paths) {
		for len(around) > 0 && !strings.HasPrefix(p, around[len(around)-1]) {
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			if inside == nil {
				inside = map[string]string{}
			}
			inside[path.Clean(p)] = path.Clean(around[len(around)-1])
		}
		around = append(around, p)
	}
	return inside
}

// conflicting returns the mount of ours that is at a clean path, or that is closed and around the path. It returns false if
// there is none.
func (p mountsPiece) conflicting(at string) (wantedMount, bool) {
	for _, want := range p.want {
		if at == want.MountPath || want.closed && pod.Inside(at, want.MountPath) {
			return want, true
		}
	}
	return wantedMount{}, false
}

func (p mountsPiece) denyForeign(at func() pod.Pointer, container *pod.Container, c *changes) {
	for i, m := range container.VolumeMounts {
		if p.ours.has(m.Name) {
			c.deny(denial.MountElsewhere(at().Child("volumeMounts").Index(i).Field(), m.Name, m.MountPath, p.container.Name))
		}
	}
	p.denyVolumes(at, container, c)
}

// denyVolumes denies variables and devices by which a container gets data from our volumes without a mount, and devices
// that conflict with our mounts.
func (p mountsPiece) denyVolumes(at func() pod.Pointer, container *pod.Container, c *changes) {
	for i, v := range container.Env {
		if v.ValueFrom != nil && p.ours.has(v.ValueFrom.FileKeyRef.VolumeName) {
			c.deny(denial.EnvForeign(at().Child("env").Index(i).Field(), v.ValueFrom.FileKeyRef.VolumeName))
		}
	}
	p.denyDevices(at, container, c)
}
