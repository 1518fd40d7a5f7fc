package inject

import (
	"regexp"
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// Start: the command of the notebook container and its working directory.
//
// With discovery at admission the image's entrypoint and the Pod's command and args stay. The working directory is the home
// if the Pod has none, or has one in the image's own home (imageshome.go).
//
// With discovery at start the container starts as root, so jupyter-user-init precedes the commands that run in the
// container: its command, exec hooks and exec probes become "jupyter-user-init exec … -- " and the original command. Args
// are not wrapped, because Kubernetes appends them to the command. A command replaces the image's entrypoint. So for a Pod
// without a command jupyter-user-init gets --image-start, with the start of the image if it is configured
// (notebook.starts), and decides in the container what to run. The working directory is /, because on some shares root
// cannot enter a home. Once jupyter-user-init runs as the user, it changes to the home, or to the Pod's own working
// directory.
//
// The wrapper (jupyter-user-init with its flags) is ours, and the wrapped command stays the Pod's. When the Pod is reviewed
// again, the webhook parses the wrapper to find the wrapped command. A wrapped Pod whose identity is now known at admission
// is unwrapped.
//
// With either discovery, command and args that make Jupyter open in the image's own home are changed (withUserHome).

type startPiece struct {
	at       pod.Pointer
	notebook *pod.Container
	home     string
	atStart  bool
	binary   string
	exec     handoff.Exec
	// image is the configured start of the container's image; empty if none is configured.
	image handoff.ImageStart
	// wasWrapped reports whether the command already has our wrapper, from an earlier review. wrapper is that wrapper.
	wrapper    handoff.Exec
	wasWrapped bool
}

// imageStart is an element of notebook.starts: how images start, and the pattern of the names of these images.
type imageStart struct {
	images *regexp.Regexp
	start  handoff.ImageStart
}

func (in *planning) planStart() startPiece {
	p := startPiece{
		at:       in.notebookAt,
		notebook: in.notebook,
		home:     in.home,
		atStart:  in.discovery == config.DiscoveryAtStart,
		binary:   in.planner.binary,
		exec: handoff.Exec{
			User: in.facts.User.String(), Home: in.home, Scratch: in.planner.config.Scratch.MountPath, JupyterConfig: true,
		},
	}
	p.wrapper, p.wasWrapped = unwrap(p.binary, in.notebook.Command, expanded)
	p.image, _ = in.planner.startOf(in.notebook.Image)
	return p
}

// imageStarts converts notebook.starts. In the patterns of image names, * matches any characters.
func imageStarts(configured []config.Start) (starts []imageStart) {
	for _, s := range configured {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(s.Image), `\*`, ".*")
		starts = append(starts, imageStart{
			images: regexp.MustCompile("^" + pattern + "$"),
			start:  handoff.ImageStart{Entrypoint: s.Entrypoint, Command: s.Command},
		})
	}
	return starts
}

func (s imageStart) matches(image *string) bool { return image != nil && s.images.MatchString(*image) }

// startOf returns the configured start of an image; false if none is configured.
func (p *Planner) startOf(image *string) (start handoff.ImageStart, ok bool) {
	for _, s := range p.starts {
		if s.matches(image) {
			return s.start, true
		}
	}
	return handoff.ImageStart{}, false
}

func (p startPiece) reconcile(_ *pod.Pod, c *changes) {
	dir := p.reconcileDir(c)
	p.reconcileArgs(c)
	p.reconcileCommand(c, dir)
	for _, hook := range p.hooks() {
		// The API server denies an exec hook without a command.
		if hook.exec == nil || len(hook.exec.Command) == 0 {
			continue
		}
		m := member{hook.at.Child("exec"), true, "command"}
		putList(c, m, hook.exec.Command, p.wrapped(hook.exec.Command, nil, dir, hook.text))
	}
}

// reconcileDir sets the working directory. It returns the Pod's own working directory; empty if the Pod has none, or has one
// in the image's own home.
func (p startPiece) reconcileDir(c *changes) string {
	dir := ""
	if p.notebook.WorkingDir != nil {
		dir = *p.notebook.WorkingDir
	}
	if p.wasWrapped && (dir == "" || dir == "/") {
		dir = p.wrapper.WorkingDir
	}
	m := member{p.at, true, "workingDir"}
	isImagesHome := inImagesHome(pod.CleanPath(dir), p.home)
	if isImagesHome {
		c.warn(denial.HomeOfTheImage("workingDir", dir, p.home))
		dir = ""
	}
	switch {
	case p.atStart:
		putField(c, ours, m, p.notebook.WorkingDir, "/")
	case p.wasWrapped && dir != "":
		putField(c, ours, m, p.notebook.WorkingDir, dir)
	case p.wasWrapped:
		putField(c, ours, m, p.notebook.WorkingDir, p.home)
	case isImagesHome:
		c.replaceText(m, m.at(), p.home, p.home)
	case dir == "":
		putField(c, thePods, m, nil, p.home)
	default:
		c.recordKept(m)
	}
	return dir
}

// reconcileArgs replaces the image's own home in the args that set the directory in which Jupyter opens.
func (p startPiece) reconcileArgs(c *changes) {
	args := member{p.at, true, "args"}
	replaced, indices := withUserHome(p.notebook.Args, p.home)
	for _, i := range indices {
		c.warn(denial.HomeOfTheImage(args.at().Index(i).Field(), p.notebook.Args[i], p.home))
		c.replaceText(args, args.at().Index(i), replaced[i], replaced)
	}
}

func (p startPiece) reconcileCommand(c *changes, dir string) {
	command, indices := withUserHome(p.notebook.Command, p.home)
	for _, i := range indices {
		c.warn(denial.HomeOfTheImage(p.at.Child("command").Index(i).Field(), p.notebook.Command[i], p.home))
	}
	image := &p.image
	if len(p.ownCommand()) > 0 {
		image = nil
	}
	m := member{p.at, true, "command"}
	if !p.atStart && !p.wasWrapped && image == nil {
		for _, i := range indices {
			c.replaceText(m, m.at().Index(i), command[i], command)
		}
		if len(indices) == 0 {
			c.recordKept(m)
		}
		return
	}
	putList(c, m, p.notebook.Command, p.wrapped(command, image, dir, expanded))
}

// ownCommand returns the Pod's command with our wrapper removed; empty if the Pod has no command.
func (p startPiece) ownCommand() []string { return unwrapped(p.binary, p.notebook.Command, expanded) }

// wrapped returns a command as planned: with discovery at start it has our wrapper, and with discovery at admission it has
// none. The parameter image is nil if there is a command to wrap, as for every hook and probe. For a notebook container without
// a command of its own it is the configured ENTRYPOINT and CMD of the image (notebook.starts), which can be empty.
func (p startPiece) wrapped(command []string, image *handoff.ImageStart, dir string, text dollarSpelling) []string {
	own := unwrapped(p.binary, command, text)
	if !p.atStart {
		return own
	}
	e := p.exec
	e.WorkingDir, e.Image = dir, image
	flags := e.Args()
	for i := range flags {
		// Kubernetes must not expand a $ in our flags.
		flags[i] = strings.ReplaceAll(flags[i], "$", text.dollar)
	}
	return slices.Concat([]string{p.binary}, flags, own)
}

// dollarSpelling is how a literal $ is written in a command. In the commands of containers and of exec probes Kubernetes
// expands $(VAR) and reads $$ as $. It does not change the commands of lifecycle hooks.
type dollarSpelling struct{ dollar string }

var (
	expanded = dollarSpelling{"$$"}
	verbatim = dollarSpelling{"$"}
)

// unwrap parses the wrapper of a command. It returns false if the command has no wrapper, or a wrapper with invalid flags.
func unwrap(binary string, command []string, text dollarSpelling) (handoff.Exec, bool) {
	if len(command) == 0 || command[0] != binary {
		return handoff.Exec{}, false
	}
	args := slices.Clone(command[1:])
	for i := range args {
		if args[i] == "--" {
			break
		}
		args[i] = strings.ReplaceAll(args[i], text.dollar, "$")
	}
	e, err := handoff.ParseExec(args)
	return e, err == nil
}

// maxWrapped is the number of nested wrappers that are parsed. The webhook writes one; more come from the Pod's author.
const maxWrapped = 8

// unwrapped returns a command with our wrapper removed. A command that has no wrapper is returned unchanged.
func unwrapped(binary string, command []string, text dollarSpelling) []string {
	for range maxWrapped {
		e, ok := unwrap(binary, command, text)
		if !ok {
			break
		}
		command = e.Argv
	}
	return command
}

type hook struct {
	at   pod.Pointer
	exec *pod.Exec
	text dollarSpelling
}

// hooks returns an element for each probe and lifecycle hook of the container. The field exec is nil if the probe or hook
// is missing or runs no command.
func (p startPiece) hooks() []hook {
	hookAt := func(probe *pod.Probe, text dollarSpelling, keys ...string) hook {
		if probe == nil {
			return hook{}
		}
		h := hook{p.at, probe.Exec, text}
		for _, key := range keys {
			h.at = h.at.Child(key)
		}
		return h
	}
	hooks := []hook{
		hookAt(p.notebook.StartupProbe, expanded, "startupProbe"),
		hookAt(p.notebook.ReadinessProbe, expanded, "readinessProbe"),
		hookAt(p.notebook.LivenessProbe, expanded, "livenessProbe"),
	}
	if l := p.notebook.Lifecycle; l != nil {
		hooks = append(hooks,
			hookAt(l.PostStart, verbatim, "lifecycle", "postStart"), hookAt(l.PreStop, verbatim, "lifecycle", "preStop"))
	}
	return hooks
}
