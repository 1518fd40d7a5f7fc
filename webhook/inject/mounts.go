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
// mounts of the notebook container, init.go those of the init container. Only this file enforces them.
//
// Adds the mounts of the notebook container. They are ours. The webhook denies any other mount of our volumes in any
// container of the Pod, by subPath, subPathExpr or as a device; any other volume at one of our paths or inside the scratch
// directory; and a termination message there, which is a mount too. It does not correct these, because their purpose is
// unknown. Mounts of other volumes are the Pod's.
//
// A container runtime mounts as root and follows symbolic links inside the container. A link to the scratch directory, in a
// home or in any volume, could direct any mount over the program that the container starts as root. So with discovery at
// start no mount of the Pod's own may be inside another mount, none of ours may be inside it, and none may be at or in /proc,
// or at a path of /dev that leads there.
//
// The runtime also creates missing directories of a path, as root. If the notebook container sees only the home, these are in
// the user's own home. If it sees more of the share, the path, or a link in the home, can lead to a directory that the user
// may not write to. Then the same rules hold as with discovery at start, and the working directory must be the home or
// outside every mount. Links in the image are not known at admission.

// wantedMount is a mount of ours and its name in a denial.
type wantedMount struct {
	pod.Mount
	what description
	// closed reports whether no other mount may be inside this one.
	closed bool
}

// description is the text that describes a mount, with a name in it. It is joined only for a denial.
type description struct{ before, name, after string }

// String returns the joined text.
func (d description) String() string { return d.before + d.name + d.after }

type mountsPiece struct {
	container pod.Pointer
	notebook  *pod.Container
	want      []wantedMount
	ours      ourVolumes
	warnings  []string
	// startsAsRoot reports whether the container starts as root, and seesMore whether it sees more of the share than the home.
	startsAsRoot, seesMore bool
	// deniedVolumes are the volumes of the share that share.go denies. Their mounts get no denial of their own.
	deniedVolumes []string
	// homeAlone reports whether the container has the home and no directories.
	homeAlone bool
	// home and homeOnShare are the two paths of the home.
	home, homeOnShare string
	// homeIn are the other containers that have the home (homein.go).
	homeIn []homeContainer
	// nestedIn maps each path that is inside another mount to the path of that mount.
	nestedIn map[string]string
}

func (in *planning) planMounts(s switches) mountsPiece {
	homes, warnings := in.planHome()
	want := append(homes, wantedMount{
		Mount:  pod.Mount{Name: in.planner.config.Scratch.VolumeName, ReadOnly: true, MountPath: in.planner.config.Scratch.MountPath},
		what:   description{"what the init container found", "", ""},
		closed: true,
	})
	if s.accountFiles {
		accounts := in.planAccounts()
		want = append(want, accounts[:]...)
	}
	p := mountsPiece{
		container: in.notebookAt, notebook: in.notebook, want: want, ours: in.ourVolumes(), warnings: warnings,
		startsAsRoot:  in.discovery == config.DiscoveryAtStart,
		seesMore:      in.seesMoreThanHome(),
		deniedVolumes: in.deniedVolumes,
		home:          in.home, homeOnShare: in.homeOnShare,
		homeIn: in.homeIn,
	}
	if p.startsAsRoot || p.seesMore || len(in.notebook.VolumeDevices) > 0 {
		p.nestedIn = nestedPaths(in.notebook)
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
	byHand := false
	for at, container := range pod.AllContainers {
		switch {
		case p.findsTheOwner(at, container):
			byHand = true
			c.deny(denial.DoneByTheWebhook(at.Pointer().Field(), container.Name, p.notebook.Name, p.ours.share, p.ours.scratch))
		case container == p.notebook:
			p.reconcileNotebook(byHand, c)
		case isInit(at, container), hasHome(p.homeIn, container):
		default:
			p.denyForeign(at.Pointer, container, c)
		}
	}
}

// findsTheOwner reports whether another init container mounts both the share and the scratch volume: such a container does
// what ours does.
func (p mountsPiece) findsTheOwner(at pod.Element, container *pod.Container) bool {
	another := at.List == pod.InitContainersPath && container.Name != handoff.Container
	return another && container.Mounts(p.ours.share) && container.Mounts(p.ours.scratch)
}

// reconcileNotebook adds our mounts. If an init container of the Pod finds the owner, its denial already names the mounts
// that belong to it.
func (p mountsPiece) reconcileNotebook(byHand bool, c *changes) {
	mounts := p.container.Child("volumeMounts")
	present := make([]bool, len(p.want))
	for i, have := range p.notebook.VolumeMounts {
		field := func() string { return mounts.Index(i).Field() }
		ok, does := false, have.Normalized()
		for j, want := range p.want {
			if does == want.Mount {
				ok, present[j] = true, true
			}
		}
		if ok {
			continue
		}
		if p.ours.has(have.Name) {
			if !byHand {
				c.deny(denial.MountForeign(field(), have.Name, have.MountPath, p.homeAlone))
			}
			continue
		}
		if !slices.Contains(p.deniedVolumes, have.Name) {
			p.denyMountInTheWay(field, have.MountPath, c)
		}
	}
	if at := p.notebook.TerminationMessagePath; at != nil && *at != "" {
		// The kubelet mounts a file there that the container can write.
		p.denyMountInTheWay(func() string { return p.container.Child("terminationMessagePath").Field() }, *at, c)
	}
	if p.seesMore {
		p.denyWorkingDir(c)
	}
	p.denyVolumes(func() pod.Pointer { return p.container }, p.notebook, c)
	for j := range p.want {
		if !present[j] {
			c.appendTo(ours, mounts, len(p.notebook.VolumeMounts), &p.want[j].Mount)
		}
	}
}

// denyMountInTheWay denies a mount of the Pod's own whose path conflicts with one of our mounts.
func (p mountsPiece) denyMountInTheWay(field func() string, mountPath string, c *changes) {
	at := pod.CleanPath(mountPath)
	if want, taken := p.conflicting(at); taken {
		c.deny(denial.MountTaken(field(), mountPath, want.what.String()))
		return
	}
	if !p.startsAsRoot && !p.seesMore {
		return
	}
	other, nested := p.nested(at)
	switch {
	case !nested:
	case p.startsAsRoot:
		c.deny(denial.MountNested(field(), mountPath, other))
	default:
		c.deny(denial.MountInShare(field(), mountPath, other))
	}
}

// denyWorkingDir denies a working directory inside a mount, unless it is the home. start.go replaces a working directory in
// the image's own home.
func (p mountsPiece) denyWorkingDir(c *changes) {
	dir := p.notebook.WorkingDir
	if dir == nil || *dir == "" || inImagesHome(*dir, p.home) {
		return
	}
	at := pod.CleanPath(*dir)
	if at == p.home || at == p.homeOnShare {
		return
	}
	deny := func(around string) {
		c.deny(denial.MountInShare(p.container.Child("workingDir").Field(), *dir, around))
	}
	for _, want := range p.want {
		if pod.Inside(at, want.MountPath) {
			deny(want.MountPath)
			return
		}
	}
	for _, m := range p.notebook.VolumeMounts {
		if pod.Inside(at, pod.CleanPath(m.MountPath)) {
			deny(m.MountPath)
			return
		}
	}
}

// kernelPaths are paths whose content comes from the kernel: /dev has links to /proc/self/fd.
var kernelPaths = [...]string{"/proc", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"}

// nested returns the mount around a path, or our mount inside that path.
func (p mountsPiece) nested(at string) (other string, nested bool) {
	if at == "/dev" {
		return at, true
	}
	for _, kernels := range kernelPaths {
		if at == kernels || pod.Inside(at, kernels) {
			return kernels, true
		}
	}
	for _, want := range p.want {
		if pod.Inside(at, want.MountPath) || pod.Inside(want.MountPath, at) {
			return want.MountPath, true
		}
	}
	other, nested = p.nestedIn[at]
	return other, nested
}

// nestedPaths maps each clean path of a container's mounts, devices and termination message that is inside another one to
// the nearest one. It visits the paths in tree order, in which the content of a directory follows the directory. Comparing
// all pairs took six seconds for a thousand paths of two KiB.
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

// conflicting returns our mount that conflicts with a clean path.
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
			c.deny(denial.MountElsewhere(at().Child("volumeMounts").Index(i).Field(), m.Name, m.MountPath, p.notebook.Name))
		}
	}
	p.denyVolumes(at, container, c)
}

// denyVolumes denies devices and variables that give a container data of our volumes without a mount.
func (p mountsPiece) denyVolumes(at func() pod.Pointer, container *pod.Container, c *changes) {
	for i, v := range container.Env {
		if v.ValueFrom != nil && p.ours.has(v.ValueFrom.FileKeyRef.VolumeName) {
			c.deny(denial.EnvForeign(at().Child("env").Index(i).Field(), v.ValueFrom.FileKeyRef.VolumeName))
		}
	}
	p.denyDevices(at, container, c)
}
