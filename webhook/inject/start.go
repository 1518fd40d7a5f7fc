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

// Start: what the notebook container runs, and where.
//
// At admission nothing is to be done: the image's own entrypoint stays, and with it the pod's command and args. The
// working directory is the home where the pod has none, or has one in the image's own home (jovyan.go).
//
// At start the container begins as root, so our binary stands in front of everything that it runs: its command, exec
// hooks and exec probes become "jupyter-user-init exec … -- " and what was there. Args are never touched, Kubernetes
// puts them behind the command. A command hides the image's own entrypoint, so a pod without one is marked
// --image-start, with what the configuration knows of that image (notebook.starts), and our binary finds out on the
// spot. The working directory is /, which root can enter on every share; our binary goes to the home, or to where the
// pod wanted to be, once it is the person.
//
// The wrapping is ours; what is wrapped is the pod's, and is found again in our own words on the next pass. A pod that
// was wrapped and is now known at admission is unwrapped.

type startPiece struct {
	at       pod.Pointer
	notebook *pod.Container
	home     string
	atStart  bool
	binary   string
	exec     handoff.Exec
	// image is the configured start of the container's image.
	image handoff.ImageStart
	// was is the wrapping that the command has already, where it has one.
	was        handoff.Exec
	wasWrapped bool
}

// imageStart is a configured start, and of which images.
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
	p.was, p.wasWrapped = unwrap(p.binary, in.notebook.Command, expanded)
	if i := slices.IndexFunc(in.planner.starts, func(s imageStart) bool { return s.matches(in.notebook.Image) }); i >= 0 {
		p.image = in.planner.starts[i].start
	}
	return p
}

// imageStarts reads the configured patterns, in which * stands for any characters.
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

func (p startPiece) reconcile(_ *pod.Pod, c *changes) {
	dir := p.reconcileDir(c)
	p.reconcileArgs(c)
	p.reconcileCommand(c, dir)
	for _, hook := range p.hooks() {
		// One without a command is none, and the API server will say so.
		if hook.exec == nil || len(hook.exec.Command) == 0 {
			continue
		}
		m := member{hook.at.Child("exec"), true, "command"}
		putList(c, ours, m, hook.exec.Command, p.wrapped(hook.exec.Command, nil, dir, hook.text))
	}
}

// reconcileDir answers the directory that the pod itself wants to be in; empty where it has no wish, or that is to be at home.
func (p startPiece) reconcileDir(c *changes) string {
	dir := ""
	if p.notebook.WorkingDir != nil {
		dir = *p.notebook.WorkingDir
	}
	if p.wasWrapped && (dir == "" || dir == "/") {
		dir = p.was.WorkingDir
	}
	m := member{p.at, true, "workingDir"}
	elsewhere := inImagesHome(dir, p.home)
	if elsewhere {
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
	case elsewhere:
		c.replaceWithHome(m, m.at(), p.home, p.home)
	case dir == "":
		putField(c, thePods, m, nil, p.home)
	default:
		c.recordKept(m)
	}
	return dir
}

// reconcileArgs sends Jupyter to the user's home where the args have it open in the image's own.
func (p startPiece) reconcileArgs(c *changes) {
	args := member{p.at, true, "args"}
	sent, at := sentHome(p.notebook.Args, p.home)
	for _, i := range at {
		c.warn(denial.HomeOfTheImage(args.at().Index(i).Field(), p.notebook.Args[i], p.home))
		c.replaceWithHome(args, args.at().Index(i), sent[i], sent)
	}
}

func (p startPiece) reconcileCommand(c *changes, dir string) {
	command, at := sentHome(p.notebook.Command, p.home)
	for _, i := range at {
		c.warn(denial.HomeOfTheImage(p.at.Child("command").Index(i).Field(), p.notebook.Command[i], p.home))
	}
	image := &p.image
	if len(p.command()) > 0 {
		image = nil
	}
	m := member{p.at, true, "command"}
	if !p.atStart && !p.wasWrapped && image == nil {
		for _, i := range at {
			c.replaceWithHome(m, m.at().Index(i), command[i], command)
		}
		if len(at) == 0 {
			c.recordKept(m)
		}
		return
	}
	putList(c, ours, m, p.notebook.Command, p.wrapped(command, image, dir, expanded))
}

// command is what the pod itself asks to run; empty where that is the image's own start.
func (p startPiece) command() []string { return unwrapped(p.binary, p.notebook.Command, expanded) }

// wrapped is a command as this way to the identity wants it. With an image start, an empty one stands for that.
func (p startPiece) wrapped(command []string, image *handoff.ImageStart, dir string, text dollarSpelling) []string {
	own := unwrapped(p.binary, command, text)
	if !p.atStart {
		return own
	}
	e := p.exec
	e.WorkingDir, e.Image = dir, image
	flags := e.Args()
	for i := range flags {
		// Our flags are meant as they are.
		flags[i] = strings.ReplaceAll(flags[i], "$", text.dollar)
	}
	return slices.Concat([]string{p.binary}, flags, own)
}

// dollarSpelling is how a $ is written in a command. Kubernetes expands $(VAR) and reads $$ as $ in the commands of containers
// and of exec probes (ExpandContainerCommandOnlyStatic), and takes those of lifecycle hooks as they are.
type dollarSpelling struct{ dollar string }

var (
	expanded = dollarSpelling{"$$"}
	verbatim = dollarSpelling{"$"}
)

// unwrap reads a command of ours.
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

// maxWrapped is how often a command can be wrapped and be found all the same. Ours is, once; more is somebody's own doing.
const maxWrapped = 8

// unwrapped is the command that the pod gave, whether it is wrapped already or not.
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

// hooks are the places where the kubelet runs something in the container besides its command.
func (p startPiece) hooks() []hook {
	at := func(probe *pod.Probe, text dollarSpelling, keys ...string) hook {
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
		at(p.notebook.StartupProbe, expanded, "startupProbe"),
		at(p.notebook.ReadinessProbe, expanded, "readinessProbe"),
		at(p.notebook.LivenessProbe, expanded, "livenessProbe"),
	}
	if l := p.notebook.Lifecycle; l != nil {
		hooks = append(hooks, at(l.PostStart, verbatim, "lifecycle", "postStart"), at(l.PreStop, verbatim, "lifecycle", "preStop"))
	}
	return hooks
}
