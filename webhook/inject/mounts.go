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

// Mounts: what the containers see of the share and of the scratch volume. What is mounted is said in home.go,
// accounts.go and here, for the notebook container, and in init.go for the init container; this is the one place that
// enforces it.
//
// Adds the mounts of the notebook container. They are ours: no other mount of our volumes may be in any container of
// the pod, by subPath, subPathExpr or as a device, and no other volume at one of our paths, nor inside of the scratch
// directory; and no termination message, which is a mount too. Anything else is refused, because nobody can tell what it
// was meant to be. Mounts of other volumes are the pod's.
//
// A container runtime mounts as root and follows symbolic links inside of the container. A link in a home, or in any volume, to
// the scratch directory would lead a mount over the program that the container starts as root, whatever the path says. So at
// start no mount of the pod's own may lie inside of another mount, nor may one of ours lie inside of it, and none may be at or
// in /proc, or at a path of /dev that leads there.
//
// The runtime also makes, as root, what is missing at a path. In the home alone that is a directory in the user's own home. Where
// notebooks see more of the share, the path, or a link in the home, leads to what the user may not write to: there the same holds
// as at start, and the working directory is the home or outside of every mount. What an image has for links cannot be seen from
// here.

// wantedMount is a mount of ours and what to call it in an answer.
type wantedMount struct {
	pod.Mount
	what description
	// closed tells that nothing else may be mounted inside of it.
	closed bool
}

// description is what a mount is, around a name. It is put together only for a refusal.
type description struct{ before, name, after string }

// String is the whole.
func (d description) String() string { return d.before + d.name + d.after }

type mountsPiece struct {
	container pod.Pointer
	notebook  *pod.Container
	want      []wantedMount
	ours      ourVolumes
	warnings  []string
	// startsAsRoot reports whether the container starts as root, and seesMore whether it sees more of the share than the home.
	startsAsRoot, seesMore bool
	// again are volumes of the share that are denied as such (share.go), and their mounts with them.
	again []string
	// home and homeOnShare are the two places of the home.
	home, homeOnShare string
	// nestedIn are the paths that are inside of another one at which something is mounted, with that one.
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
		startsAsRoot: in.discovery == config.DiscoveryAtStart,
		seesMore:     in.seesMoreThanHome(),
		again:        in.shareAgain(),
		home:         in.home, homeOnShare: in.homeOnShare,
	}
	if p.startsAsRoot || p.seesMore || len(in.notebook.VolumeDevices) > 0 {
		p.nestedIn = nestedPaths(in.notebook)
	}
	return p
}

// ourVolumes are the names of the volumes that are ours in a Pod: with discovery at start it has none of further claims.
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
		case isInit(at, container):
		default:
			p.denyForeign(at.Pointer, container, c)
		}
	}
}

// findsTheOwner reports whether an init container does what ours does: it writes into the scratch volume what it finds on the
// share.
func (p mountsPiece) findsTheOwner(at pod.Element, container *pod.Container) bool {
	another := at.List == pod.InitContainersPath && container.Name != handoff.Container
	return another && container.Mounts(p.ours.share) && container.Mounts(p.ours.scratch)
}

// reconcileNotebook adds our mounts. Where the Pod finds the owner by hand, the denial of that names the mounts that belong to
// it.
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
				c.deny(denial.MountForeign(field(), have.Name, have.MountPath))
			}
			continue
		}
		if !slices.Contains(p.again, have.Name) {
			p.denyMountInTheWay(field, have.MountPath, c)
		}
	}
	if at := p.notebook.TerminationMessagePath; at != nil && *at != "" {
		// The kubelet mounts a file that the container can write there.
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

// denyMountInTheWay refuses a path of the pod's own that something is mounted at, where that gets in the way of a mount of ours.
func (p mountsPiece) denyMountInTheWay(field func() string, mountPath string, c *changes) {
	at := pod.CleanPath(mountPath)
	if want, taken := p.taken(at); taken {
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

// denyWorkingDir denies a working directory inside of a mount, unless it is the home. One in the image's own home is replaced
// (start.go).
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

// kernelPaths are paths whose content is the kernel's, or leads to the kernel's: /dev has links to /proc/self/fd.
var kernelPaths = [...]string{"/proc", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr"}

// nested finds what a path is inside of, or which mount of ours is inside of it.
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

// nestedPaths finds the clean paths of a container's mounts, devices and termination message that are inside of another of them,
// with the nearest. They are gone through in the order of a tree, in which what is inside of a directory follows it: each held
// against each, a thousand paths of two KiB took six seconds.
func nestedPaths(c *pod.Container) map[string]string {
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
	inside := map[string]string{}
	var around []string
	for _, p := range slices.Compact(paths) {
		for len(around) > 0 && !strings.HasPrefix(p, around[len(around)-1]) {
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			inside[path.Clean(p)] = path.Clean(around[len(around)-1])
		}
		around = append(around, p)
	}
	return inside
}

// taken finds the mount of ours that a clean path is in the way of.
func (p mountsPiece) taken(at string) (wantedMount, bool) {
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

// denyVolumes refuses what else than a mount gives a container something of our volumes.
func (p mountsPiece) denyVolumes(at func() pod.Pointer, container *pod.Container, c *changes) {
	for i, v := range container.Env {
		if v.ValueFrom != nil && p.ours.has(v.ValueFrom.FileKeyRef.VolumeName) {
			c.deny(denial.EnvForeign(at().Child("env").Index(i).Field(), v.ValueFrom.FileKeyRef.VolumeName))
		}
	}
	p.denyDevices(at, container, c)
}
