package inject

import (
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// warningsAboutJupyter returns warnings about settings of Jupyter that the webhook cannot read or does not change. The
// parameter "before" has the arguments from the variable NOTEBOOK_ARGS.
func (in *planning) warningsAboutJupyter(s jupyterServer, start commandLine, before []string, flags map[string]string,
	env func(name string) envValue) (warnings []string) {
	if dir := env("JUPYTER_CONFIG_DIR"); dir.set && s.setsAddress {
		warnings = append(warnings, denial.SettingsElsewhere("JUPYTER_CONFIG_DIR", probesAnnotation))
	}
	// With discovery at start, notebook.starts or jupyter-user-init decides what runs, and not the image.
	imageDecides := start.kind == runsUnknown && s.kind == runsJupyter && in.discovery == config.DiscoveryAtAdmission
	if dir := openedByImage(in.notebook.Image); dir != "" && imageDecides {
		warnings = append(warnings, denial.OpensElsewhere(dir))
	}
	for _, setting := range openingSettings {
		if inImagesHome(flags[setting], in.home) && (start.script || slices.ContainsFunc(before, setsOpening)) {
			warnings = append(warnings, denial.OpensInImagesHome(flags[setting], in.home))
		}
	}
	if s.canStart() && flags["root_dir"] == "" {
		if dir := openedWithoutFlag(start); inImagesHome(dir, in.home) {
			warnings = append(warnings, denial.OpensInImagesHome(dir, in.home))
		}
	}
	return append(warnings, in.warningsAboutToken(s, imageDecides, flags, env)...)
}

// openedWithoutFlag returns the directory or file in which a command line opens Jupyter without a flag: Jupyter's argument, or
// the directory to which a shell script changes before.
func openedWithoutFlag(start commandLine) string {
	if opened := openedArgument(start.argv); opened != "" {
		return opened
	}
	return start.dir
}

// warningsAboutToken returns a warning if Jupyter asks for no token, so that everyone who can connect to the Pod is the user.
// It returns no warning if Jupyter listens only on loopback or on a Unix socket, or if another program authenticates the
// clients (othersAuthenticate). imageDecides reports whether the image's own start runs.
func (in *planning) warningsAboutToken(s jupyterServer, imageDecides bool, flags map[string]string,
	env func(name string) envValue) []string {
	switch {
	case !s.canStart() || flags["sock"] != "" || isLoopback(flags["ip"]) || othersAuthenticate(env):
	case withoutToken(flags) && in.hasLoginProxy():
		return []string{denial.BesideLoginProxy(in.facts.User.String())}
	case withoutToken(flags):
		return []string{denial.WithoutToken(in.facts.User.String())}
	case imageDecides && imageHas(in.notebook, tokenlessImages):
		return []string{denial.ImageWithoutToken(in.facts.User.String())}
	}
	return nil
}

// othersAuthenticate reports whether another program authenticates all clients of Jupyter: a hub, or Kubeflow, whose notebooks
// have a path in NB_PREFIX. A login proxy in the Pod does not: it authenticates those who come through it, and Jupyter's own
// port is open beside it.
func othersAuthenticate(env func(name string) envValue) bool {
	prefix := env("NB_PREFIX")
	return env("JUPYTERHUB_SERVICE_URL").set || prefix.set && (!prefix.known || strings.Trim(prefix.value, "/") != "")
}

// hasLoginProxy reports whether the Pod has a login proxy, as a container or as a native sidecar.
func (in *planning) hasLoginProxy() bool {
	return slices.ContainsFunc(in.pod.Spec.Containers, isLoginProxy) ||
		slices.ContainsFunc(in.pod.Spec.InitContainers, func(c pod.Container) bool {
			return isLoginProxy(c) && c.RestartPolicy != nil && *c.RestartPolicy == "Always"
		})
}

// withoutToken reports whether flags turn the token off, and set no password.
func withoutToken(flags map[string]string) bool {
	token, set := flags["token"]
	return set && token == "" && flags["password"] == ""
}
