package handoff

// Exec is the command line that stands in front of everything that a notebook container runs where it starts as root:
// become the user whom the init container found, go into the home, and run what follows.
//
// It is only ever a container's command, a hook's or a probe's; a container's args stay the pod's and follow it.
type Exec struct {
	// User whose home it is.
	User string
	// Home is where the notebook container sees it.
	Home string
	// Scratch is where the init container has left its files.
	Scratch string
	// WorkingDir to run in; the home where it is empty.
	WorkingDir string
	// JupyterConfig reports whether Jupyter is to read the settings in Scratch before all others.
	JupyterConfig bool
	// Image is how the image starts by itself; nil where Argv says what to run.
	Image *ImageStart
	// Argv is the command that the pod gave.
	Argv []string
}

// ImageStart stands for the start that the image has by itself, which is out of sight once a command is set. What
// follows on the command line are its arguments. Both lists empty: the binary looks which of the families it is.
type ImageStart struct {
	// Entrypoint and Command are the image's ENTRYPOINT and CMD, where the configuration knows them.
	Entrypoint, Command []string
}

const verbExec = "exec"

// Args is the command line, without the binary in front.
func (e Exec) Args() []string {
	f := flags{args: []string{verbExec}}
	f.text("user", e.User)
	f.text("home", e.Home)
	f.text("scratch", e.Scratch)
	f.text("working-dir", e.WorkingDir)
	f.set("jupyter-config", e.JupyterConfig)
	if e.Image != nil {
		f.set("image-start", true)
		f.list("entrypoint", e.Image.Entrypoint)
		f.list("command", e.Image.Command)
	}
	return append(append(f.args, "--"), e.Argv...)
}

// ParseExec reads what Args wrote. With an Image, what follows the -- are the arguments of the image's start.
func ParseExec(args []string) (Exec, error) {
	r := read(args, verbExec, "--user=", "--home=", "--scratch=", "--working-dir=", "--jupyter-config", "--image-start",
		"--entrypoint=", "--command=")
	e := Exec{
		User:       r.user(),
		Home:       r.path("home"),
		Scratch:    r.path("scratch"),
		WorkingDir: r.text("working-dir"),
		Argv:       r.rest,

		JupyterConfig: r.set("jupyter-config"),
	}
	entrypoint, command := r.list("entrypoint"), r.list("command")
	if r.set("image-start") {
		e.Image = &ImageStart{Entrypoint: entrypoint, Command: command}
	} else if entrypoint != nil || command != nil {
		r.fail("--entrypoint and --command go with --image-start")
	}
	if !r.ended {
		r.fail("there is no -- in front of what to run")
	}
	return e, r.err
}
