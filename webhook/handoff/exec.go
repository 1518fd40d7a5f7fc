package handoff

// Exec is the command line that the webhook puts before the command, the exec hooks and the exec probes of a notebook
// container that starts as root. jupyter-user-init becomes the user that the init container found, changes to the working
// directory, and runs Argv or the image's start. Kubernetes appends the container's args.
type Exec struct {
	// User is the name of the user that the process becomes.
	User string
	// Home is the home's path in the notebook container.
	Home string
	// Scratch is the directory with the files that the init container writes.
	Scratch string
	// WorkingDir is the working directory. If it is empty, the home is used.
	WorkingDir string
	// If JupyterConfig is true, jupyter-user-init puts Scratch first in JUPYTER_CONFIG_PATH, so that our settings of Jupyter
	// take precedence.
	JupyterConfig bool
	// Image has the start (ENTRYPOINT and CMD) of the image; nil if Argv is a command.
	Image *ImageStart
	// Argv is the command to run. If Image is not nil, a non-empty Argv replaces the image's CMD.
	Argv []string
}

// ImageStart is the start of an image: its ENTRYPOINT and CMD. If both lists are empty, jupyter-user-init finds out to which
// family the image belongs, such as docker-stacks, and uses the ENTRYPOINT and CMD of that family.
type ImageStart struct {
	// Entrypoint and Command are the configured ENTRYPOINT and CMD (notebook.starts).
	Entrypoint, Command []string
}

const verbExec = "exec"

// Args returns the command line, without the path of the binary.
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

// ParseExec parses the arguments that Args returns.
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
		r.fail("--entrypoint and --command need --image-start")
	}
	if !r.ended {
		r.fail("there is no -- before the command to run")
	}
	return e, r.err
}
