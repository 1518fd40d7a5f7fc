package inject

import (
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// jupyterServer is what can be told of the Jupyter server from the outside, without looking into the image.
type jupyterServer struct {
	// what the notebook container is known to run; runsUnknown where its image decides, and the image is not known.
	what runs
	// port and base URL on which it listens; the port is 0 where that cannot be told, and why says why.
	port int32
	base string
	why  string
	// reachable reports whether the webhook's settings say where it listens: no hub does, and it can be told.
	reachable bool
	// tls reports whether it serves HTTPS, mutual whether it asks for a client certificate besides, so that no HTTP probe passes.
	tls, mutual bool
	// warnings are about what Jupyter is told and the webhook cannot follow.
	warnings []string
}

// mayStart reports whether Jupyter starts, or may start by the image.
func (s jupyterServer) mayStart() bool { return s.what == runsJupyter || s.what == runsUnknown }

// findServer reads the command line and the environment as Jupyter will.
func (in *planning) findServer(s switches) jupyterServer {
	start := in.readStart(in.notebook)
	env := func(name string) envValue {
		if value, ok := start.env[name]; ok {
			return envValue{set: true, value: value, known: true}
		}
		return in.envValue(name)
	}
	found := jupyterServer{what: in.whatStarts(s, start, env)}
	argv := start.argv
	// docker-stacks' start scripts put these in front of the arguments, and read them as a shell does.
	before, readable := words(env("NOTEBOOK_ARGS").value)
	arguments := argv
	if len(before) > 0 {
		arguments = slices.Concat(before, argv)
	}
	flags := jupyterFlags(arguments)
	for trait, value := range flags {
		flags[trait] = in.expandLiterals(value)
	}

	found.port, found.why = in.findPort(flags, env)
	base, why := in.findBase(flags, env)
	if found.base = base; why != "" {
		found.port, found.why = 0, why
	}
	if why := unreachable(flags, env); why != "" {
		found.port, found.why = 0, why
	}
	if !readable {
		found.port, found.why = 0, "NOTEBOOK_ARGS has a quote without its other half"
	}
	found.reachable = found.mayStart() && found.port != 0 && !env("JUPYTERHUB_SERVICE_URL").set
	found.mutual = env("JUPYTERHUB_SSL_KEYFILE").set || flags["client_ca"] != ""
	found.tls = flags["certfile"] != "" || env("GEN_CERT").set
	if dir := env("JUPYTER_CONFIG_DIR"); dir.set && found.reachable {
		found.warnings = append(found.warnings, denial.SettingsElsewhere("JUPYTER_CONFIG_DIR", ProbesAnnotation))
	}
	if inImagesHome(flags["root_dir"], in.home) && (start.script || slices.ContainsFunc(before, isRootDir)) {
		found.warnings = append(found.warnings, denial.OpensInImagesHome(flags["root_dir"], in.home))
	}
	return found
}

// unreachable returns why no probe can ask where Jupyter is told to listen; empty if one can.
func unreachable(flags map[string]string, env func(name string) envValue) string {
	ip := flags["ip"]
	switch {
	case flags["sock"] != "":
		return "Jupyter is told to listen on a Unix socket (--sock)"
	case ip == "localhost" || strings.HasPrefix(ip, "127.") || ip == "::1":
		return "Jupyter is told to listen on " + ip + " (--ip), where the kubelet cannot ask it"
	case flags["config"] != "" && (flags["port"] == "" || flags["base_url"] == ""):
		return "Jupyter is told to read its settings from a file (--config), which may say another port or base URL: repeat " +
			"them as --port and --ServerApp.base_url, or write your own probes and set the annotation " + ProbesAnnotation + " to off"
	case env("JUPYTER_NO_CONFIG").value != "":
		return "Jupyter is told to read no settings (JUPYTER_NO_CONFIG)"
	}
	if path := env(handoff.JupyterConfigVariable); path.set && !path.known {
		return handoff.JupyterConfigVariable + " is not a literal value, so where Jupyter's settings come from cannot be told"
	}
	return ""
}

// readStart reads the command line of a container, or that of a configured start if it has none of its own.
func (in *planning) readStart(c *pod.Container) started {
	argv := slices.Concat(unwrapped(in.planner.binary, c.Command, expanded), c.Args)
	return readCommand(argv, func(name string) (string, bool) {
		v := in.envValue(name)
		return v.value, v.known && !strings.Contains(v.value, "$")
	})
}

// whatStarts returns what the notebook container runs: by the annotation, the command line, the configuration, a hub, the image.
func (in *planning) whatStarts(s switches, start started, env func(name string) envValue) runs {
	ownStart := start.what == runsUnknown
	if subcommand := env("DOCKER_STACKS_JUPYTER_CMD"); subcommand.set && !slices.Contains(subcommands, subcommand.value) {
		if ownStart || len(start.argv) > 0 && strings.HasPrefix(path.Base(start.argv[0]), "start-notebook.") {
			start.what, ownStart = runsUnclear, false
		}
	}
	switch {
	case s.probes == "on":
		return runsJupyter
	case env(kernelVariable).set:
		return runsOther
	case !ownStart:
		return start.what
	}
	byImage := imageRuns(in.notebook.Image)
	if byImage == runsOther {
		return runsOther
	}
	if i := slices.IndexFunc(in.planner.starts, func(s imageStart) bool { return s.matches(in.notebook.Image) }); i >= 0 {
		configured := in.planner.starts[i].start
		if readCommand(slices.Concat(configured.Entrypoint, configured.Command), nil).what == runsOther {
			return runsOther
		}
		return runsJupyter
	}
	if user.FromHub(in.pod.Metadata.Labels) {
		return runsJupyter
	}
	return byImage
}

// kernelVariable is on the pods that Enterprise Gateway makes for single kernels: their images are a notebook's with another
// start.
const kernelVariable = "KERNEL_ID"

// traits are the settings that matter here, by the last part of their name: --port is short for --ServerApp.port, and
// other applications (NotebookApp, LabApp, JupyterHubSingleUser) inherit them under their own.
var traits = map[string]string{
	"port": "port", "base_url": "base_url", "certfile": "certfile", "sock": "sock", "ip": "ip",
	"client_ca": "client_ca", "client-ca": "client_ca",
	"config": "config", "config_file": "config", "root_dir": "root_dir", "notebook_dir": "root_dir", "notebook-dir": "root_dir",
}

// jupyterFlags reads --port 9999, --port=9999 and --ServerApp.port=9999. The last one counts, as in Jupyter.
func jupyterFlags(argv []string) map[string]string {
	flags := map[string]string{}
	for i, arg := range argv {
		trait, value, inline := jupyterFlag(arg)
		switch {
		case trait == "":
		case inline:
			flags[trait] = value
		case i+1 < len(argv):
			flags[trait] = argv[i+1]
		}
	}
	return flags
}

// jupyterFlag returns which setting an argument is about; empty for none that matters. A value may be the next argument.
func jupyterFlag(arg string) (trait, value string, inline bool) {
	name, ok := strings.CutPrefix(arg, "--")
	if !ok {
		return "", "", false
	}
	name, value, inline = strings.Cut(name, "=")
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		name = name[dot+1:]
	}
	return traits[name], value, inline
}

// literal is a variable as the pod gives it.
type envValue struct {
	set bool
	// value is empty and known false where it comes from a Secret, a ConfigMap or a field.
	value string
	known bool
}

// envValue is a variable as it will be: the webhook's own, else the pod's, else the configured default; the last of several, as
// in a process. What envFrom brings cannot be seen from outside, and is taken to have nothing to do with where Jupyter listens.
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

// portNames are what a notebook's port is called, by KubeSpawner and by custom. A port named http may be anything's.
var portNames = []string{"notebook-port", "notebook", "jupyter"}

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
	base, said := flags["base_url"]
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
