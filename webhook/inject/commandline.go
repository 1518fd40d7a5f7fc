package inject

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// What a container runs, as far as its command line tells. It is read as the programs on it read it: a launcher runs what follows
// its options, a shell runs what its -c says. Nothing is run and nothing is looked up in the image.

// runs is what a command line or an image is known to run.
type runs int

const (
	// runsUnknown is a command line without a program on it.
	runsUnknown runs = iota
	// runsJupyter is a Jupyter server.
	runsJupyter
	// runsOther is something that is known to be no Jupyter server.
	runsOther
	// runsUnclear is a program that may start Jupyter, or not.
	runsUnclear
)

// started is what a command line comes to.
type started struct {
	what runs
	// argv is the program with its arguments, without its launchers.
	argv []string
	// script reports whether argv was read out of a shell's script.
	script bool
	// env are variables that the command line itself sets.
	env map[string]string
}

// launcher is a program that runs what follows its own options.
type launcher struct {
	// verb has to follow the name, as in conda run; empty for none.
	verb string
	// valued are the options whose value is an argument of its own.
	valued []string
	// operands are taken before the program, as in timeout 60.
	operands int
}

var packageManager = launcher{verb: "run", valued: []string{"-n", "--name", "-p", "--prefix", "--cwd", "-a", "--attach", "-e",
	"--environment", "--manifest-path", "--with", "--with-requirements", "--with-editable", "--python", "--project", "--directory",
	"--extra", "--group", "--env-file", "--index-url", "--package"}}

// launchers by name: entrypoints of known images, and what people put in front of a command.
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

// servers are the commands that are a Jupyter server, unless their arguments have them do something else (noServer).
var servers = []string{
	"start-notebook.py", "start-notebook.sh", "start-singleuser.py", "start-singleuser.sh", "jupyterhub-singleuser",
	"jupyter-lab", "jupyter-notebook", "jupyter-server", "jupyter-nbclassic", "jupyter-labhub",
}

// others are commands that are known to be no Jupyter server.
var others = []string{"sleep", "tail", "cat", "true", "false", "echo", "printf", "ls", "id", "whoami", "env", "pause",
	"code-server", "openvscode-server", "rserver", "rstudio-server", "shiny-server", "R", "Rscript", "streamlit", "julia", "nginx",
	"sshd", "touch"}

// subcommands of jupyter, and modules of python -m, that are a server.
var (
	subcommands = []string{"lab", "notebook", "server", "nbclassic", "labhub", "retro"}
	modules     = []string{"jupyterlab", "notebook", "jupyter_server", "jupyterhub.singleuser", "nbclassic"}
)

// noServer reports whether jupyter lab and its like do something with these arguments and end: a flag anywhere, or a word of
// these right behind. Further on, a word may be a flag's value.
func noServer(args []string) bool {
	words := []string{"build", "clean", "licenses", "list", "password", "path", "paths", "stop", "workspace", "workspaces",
		"extension"}
	flags := []string{"--version", "--help", "-h", "--help-all", "--generate-config", "--show-config", "--show-config-json"}
	return len(args) > 0 && slices.Contains(words, args[0]) ||
		slices.ContainsFunc(args, func(arg string) bool { return slices.Contains(flags, arg) })
}

var (
	python     = regexp.MustCompile(`^python[0-9.]*$`)
	shell      = regexp.MustCompile(`^(ba|da|a|z|k)?sh$`)
	assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
)

// mostLaunchers is how many launchers are looked behind.
const mostLaunchers = 16

// readCommand returns what a command line runs. A shell's script refers to variables, which value gives, or reports as not known.
func readCommand(argv []string, value func(name string) (string, bool)) started {
	s := started{argv: argv}
	for range mostLaunchers {
		if len(s.argv) == 0 || strings.HasPrefix(s.argv[0], "-") {
			return s
		}
		name, rest := path.Base(s.argv[0]), s.argv[1:]
		l, launches := launchers[name]
		switch {
		case shell.MatchString(name):
			script, ok := shellScript(rest)
			if !ok {
				s.what = runsOther
				if len(rest) > 0 {
					s.what = runsUnclear
				}
				return s
			}
			if s.argv, ok = lastCommand(script, value); !ok {
				s.what, s.argv = runsUnclear, nil
				return s
			}
			s.script = true
		case launches:
			if s.argv = l.skip(rest); s.argv == nil {
				s.what = runsUnclear
				return s
			}
		default:
			s.what = program(name, rest)
			return s
		}
		s.assign()
	}
	s.what = runsUnclear
	return s
}

// assign takes variables off the front of a command line.
func (s *started) assign() {
	for len(s.argv) > 0 && assignment.MatchString(s.argv[0]) {
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

// program returns what a program without launchers is.
func program(name string, args []string) runs {
	switch {
	case slices.Contains(servers, name):
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
	case slices.Contains(others, name):
		return runsOther
	}
	return runsUnclear
}

// pythonProgram returns what python runs: a module or a script.
func pythonProgram(args []string) runs {
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
