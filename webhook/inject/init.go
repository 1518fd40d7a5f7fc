package inject

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Init container: finds the owner of the home, and writes the files that the notebook container needs. With discovery at
// admission it also checks that the owner still has the UID with which the Pod was admitted.
//
// Adds jupyter-user-init as the first init container, so that nothing of the Pod runs before the home is checked. The
// container runs our image with every setting that Pod Security restricted requires, as the user, or as UID 65532 with
// discovery at start. Of the share and the further claims it sees only the directory above the home, and the directories
// above the user's other directories (share.directories with {user}). These mounts are read-only. They suffice to check a
// home, because lstat of an entry needs no right on the entry. The container writes to the scratch volume.
//
// Ours: its position, image (init.image or one of init.acceptedImages), command, args (but see putArgs), mounts, termination
// message and security context, except a seccomp profile of type Localhost and the options that confinement.go lets stay.
// Variables, devices, probes, hooks, restart policy, working directory, stdin and tty are ours too, and are removed. The
// Pod's: resources and pull policy, which LimitRanger and AlwaysPullImages fill in.
//
// An init container named jupyter-user-init that the Pod has already is corrected if it is the first, and otherwise removed
// and added again. Any other container of this name is denied. In a Pod of the QoS class Guaranteed the requests of our init
// container equal its limits. A volume mount of another webhook is tolerated only below /var/run/secrets, and not inside
// another mount. Anywhere else the mount could hide a home, or a symbolic link could direct the mount over
// jupyter-user-init.

const (
	// nonroot is the UID and GID of the init container with discovery at start. Many images use this number for an
	// unprivileged user.
	nonroot = 65532
	// tokenPath is where the admission plugin ServiceAccount mounts a token into every container that has no mount there.
	// Our init container needs no token, so it has a mount of the scratch volume there.
	tokenPath = secretsDir + "kubernetes.io/serviceaccount"
	// secretsDir is the directory in which webhooks for workload identities mount their tokens.
	secretsDir = "/var/run/secrets/" //nolint:gosec // a path, no credential
)

type initPiece struct {
	want     *pod.InitContainer
	accepted []string
	ours     ourVolumes
}

// initTemplate is the part of the init container that does not depend on the Pod.
type initTemplate struct {
	container pod.InitContainer
	security  pod.SecurityContext
	accepted  []string
}

func newInitTemplate(c *config.Config) initTemplate {
	resources, security := resourcesOf(c.Init.Resources), asUser
	security.ReadOnlyRootFilesystem = new(true)
	return initTemplate{
		container: pod.InitContainer{
			Name:            handoff.Container,
			Image:           c.Init.Image,
			ImagePullPolicy: "IfNotPresent",
			Command:         []string{"/" + handoff.Binary},
			Resources:       &resources,
			VolumeMounts: []pod.Mount{
				homesMount(c, fixedHomes(c), c.Share.Home.Parent("")),
				{Name: c.Scratch.VolumeName, MountPath: c.Scratch.MountPath},
				{Name: c.Scratch.VolumeName, ReadOnly: true, MountPath: tokenPath},
			},
			TerminationMessagePath:   "/dev/termination-log",
			TerminationMessagePolicy: "File",
		},
		security: security,
		accepted: append([]string{c.Init.Image}, c.Init.AcceptedImages...),
	}
}

func (in *planning) planInit() initPiece {
	runAs := in.identity
	if runAs == nil {
		runAs = &identity.Identity{UID: nonroot, GID: nonroot}
	}
	want, security := in.planner.init.container, in.planner.init.security
	security.RunAsUser, security.RunAsGroup = &runAs.UID, &runAs.GID
	want.SecurityContext = &security
	want.Args = in.discover().Args()
	for i := range want.Args {
		want.Args[i] = strings.ReplaceAll(want.Args[i], "$", expanded.dollar)
	}
	want.Resources = in.initResources()
	if in.planner.fixedHomes == "" {
		want.VolumeMounts = slices.Clone(want.VolumeMounts)
		want.VolumeMounts[0] = homesMount(in.planner.config, in.homesDir, in.parent)
	}
	want.VolumeMounts = append(slices.Clip(want.VolumeMounts), in.parentMounts()...)
	return initPiece{want: &want, accepted: in.planner.init.accepted, ours: in.ourVolumes()}
}

// parentMounts returns the mounts of the directories above the user's other directories (share.directories with {user}).
// The init container checks the user's directories like the home. With discovery at start there are no such mounts.
func (in *planning) parentMounts() (mounts []pod.Mount) {
	share, name := &in.planner.config.Share, in.facts.User.String()
	if in.discovery != config.DiscoveryAtAdmission {
		return nil
	}
	for i := range share.Directories {
		d := &share.Directories[i]
		if d.IsPerUser() {
			mounts = append(mounts, pod.Mount{
				Name: cmp.Or(d.ClaimName, share.VolumeName), ReadOnly: true,
				MountPath: d.ParentOf(share, name), SubPath: d.Pattern().Parent(name),
			})
		}
	}
	return mounts
}

// homesMount returns the mount of the directory above the home.
func homesMount(c *config.Config, mountPath, subPath string) pod.Mount {
	return pod.Mount{Name: c.Share.VolumeName, ReadOnly: true, MountPath: mountPath, SubPath: subPath}
}

// initResources returns the configured resources. In a Pod of the QoS class Guaranteed the requests equal the limits,
// because otherwise the Pod would lose that class. If the Pod has Pod-level resources, the init container gets no more
// than those.
func (in *planning) initResources() *pod.Resources {
	want := in.planner.init.container.Resources
	if ofPod := in.pod.Spec.Resources; !ofPod.Empty() {
		return fitInto(want, ofPod)
	}
	if want.Limits["cpu"] == nil || want.Limits["memory"] == nil || !in.guaranteed() {
		return want
	}
	requests := pod.Quantities{}
	maps.Copy(requests, want.Requests)
	maps.Copy(requests, want.Limits)
	return &pod.Resources{Requests: requests, Limits: want.Limits}
}

func (in *planning) discover() handoff.Discover {
	d := handoff.Discover{
		User:       in.facts.User.String(),
		Homes:      in.homesDir,
		Scratch:    in.planner.config.Scratch.MountPath,
		Home:       in.home,
		MinUID:     in.planner.config.Identity.MinUID,
		MinGID:     in.planner.config.Identity.MinGID,
		DeniedGIDs: in.planner.config.Identity.DeniedGIDs,

		JupyterConfig: in.jupyterSettings(),
		Umask:         in.planner.config.Notebook.Umask,
	}
	for _, parent := range in.parentMounts() {
		d.Directories = append(d.Directories, path.Join(parent.MountPath, d.User))
	}
	if in.identity != nil {
		d.Expect = &handoff.Expected{UID: in.identity.UID, GID: in.identity.GID, Groups: in.identity.Groups}
	}
	return d
}

func isInit(at pod.Element, c *pod.Container) bool {
	return c.Name == handoff.Container && at.List == pod.InitContainersPath
}

func (p initPiece) reconcile(document *pod.Pod, c *changes) {
	found := slices.IndexFunc(document.Spec.InitContainers, func(c pod.Container) bool { return c.Name == handoff.Container })
	for at, container := range document.AllContainers {
		if container.Name == handoff.Container && at != (pod.Element{List: pod.InitContainersPath, At: found}) {
			c.deny(denial.ContainerTaken(at.Pointer().Child("name").Field(), handoff.Container))
		}
	}
	switch {
	case found == 0:
		p.putRight(pod.InitContainersPath.Index(0), &document.Spec.InitContainers[0], c)
	case len(document.Spec.InitContainers) == 0:
		c.appendTo(ours, pod.InitContainersPath, 0, p.want)
	default:
		if found > 0 {
			removeAt(c, pod.InitContainersPath, document.Spec.InitContainers, []int{found})
		}
		c.insertFirst(pod.InitContainersPath, p.want)
	}
}

func (p initPiece) putRight(at pod.Pointer, have *pod.Container, c *changes) {
	field := func(key string) member { return member{at, true, key} }
	if have.Image == nil || !slices.Contains(p.accepted, *have.Image) {
		putField(c, ours, field("image"), have.Image, p.want.Image)
	}
	putField(c, thePods, field("imagePullPolicy"), have.ImagePullPolicy, p.want.ImagePullPolicy)
	putList(c, field("command"), have.Command, p.want.Command)
	p.putArgs(field("args"), have.Args, c)
	if have.Resources.Empty() {
		putResources(c, at.Child("resources"), have.Resources, p.want.Resources)
	}
	putField(c, ours, field("terminationMessagePath"), have.TerminationMessagePath, p.want.TerminationMessagePath)
	putField(c, ours, field("terminationMessagePolicy"), have.TerminationMessagePolicy, p.want.TerminationMessagePolicy)
	p.putSecurityContext(at.Child("securityContext"), have, c)
	if mounts, ok := p.mounts(have.VolumeMounts); !ok {
		putList(c, field("volumeMounts"), have.VolumeMounts, mounts)
	}
	c.removeField(field("workingDir"), have.WorkingDir != nil && *have.WorkingDir != "")
	c.removeField(field("env"), len(have.Env) > 0)
	c.removeField(field("envFrom"), len(have.EnvFrom) > 0)
	c.removeField(field("volumeDevices"), len(have.VolumeDevices) > 0)
	c.removeField(field("restartPolicy"), have.RestartPolicy != nil)
	c.removeField(field("restartPolicyRules"), len(have.RestartPolicyRules) > 0)
	c.removeField(field("lifecycle"), have.Lifecycle != nil)
	c.removeField(field("startupProbe"), have.StartupProbe != nil)
	c.removeField(field("readinessProbe"), have.ReadinessProbe != nil)
	c.removeField(field("livenessProbe"), have.LivenessProbe != nil)
	c.removeField(field("stdin"), have.Stdin)
	c.removeField(field("tty"), have.TTY)
}

// putArgs sets the init container's arguments to the planned ones. The argument with Jupyter's settings depends on the
// notebook container's command line and variables, which are the Pod's. A later webhook can change these without changing
// our argument, so the verifier does not compare this argument.
func (p initPiece) putArgs(m member, have []string, c *changes) {
	othersEqual := slices.Equal(withoutSettings(have), withoutSettings(p.want.Args))
	if othersEqual && !slices.Equal(have, p.want.Args) {
		c.record(Replaced, thePods, m, p.want.Args)
		c.operation("replace", m.at(), p.want.Args)
		return
	}
	putList(c, m, have, p.want.Args)
}

// withoutSettings returns the arguments without the first argument that has Jupyter's settings.
func withoutSettings(args []string) []string {
	i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--"+handoff.JupyterConfigFlag+"=") })
	if i < 0 {
		return args
	}
	return slices.Delete(slices.Clone(args), i, i+1)
}

func (p initPiece) putSecurityContext(at pod.Pointer, have *pod.Container, c *changes) {
	want := p.want.SecurityContext
	now, exists := have.SecurityContext, have.SecurityContext != nil
	if !exists {
		now = &pod.SecurityContext{}
	}
	putPrivileges(c, member{object: at, exists: exists}, now, want)
	putField(c, ours, member{at, exists, "readOnlyRootFilesystem"}, now.ReadOnlyRootFilesystem, *want.ReadOnlyRootFilesystem)
	dropForbidden(c, at, now)
}

// tolerated reports whether a mount of a volume that is not ours can stay in the init container. The mount must be below
// secretsDir and outside every other mount. It must not be at tokenPath, inside tokenPath or around tokenPath. Otherwise a
// symbolic link in a volume could direct the inner of two mounts over jupyter-user-init. nested has the paths that are
// inside another mount.
func (p initPiece) tolerated(m pod.Mount, nested map[string]string) bool {
	at := m.MountPath
	_, isNested := nested[at]
	free := at != tokenPath && !pod.Inside(at, tokenPath) && !pod.Inside(tokenPath, at)
	return !p.ours.has(m.Name) && belowSecrets.MatchString(at) && free && !isNested
}

// belowSecrets matches a clean path below secretsDir, without hidden directories. The policy net.jupyter-user.io has the same
// expression.
var belowSecrets = regexp.MustCompile(`^/var/run/secrets(/[^/.][^/]*)+$`)

// mounts takes the present mounts of the init container. It returns the mounts that the init container must have: ours, and
// the present mounts that are tolerated. ok reports whether the present mounts are exactly these.
func (p initPiece) mounts(have []pod.Mount) (want []pod.Mount, ok bool) {
	want = slices.Clone(p.want.VolumeMounts)
	present := make([]bool, len(want))
	ok = true
	nested := nestedPaths(&pod.Container{VolumeMounts: have})
	for _, m := range have {
		i := slices.Index(p.want.VolumeMounts, m.Normalized())
		switch {
		case i >= 0 && !present[i]:
			present[i] = true
		case p.tolerated(m, nested):
			want = append(want, m)
		default:
			ok = false
		}
	}
	return want, ok && !slices.Contains(present, false)
}
