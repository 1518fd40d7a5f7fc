package inject

import (
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// jupyterServer is what the webhook finds out about the Jupyter server of a Pod.
type jupyterServer struct {
	// kind is the kind of the program that the notebook container runs.
	kind programKind
	// port and base are the port and the base URL on which Jupyter listens. If no probe can be added, port is 0 and why
	// is the reason, for example that the port is not known.
	port int32
	base string
	why  string
	// setsAddress reports whether our settings files (settings.go) set where Jupyter listens: Jupyter can start, port is
	// not 0, and no hub sets the address.
	setsAddress bool
	// tls reports whether Jupyter serves HTTPS, and mutual whether Jupyter requires a client certificate, which the kubelet
	// does not have for HTTP probes.
	tls, mutual bool
	// warnings are about settings of Jupyter that the webhook cannot read or does not change.
	warnings []string
}

// canStart reports whether Jupyter starts, or can start because an unknown image decides what runs.
func (s jupyterServer) canStart() bool { return s.kind == runsJupyter || s.kind == runsUnknown }

// getsSettings reports whether the container gets our settings for Jupyter, apart from where Jupyter listens. A program of an
// unknown kind gets them too: it can start Jupyter, and if it does not, nothing reads the settings.
func (s jupyterServer) getsSettings() bool { return s.kind != runsOther }

// findServer finds out whether the notebook container runs Jupyter and where Jupyter listens. It reads the command line and the
// environment as Jupyter does.
func (in *planning) findServer(s switches) jupyterServer {
	start := in.readStart(in.notebook, in.literal)
	env := func(name string) envValue {
		if value, ok := start.env[name]; ok {
			return envValue{set: true, value: value, known: true}
		}
		return in.envValue(name)
	}
	found := jupyterServer{kind: in.kindOfNotebook(s, start, env)}
	argv := start.argv
	// The start scripts of docker-stacks split NOTEBOOK_ARGS by Python's shlex, and put the words before their arguments.
	var before []string
	var whyNoArgs string
	if !ignoresNotebookArgs(argv) {
		before, whyNoArgs = readNotebookArgs(env("NOTEBOOK_ARGS"))
	}
	arguments := argv
	if len(before) > 0 {
		arguments = slices.Concat(before, argv)
	}
	if hasUnknownArgument(arguments) {
		whyNoArgs = denial.ArgumentVariable
	}
	flags := jupyterFlags(arguments)
	for setting, value := range flags {
		flags[setting] = unquoted(setting, in.expandLiterals(value))
	}

	found.port, found.why = in.findPort(flags, env)
	base, whyNoBase := in.findBase(flags, env)
	found.base = base
	for _, why := range []string{whyNoBase, whyNoProbe(flags, start, env), whyNoArgs} {
		if why != "" {
			found.port, found.why = 0, why
		}
	}
	found.setsAddress = found.canStart() && found.port != 0 && !env("JUPYTERHUB_SERVICE_URL").set
	found.mutual = env("JUPYTERHUB_SSL_KEYFILE").set || flags["client_ca"] != ""
	found.tls = flags["certfile"] != "" || env("GEN_CERT").set
	found.warnings = in.warningsAboutJupyter(found, start, before, flags, env)
	unread := start.kind == runsUnclear && len(start.argv) == 0
	if s.probes == "on" && unread && found.setsAddress && !env("JUPYTER_PORT").set {
		found.warnings = append(found.warnings, denial.PortAssumed(in.notebook.Name, found.port, found.base, probesAnnotation))
	}
	return found
}

// ignoresNotebookArgs reports whether a command is Jupyter itself, or a module of python. These do not read the variable
// NOTEBOOK_ARGS, but the start scripts of many images do. Start scripts have different names, and can be the argument of a
// program such as python. So any other command is assumed to read NOTEBOOK_ARGS.
func ignoresNotebookArgs(argv []string) bool {
	if len(argv) == 0 {
		return false
	}
	name := path.Base(argv[0])
	if python.MatchString(name) {
		module, script, _ := programOfPython(argv[1:])
		return module != "" || strings.HasPrefix(path.Base(script), "jupyter")
	}
	return strings.HasPrefix(name, "jupyter")
}

// readNotebookArgs returns the words of the variable NOTEBOOK_ARGS, or a reason why the webhook cannot read them.
func readNotebookArgs(args envValue) (words []string, why string) {
	if args.set && !args.known {
		return nil, denial.ArgsNotLiteral
	}
	words, ok := splitWords(args.value)
	if !ok {
		return nil, denial.ArgsQuoteOpen
	}
	return words, ""
}

// whyNoProbe returns a reason why no probe can be added; empty if there is none. Either the kubelet cannot connect to the
// address on which Jupyter listens, or Jupyter's settings come from a file or directory that the webhook cannot know, or
// Jupyter reads no settings. findPort and findBase return the reasons for an unknown port or base URL. An address that is an
// unknown variable counts as an address to which the kubelet can connect, because it is usually the Pod's IP.
func whyNoProbe(flags map[string]string, start commandLine, env func(name string) envValue) string {
	ip := flags["ip"]
	switch {
	case flags["sock"] != "":
		return denial.OnUnixSocket
	case isLoopback(ip):
		return denial.OnLoopback(ip)
	case flags["config"] != "" && (flags["port"] == "" || flags["base_url"] == "" || ip == ""):
		return denial.SettingsFromFile(probesAnnotation)
	case env("JUPYTER_NO_CONFIG").value != "":
		return denial.WithoutSettings
	}
	if env("JUPYTERHUB_SERVICE_URL").set {
		return "" // A hub's server has port and base URL from the hub, and not from the webhook's settings.
	}
	if _, ok := start.env[handoff.JupyterConfigVariable]; ok {
		return denial.SettingsOfCommand(handoff.JupyterConfigVariable)
	}
	for _, name := range []string{"JUPYTER_NO_CONFIG", handoff.JupyterConfigVariable} {
		if v := env(name); v.set && !v.known {
			return denial.SettingsNotLiteral(name)
		}
	}
	return ""
}

// isLoopback reports whether an address is a loopback address, to which neither the kubelet nor another machine can connect.
func isLoopback(ip string) bool {
	return ip == "localhost" || strings.HasPrefix(ip, "127.") || ip == "::1"
}

// readStart reads the command and args of a container. If the command has our wrapper, readStart reads the wrapped command.
// The parameter "value" is that of readCommand.
func (in *planning) readStart(c *pod.Container, value func(name string) (string, bool)) commandLine {
	command := unwrapped(in.planner.binary, c.Command, expanded)
	start := readCommand(slices.Concat(command, c.Args), value)
	if start.kind == runsUnknown && len(command) > 0 {
		// The image does not decide: Kubernetes ignores the start of the image if the container has a command.
		start.kind = runsUnclear
	}
	if start.canBeWrapper() && user.FromHub(in.pod.Metadata.Labels) {
		start.skipWrapper()
	}
	return start
}

// kindOfNotebook returns the kind of the program that the notebook container runs. The first item of this list that
// determines the kind is used: the annotation jupyter-user.io/probes: on, the variable of a kernel (kernelVariable), the
// command line together with DOCKER_STACKS_JUPYTER_CMD, an image that is known to start another program, the configured
// start of the image (notebook.starts), a hub's labels, an image that is known to start Jupyter.
func (in *planning) kindOfNotebook(s switches, start commandLine, env func(name string) envValue) programKind {
	imageDecides := start.kind == runsUnknown
	if subcommand := env("DOCKER_STACKS_JUPYTER_CMD"); subcommand.set && !slices.Contains(subcommands, subcommand.value) {
		if imageDecides || len(start.argv) > 0 && strings.HasPrefix(path.Base(start.argv[0]), "start-notebook.") {
			start.kind, imageDecides = runsUnclear, false
		}
	}
	switch {
	case s.probes == "on":
		return runsJupyter
	case env(kernelVariable).set:
		return runsOther
	case !imageDecides:
		return start.kind
	}
	byImage := kindOfImage(in.notebook.Image)
	if byImage == runsOther {
		return runsOther
	}
	if configured, ok := in.planner.startOf(in.notebook.Image); ok {
		if readCommand(slices.Concat(configured.Entrypoint, configured.Command), nil).kind == runsOther {
			return runsOther
		}
		return runsJupyter
	}
	if user.FromHub(in.pod.Metadata.Labels) {
		return runsJupyter
	}
	return byImage
}

// kernelVariable is set in the Pods that Enterprise Gateway creates for single kernels. These Pods use a notebook image,
// but start no Jupyter server.
const kernelVariable = "KERNEL_ID"

// portNames are the usual names of a notebook's port. The first is KubeSpawner's. The name "http" is not among them,
// because the port of any server can have that name.
var portNames = []string{"notebook-port", "notebook", "jupyter"}

// findPort returns the port from the first of these that sets it: the command line, the hub's URL, JUPYTER_PORT, a declared
// port with one of portNames, the configuration.
func (in *planning) findPort(flags map[string]string, env func(name string) envValue) (port int32, why string) {
	if text, ok := flags["port"]; ok {
		return parsePort(text, "--port")
	}
	if service := env("JUPYTERHUB_SERVICE_URL"); service.set {
		if !service.known {
			return 0, denial.PortNotLiteral("JUPYTERHUB_SERVICE_URL")
		}
		u, err := url.Parse(service.value)
		if err != nil || u.Port() == "" {
			return 0, denial.HubURLWithoutPort
		}
		return parsePort(u.Port(), "JUPYTERHUB_SERVICE_URL")
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
		return 0, denial.PortUnreadable(source)
	}
	return int32(port), ""
}

// findBase returns the base URL from the first of these that sets it: the hub, the command line, NB_PREFIX of Kubeflow. The
// default is /.
func (in *planning) findBase(flags map[string]string, env func(name string) envValue) (base, why string) {
	base, isFlag := flags["base_url"]
	variable := ""
	switch {
	case env("JUPYTERHUB_SERVICE_PREFIX").set:
		variable = "JUPYTERHUB_SERVICE_PREFIX"
	case env("NB_PREFIX").set && !isFlag:
		variable = "NB_PREFIX"
	}
	if variable != "" {
		if !env(variable).known {
			return "", denial.BaseURLNotLiteral(variable)
		}
		base = env(variable).value
	}
	switch {
	case len(base) > maxBaseURLLength:
		return "", denial.BaseURLTooLong(maxBaseURLLength)
	case strings.Contains(base, "$("):
		return "", denial.BaseURLVariable
	}
	if trimmed := strings.Trim(base, "/"); trimmed != "" {
		return "/" + trimmed + "/", ""
	}
	return "/", ""
}
