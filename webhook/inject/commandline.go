package inject

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// This file finds out what a container runs from its command line alone, without its image. It reads the command line as
// the programs on it do: a launcher runs what follows its options, a shell runs the script behind -c.

// programKind is the result for a command line or an image: does it run Jupyter?
type programKind int

const (
	// runsUnknown means that the command line names no program.
	runsUnknown programKind = iota
	// runsJupyter means a Jupyter server.
	runsJupyter
	// runsOther means a program that is not a Jupyter server.
	runsOther
	// runsUnclear means a program that may start Jupyter.
	runsUnclear
)

// started is the result of reading a command line.
type started struct {
	kind programKind
	// argv is the program with its arguments, without its launchers.
	argv []string
	// script reports whether argv comes from a shell script.
	script bool
	// env are the variables that the command line sets.
	env map[string]string
}

// launcher is a program that runs what follows its own options.
type launcher struct {
	// verb must follow the name, as in conda run; empty if the launcher has none.
	verb string
	// valued are the options whose value is a separate argument.
	valued []string
	// operands is the number of arguments before the program, as in timeout 60.
	operands int
}

var packageManager = launcher{verb: "run", valued: []string{"-n", "--name", "-p", "--prefix", "--cwd", "-a", "--attach", "-e",
	"--environment", "--manifest-path", "--with", "--with-requirements", "--with-editable", "--python", "--project", "--directory",
	"--extra", "--group", "--env-file", "--index-url", "--package"}}

// launchers by name: entrypoints of known images, and programs that users put before a command.
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

// serverCommands are the commands that start a Jupyter server, unless their arguments say otherwise (noServer).
var serverCommands = []string{
	"start-notebook.py", "start-notebook.sh", "start-singleuser.py", "start-singleuser.sh", "jupyterhub-singleuser",
	"jupyter-lab", "jupyter-notebook", "jupyter-server", "jupyter-nbclassic", "jupyter-labhub",
}

// otherPrograms are commands that are not a Jupyter server.
var otherPrograms = []string{"sleep", "tail", "cat", "true", "false", "echo", "printf", "ls", "id", "whoami", "env", "pause",
	"code-server", "openvscode-server", "rserver", "rstudio-server", "shiny-server", "R", "Rscript", "streamlit", "julia", "nginx",
	"sshd", "touch"}

// These subcommands of jupyter and modules of python -m start a server.
var (
	subcommands = []string{"lab", "notebook", "server", "nbclassic", "labhub", "retro"}
	modules     = []string{"jupyterlab", "notebook", "jupyter_server", "jupyterhub.singleuser", "nbclassic"}
)

// noServer reports whether jupyter lab and similar commands exit with these arguments instead of serving. A flag counts at
// any position, a word only as the first argument: later it may be a flag's value.
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

// maxLaunchers is how many nested launchers are read.
const maxLaunchers = 16

// readCommand returns what a command line runs. value returns the variables that a shell script refers to, and whether they
// are known.
func readCommand(argv []string, value func(name string) (string, bool)) started {
	s := started{argv: argv}
	for range maxLaunchers {
		if len(s.argv) == 0 || strings.HasPrefix(s.argv[0], "-") {
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
			if s.argv, ok = lastCommand(script, value); !ok {
				s.kind, s.argv = runsUnclear, nil
				return s
			}
			s.script = true
		case launches:
			if s.argv = l.skip(rest); s.argv == nil {
				s.kind = runsUnclear
				return s
			}
		default:
			s.kind = program(name, rest)
			return s
		}
		s.assign()
	}
	s.kind = runsUnclear
	return s
}

// assign removes the leading variable assignments of a command line.
func (s *started) assign() {
	for len(s.argv) > 0 && assigns(s.argv[0]) {
		name, value, _ := strings.Cut(s.argv[0], "=")
		if s.env == nil {
			s.env = map[string]string{}
		}
		s.env[name], s.argv = value, s.argv[1:]
	}
}

// skip returns what follows a launcher's verb, options and operands; nil if it runs nothing.
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

// program returns what a program runs that is not a launcher.
func program(name string, args []string) programKind {
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
		return pythonProgram(args)
	case slices.Contains(otherPrograms, name):
		return runsOther
	}
	return runsUnclear
}

// pythonProgram returns what python runs: a module or a script.
func pythonProgram(args []string) programKind {
	valued := []string{"-W", "-X"}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		option := args[0]
		args = args[1:]
		switch {
		case option == "-m" || strings.HasSuffix(option, "m") && !strings.HasPrefix(option, "--"):
			if len(args) == 0 || !slices.Contains(modules, args[0]) && args[0] != "jupyter" {
				return runsOther
			}
			if args[0] == "jupyter" {
				return program("jupyter", args[1:])
			}
			if noServer(args[1:]) {
				return runsOther
			}
			return runsJupyter
		case option == "-c":
			return runsUnclear
		case slices.Contains(valued, option) && len(args) > 0:
			args = args[1:]
		}
	}
	if len(args) > 0 && program(path.Base(args[0]), args[1:]) == runsJupyter {
		return runsJupyter
	}
	return runsOther
}
