package inject

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// This file finds out from the command line of a container, without its image, which kind of program the container runs. It
// follows the rules of the programs in the command line: a launcher runs the command after its own options, and a shell
// runs the script after -c.

// programKind is the kind of the program that a container runs: Jupyter or not.
type programKind int

const (
	// runsUnknown means that the command line names no program, or that the image is not known.
	runsUnknown programKind = iota
	// runsJupyter means a Jupyter server.
	runsJupyter
	// runsOther means a program that is not a Jupyter server.
	runsOther
	// runsUnclear means a program or script of which the webhook does not know whether it starts Jupyter.
	runsUnclear
)

// commandLine is what readCommand finds out about a command line.
type commandLine struct {
	kind programKind
	// argv is the program with its arguments, without the launchers before it.
	argv []string
	// script reports whether argv comes from a shell script, and dir is the directory to which the script changes before.
	script bool
	dir    string
	// env are the variables that the command line sets.
	env map[string]string
}

// launcher describes a program, such as tini, that runs the command which follows its own options.
type launcher struct {
	// verb is the word that must follow the launcher's name, such as "run" in "conda run"; empty if no word must follow.
	verb string
	// valued are the options whose value is a separate argument.
	valued []string
	// operands is the number of arguments between the options and the command: 1 for "timeout 60 sleep".
	operands int
}

var packageManager = launcher{verb: "run", valued: []string{"-n", "--name", "-p", "--prefix", "--cwd", "-a", "--attach", "-e",
	"--environment", "--manifest-path", "--with", "--with-requirements", "--with-editable", "--python", "--project", "--directory",
	"--extra", "--group", "--env-file", "--index-url", "--package"}}

// launchers are the known launchers by name: entrypoints of images, and programs that users put before a command.
var launchers = map[string]launcher{
	"tini": {valued: []string{"-p", "-e"}}, "dumb-init": {valued: []string{"-r", "--rewrite"}}, "catatonit": {},
	"start.sh": {}, "run-one": {}, "run-one-constantly": {}, "repo2docker-entrypoint": {}, "nvidia_entrypoint.sh": {},
	"_entrypoint.sh": {},
	"exec":           {valued: []string{"-a"}}, "env": {valued: []string{"-u", "--unset", "-C", "--chdir"}},
	"nice": {valued: []string{"-n", "--adjustment"}}, "ionice": {valued: []string{"-c", "-n", "--class", "--classdata"}},
	"nohup": {}, "setsid": {}, "stdbuf": {valued: []string{"-i", "-o", "-e"}},
	"timeout": {valued: []string{"-k", "-s", "--kill-after", "--signal"}, operands: 1},
	"conda":   packageManager, "mamba": packageManager, "micromamba": packageManager, "uv": packageManager,
	"pixi": packageManager, "poetry": packageManager, "pipenv": packageManager,
}

// serverCommands are commands that start a Jupyter server, unless noServer is true for their arguments.
var serverCommands = slices.Concat(handoff.HubServers, []string{
	"start-notebook.py", "start-notebook.sh", "jupyter-lab", "jupyter-notebook", "jupyter-server", "jupyter-nbclassic",
})

// otherPrograms are commands that do not start a Jupyter server.
var otherPrograms = []string{"sleep", "tail", "cat", "true", "false", "echo", "printf", "ls", "id", "whoami", "pause",
	"code-server", "openvscode-server", "rserver", "rstudio-server", "shiny-server", "R", "Rscript", "streamlit", "julia", "nginx",
	"sshd", "touch"}

// Each of the subcommands starts a server after "jupyter", and each of the modules after "python -m".
var (
	subcommands = []string{"lab", "notebook", "server", "nbclassic", "labhub", "retro"}
	modules     = []string{"jupyterlab", "notebook", "jupyter_server", "jupyterhub.singleuser", "nbclassic"}
)

// noServer reports whether "jupyter lab" or a similar command, with these arguments, does not start a server. It looks
// for flags at any position, but for words only in the first argument, because a later word can be the value of a flag.
func noServer(args []string) bool {
	words := []string{"build", "clean", "licenses", "list", "password", "path", "paths", "stop", "workspace", "workspaces",
		"extension"}
	flags := []string{"--version", "--help", "-h", "--help-all", "--generate-config", "--show-config", "--show-config-json"}
	return len(args) > 0 && slices.Contains(words, args[0]) ||
		slices.ContainsFunc(args, func(arg string) bool { return slices.Contains(flags, arg) })
}

var (
	python = regexp.MustCompile(`^python[0-9.]*$`)
	shell  = regexp.MustCompile(`^(ba|da|a|z|k)?sh$`)
)

// maxLaunchers limits the launchers and shells before the program. A command line with this many, or more, is
// runsUnclear.
const maxLaunchers = 16

// readCommand reads a command line. The parameter "value" is a function that returns the value of a variable to which a shell
// script refers, and whether this value is known. The parameter is nil if no variable of the container is known.
func readCommand(argv []string, value func(name string) (string, bool)) commandLine {
	s := commandLine{argv: argv}
	if len(argv) == 0 || strings.HasPrefix(argv[0], "-") {
		return s
	}
	hasScript := false // whether a launcher is a script
	for range maxLaunchers {
		if len(s.argv) == 0 {
			// A launcher without a program starts a shell or ends: Kubernetes does not append the image's own command. But a
			// site can have a script of its own with the name of a launcher, such as start.sh.
			s.kind = runsOther
			if hasScript {
				s.kind = runsUnclear
			}
			return s
		}
		name, rest := path.Base(s.argv[0]), s.argv[1:]
		l, launches := launchers[name]
		switch {
		case shell.MatchString(name):
			script, ok := shellScript(rest)
			if !ok {
				s.kind = runsOther
				if len(rest) > 0 {
					s.kind = runsUnclear
				}
				return s
			}
			if s.argv, s.dir, ok = mainCommand(script, orExported(s.env, value)); !ok {
				s.kind, s.argv = runsUnclear, nil
				return s
			}
			s.script = true
		case launches:
			hasScript = hasScript || strings.HasSuffix(name, ".sh")
			if s.argv = l.skip(rest); s.argv == nil {
				s.kind = runsUnclear
				return s
			}
		default:
			s.kind = kindOfProgram(name, rest)
			return s
		}
		s.readAssignments()
	}
	s.kind = runsUnclear
	return s
}

// readAssignments moves the variable assignments at the beginning of argv to env.
func (s *commandLine) readAssignments() {
	for len(s.argv) > 0 && isAssignment(s.argv[0]) {
		name, value, _ := strings.Cut(s.argv[0], "=")
		if s.env == nil {
			s.env = map[string]string{}
		}
		s.env[name], s.argv = value, s.argv[1:]
	}
}

// orExported returns a function that returns the value of a variable of env, which a script before has exported, or else the
// result of value, which can be nil.
func orExported(env map[string]string, value func(name string) (string, bool)) func(name string) (string, bool) {
	if len(env) == 0 {
		return value
	}
	return func(name string) (string, bool) {
		if text, ok := env[name]; ok || value == nil {
			return text, ok
		}
		return value(name)
	}
}

// canBeWrapper reports whether the program can be a wrapper that runs another program. A program of the kind runsUnclear can
// be a wrapper, and so can a script or module of python that is not known to start Jupyter.
func (s *commandLine) canBeWrapper() bool {
	return s.kind == runsUnclear || s.kind == runsOther && len(s.argv) > 0 && python.MatchString(path.Base(s.argv[0]))
}

// skipWrapper takes the command line of a hub's server whose program can be a wrapper. If an argument is one of
// handoff.HubServers, the program is a wrapper that runs this command, as in BinderHub's "python3 -c …
// jupyterhub-singleuser".
func (s *commandLine) skipWrapper() {
	if at := slices.IndexFunc(s.argv, handoff.IsHubServer); at >= 0 {
		s.argv = s.argv[at:]
		s.kind = kindOfProgram(path.Base(s.argv[0]), s.argv[1:])
	}
}

// skip returns the arguments after a launcher's verb, options and operands; nil if the verb is missing.
func (l launcher) skip(args []string) []string {
	if l.verb != "" {
		if len(args) == 0 || args[0] != l.verb {
			return nil
		}
		args = args[1:]
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		option := args[0]
		args = args[1:]
		if option == "--" {
			break
		}
		if slices.Contains(l.valued, option) && len(args) > 0 {
			args = args[1:]
		}
	}
	return args[min(l.operands, len(args)):]
}

// kindOfProgram returns the kind of a program from its name and arguments. The program must not be a launcher.
func kindOfProgram(name string, args []string) programKind {
	switch {
	case slices.Contains(serverCommands, name):
		if noServer(args) {
			return runsOther
		}
		return runsJupyter
	case name == "jupyter":
		if len(args) > 0 && slices.Contains(subcommands, args[0]) && !noServer(args[1:]) {
			return runsJupyter
		}
		return runsOther
	case python.MatchString(name):
		return kindOfPython(args)
	case slices.Contains(otherPrograms, name):
		return runsOther
	}
	return runsUnclear
}

// kindOfPython returns the kind of the module or script that a python command line runs.
func kindOfPython(args []string) programKind {
	module, script, rest := programOfPython(args)
	switch {
	case script == "-c":
		return runsUnclear
	case module == "jupyter":
		return kindOfProgram("jupyter", rest)
	case slices.Contains(modules, module) && !noServer(rest):
		return runsJupyter
	case script != "" && kindOfProgram(path.Base(script), rest) == runsJupyter:
		return runsJupyter
	}
	return runsOther
}

// afterServer returns the index of the first argument after a Jupyter server's program, subcommand or module, in a command line
// without launchers. It is len(argv) if the command line starts no server that the webhook knows.
func afterServer(argv []string) int {
	if len(argv) == 0 || kindOfProgram(path.Base(argv[0]), argv[1:]) != runsJupyter {
		return len(argv)
	}
	at := slices.IndexFunc(argv, func(arg string) bool {
		return slices.Contains(serverCommands, path.Base(arg)) || slices.Contains(subcommands, arg) || slices.Contains(modules, arg)
	})
	return at + 1
}

// programOfPython returns the module (-m) or the script that a python command line runs, and the arguments of that program.
// For "python -c CODE" the script is "-c". If the command line has none of these, module and script are empty.
func programOfPython(args []string) (module, script string, rest []string) {
	valued := []string{"-W", "-X"}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		option := args[0]
		args = args[1:]
		switch {
		case strings.HasSuffix(option, "m") && !strings.HasPrefix(option, "--") && len(args) > 0:
			return args[0], "", args[1:]
		case option == "-c":
			return "", option, args
		case slices.Contains(valued, option) && len(args) > 0:
			args = args[1:]
		}
	}
	if len(args) == 0 {
		return "", "", nil
	}
	return "", args[0], args[1:]
}
