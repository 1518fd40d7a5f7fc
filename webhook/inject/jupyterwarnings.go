package inject

import (
	"slices"

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
	imageDecides := start.kind == runsUnknown && s.kind == runsJupyter
	if dir := openedByImage(in.notebook.Image); dir != "" && imageDecides && in.discovery == config.DiscoveryAtAdmission {
		warnings = append(warnings, denial.OpensElsewhere(dir))
	}
	for _, setting := range openingSettings {
		if inImagesHome(flags[setting], in.home) && (start.script || slices.ContainsFunc(before, setsOpening)) {
			warnings = append(warnings, denial.OpensInImagesHome(flags[setting], in.home))
		}
	}
	switch {
	case s.kind == runsOther || in.othersAuthenticate(env):
	case withoutToken(flags):
		warnings = append(warnings, denial.WithoutToken(in.facts.User.String()))
	case start.kind != runsJupyter && imageHas(in.notebook, tokenlessImages):
		warnings = append(warnings, denial.ImageWithoutToken(in.facts.User.String()))
	}
	return warnings
}

// othersAuthenticate reports whether another program authenticates the clients of Jupyter: a hub, Kubeflow, whose notebooks
// have NB_PREFIX, or a login proxy in the Pod, as in Open Data Hub.
func (in *planning) othersAuthenticate(env func(name string) envValue) bool {
	return env("JUPYTERHUB_SERVICE_URL").set || env("NB_PREFIX").set ||
		slices.ContainsFunc(in.pod.Spec.Containers, func(c pod.Container) bool { return isLoginProxy(&c) })
}

// withoutToken reports whether flags turn the token off, and set no password. No shell reads the quotes in an argument of a Pod
// such as --ServerApp.token="", but Jupyter removes them, so that the value is empty.
func withoutToken(flags map[string]string) bool {
	isEmpty := func(value string) bool { return value == "" || value == `''` || value == `""` }
	token, set := flags["token"]
	return set && isEmpty(token) && isEmpty(flags["password"])
}
