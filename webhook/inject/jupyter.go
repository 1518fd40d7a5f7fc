package inject

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// jupyterServer is what can be told of the Jupyter server from the outside, without looking into the image.
type jupyterServer struct {
	// starts tells whether Jupyter is what the notebook container runs.
	starts bool
	// port and base URL on which it listens; the port is 0 where that cannot be told, and why says why.
	port int32
	base string
	why  string
	// reachable tells that it is to listen where it can be reached, and that nobody else says where that is.
	reachable bool
	// tls tells that it serves HTTPS, mutual that it asks for a client certificate besides, so that no HTTP probe passes.
	tls, mutual bool
}

// findServer reads the command line and the environment as Jupyter will.
func (in *planning) findServer(s switches) jupyterServer {
	command := unwrapped(in.planner.binary, in.notebook.Command, expanded)
	argv := in.notebook.Args
	if len(command) > 0 {
		argv = slices.Concat(command, argv)
	}
	env := in.envValue
	found := jupyterServer{starts: startsJupyter(argv) && !env(kernelVariable).set || s.probes == "on"}
	// docker-stacks' start scripts put these in front of the arguments.
	if before := strings.Fields(env("NOTEBOOK_ARGS").value); len(before) > 0 {
		argv = append(before, argv...)
	}
	flags := jupyterFlags(argv)

	found.port, found.why = in.findPort(flags, env)
	base, why := in.findBase(flags, env)
	if found.base = base; why != "" {
		found.port, found.why = 0, why
	}
	switch {
	case flags["sock"] != "":
		found.port, found.why = 0, "Jupyter is told to listen on a Unix socket (--sock)"
	case flags["ip"] == "localhost" || strings.HasPrefix(flags["ip"], "127.") || flags["ip"] == "::1":
		found.port, found.why = 0, "Jupyter is told to listen on "+flags["ip"]+" (--ip), where the kubelet cannot ask it"
	}
	found.reachable = found.starts && found.port != 0 && !env("JUPYTERHUB_SERVICE_URL").set
	found.mutual = env("JUPYTERHUB_SSL_KEYFILE").set
	found.tls = flags["certfile"] != "" || env("GEN_CERT").set
	return found
}

// kernelVariable is on the pods that Enterprise Gateway makes for single kernels: their images are a notebook's with another
// start.
const kernelVariable = "KERNEL_ID"

// launchers run what follows them: docker-stacks' and z2jh's entrypoints and their like.
var launchers = []string{"tini", "dumb-init", "start.sh", "exec", "env"}

// serverCommands are the commands that are a Jupyter server, whatever their arguments.
var serverCommands = []string{
	"start-notebook.py", "start-notebook.sh", "start-singleuser.py", "start-singleuser.sh", "jupyterhub-singleuser",
	"jupyter-lab", "jupyter-notebook", "jupyter-server", "jupyter-nbclassic", "jupyter-labhub",
}

// subcommands of jupyter, and modules of python -m, that are a server.
var (
	subcommands = []string{"lab", "notebook", "server", "nbclassic", "labhub"}
	modules     = []string{"jupyterlab", "notebook", "jupyter_server", "jupyterhub.singleuser", "nbclassic"}
)

// noServer tells of arguments with which jupyter lab and its like do something and end: a flag anywhere, or a word of theirs
// right behind. Further on, a word may be a flag's value.
func noServer(args []string) bool {
	words := []string{"build", "clean", "licenses", "list", "password", "path", "paths", "stop", "workspace", "workspaces",
		"extension"}
	flags := []string{"--version", "--help", "-h", "--help-all", "--generate-config", "--show-config", "--show-config-json"}
	return len(args) > 0 && slices.Contains(words, args[0]) ||
		slices.ContainsFunc(args, func(arg string) bool { return slices.Contains(flags, arg) })
}

var python = regexp.MustCompile(`^python[0-9.]*$`)

// startsJupyter tells whether a command line is a known start of Jupyter. None at all is the image's own start, and the
// image is a notebook image.
func startsJupyter(argv []string) bool {
	for len(argv) > 0 && slices.Contains(launchers, path.Base(argv[0])) {
		argv = argv[1:]
		for len(argv) > 0 && strings.HasPrefix(argv[0], "-") {
			argv = argv[1:]
		}
	}
	if len(argv) == 0 {
		return true
	}
	name, rest := path.Base(argv[0]), argv[1:]
	switch {
	case slices.Contains(serverCommands, name):
		return true
	case name == "jupyter":
		return len(rest) > 0 && slices.Contains(subcommands, rest[0]) && !noServer(rest[1:])
	case python.MatchString(name):
		if len(rest) >= 2 && rest[0] == "-m" {
			return slices.Contains(modules, rest[1]) || rest[1] == "jupyter" && len(rest) > 2 && slices.Contains(subcommands, rest[2])
		}
	}
	return false
}

// traits are the settings that matter here, by the last part of their name: --port is short for --ServerApp.port, and
// other applications (NotebookApp, LabApp, JupyterHubSingleUser) inherit them under their own.
var traits = map[string]string{"port": "port", "base_url": "base", "certfile": "certfile", "sock": "sock", "ip": "ip"}

// jupyterFlags reads --port 9999, --port=9999 and --ServerApp.port=9999. The last one counts, as in Jupyter.
func jupyterFlags(argv []string) map[string]string {
	flags := map[string]string{}
	for i, arg := range argv {
		name, ok := strings.CutPrefix(arg, "--")
		if !ok {
			continue
		}
		name, value, inline := strings.Cut(name, "=")
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
			name = name[dot+1:]
		}
		trait, known := traits[name]
		switch {
		case !known:
		case inline:
			flags[trait] = value
		case i+1 < len(argv):
			flags[trait] = argv[i+1]
		}
	}
	return flags
}

// envValue is a variable as the pod gives it.
type envValue struct {
	set bool
	// value is empty and known false where it comes from a Secret, a ConfigMap or a field.
	value string
	known bool
}

// envValue is a variable as it will be: the webhook's own, else the pod's, else the configured default; the last of several, as in
// a process. What envFrom brings cannot be seen from outside, and is taken to have nothing to do with where Jupyter listens.
func (in *planning) envValue(name string) envValue {
	for _, v := range in.identityEnv {
		if v.name == name {
			return envValue{set: !v.unknown, value: v.value, known: !v.unknown}
		}
	}
	for _, v := range slices.Backward(in.notebook.Env) {
		if v.Name == name {
			return envValue{set: true, value: v.Value, known: v.ValueFrom == nil}
		}
	}
	for _, v := range slices.Backward(in.planner.env) {
		if v.Name == name {
			return envValue{set: true, value: v.Value, known: true}
		}
	}
	return envValue{}
}

// portNames are what a notebook's port is called: by the example, by KubeSpawner, and by custom.
var portNames = []string{"http", "notebook-port", "notebook", "jupyter"}

// findPort asks in this order: the command line, the hub's URL, JUPYTER_PORT, a port declared under a notebook's name,
// the configuration.
func (in *planning) findPort(flags map[string]string, env func(name string) envValue) (port int32, why string) {
	if text, ok := flags["port"]; ok {
		return parsePort(text, "--port")
	}
	if service := env("JUPYTERHUB_SERVICE_URL"); service.set {
		if !service.known {
			return 0, "JUPYTERHUB_SERVICE_URL is not a literal value, so the port cannot be read from outside"
		}
		u, err := url.Parse(service.value)
		if err != nil || strings.Contains(u.Host, "$(") {
			return 0, "JUPYTERHUB_SERVICE_URL is not a URL whose port can be read from outside"
		}
		if u.Port() != "" {
			return parsePort(u.Port(), "JUPYTERHUB_SERVICE_URL")
		}
	}
	if v := env("JUPYTER_PORT"); v.set {
		return parsePort(v.value, "JUPYTER_PORT")
	}
	for _, name := range portNames {
		for _, p := range in.notebook.Ports {
			if p.Name == name && p.ContainerPort > 0 {
				return p.ContainerPort, ""
			}
		}
	}
	return in.planner.config.Notebook.Port, ""
}

func parsePort(text, source string) (int32, string) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, source + " is not a port that can be read from outside"
	}
	return int32(port), ""
}

// findBase asks in this order: the hub, which decides it where there is one, the command line, Kubeflow, whose images are started
// below NB_PREFIX, and else it is /.
func (in *planning) findBase(flags map[string]string, env func(name string) envValue) (base, why string) {
	base, said := flags["base"]
	decides := ""
	switch {
	case env("JUPYTERHUB_SERVICE_PREFIX").set:
		decides = "JUPYTERHUB_SERVICE_PREFIX"
	case env("NB_PREFIX").set && !said:
		decides = "NB_PREFIX"
	}
	if decides != "" {
		if !env(decides).known {
			return "", decides + " is not a literal value, so the base URL cannot be read from outside"
		}
		base = env(decides).value
	} else {
		base = in.expandLiterals(base)
	}
	switch {
	case len(base) > maxBaseURLLength:
		return "", "the base URL is longer than " + decimal(maxBaseURLLength) + " bytes"
	case strings.Contains(base, "$("):
		return "", "the base URL has a variable in it, and cannot be read from outside"
	}
	if trimmed := strings.Trim(base, "/"); trimmed != "" {
		return "/" + trimmed + "/", ""
	}
	return "/", ""
}

var reference = regexp.MustCompile(`\$+\([A-Za-z_][A-Za-z0-9_]*\)`)

// expandLiterals puts values in the place of $(NAME), as Kubernetes does it in a command line: the pod's own, and those that it
// will have of the webhook. What it would not replace, or by what cannot be seen from outside, stays; so does what would make a
// base URL longer than one is looked at, because a short text can refer to a long value many times.
func (in *planning) expandLiterals(text string) string {
	if len(text) > maxBaseURLLength || !strings.Contains(text, "$(") {
		return text
	}
	// A base URL can refer to some 250 variables: none of them is to be looked for among a hundred thousand by turns, as literal
	// does it.
	all := make(map[string]envValue, len(in.notebook.Env)+len(in.planner.env))
	for _, v := range slices.Concat(in.planner.env, in.notebook.Env) {
		// A value is expanded itself, by what stands before it.
		all[v.Name] = envValue{set: true, value: v.Value, known: v.ValueFrom == nil && !strings.Contains(v.Value, "$")}
	}
	for _, v := range in.identityEnv {
		all[v.name] = envValue{set: !v.unknown, value: v.value, known: !v.unknown}
	}
	size := len(text)
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		v := all[strings.Trim(found, "$()")]
		if strings.HasPrefix(found, "$$") || !v.known || size+len(v.value) > maxBaseURLLength {
			return found
		}
		size += len(v.value)
		return v.value
	})
}
