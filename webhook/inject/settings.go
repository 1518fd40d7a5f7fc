package inject

import (
	"encoding/json"
	"maps"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// Jupyter settings: one file in the scratch volume, which takes precedence over all other settings files, so that no file
// in the user's home can break the probes.
//
// Adds the settings to the init container's arguments (init.go), and the init container writes the file. Address, port and
// base URL are the Pod's: the file repeats what the Pod sets on the command line or by variable, which takes precedence
// over every file anyway.
//
//	setting                               value
//	ip                                    all addresses: by default Jupyter listens on loopback, where no probe reaches it
//	port, base_url                        those of the probes
//	certfile, keyfile, client_ca, ssl_…   none, unless the Pod asks for HTTPS
//	sock                                  none
//	NotebookNotary.db_file                in memory: SQLite does not work well on a network file system
//	FileContentsManager.delete_to_trash   false: a trash in the home would keep its space, and deleting would fail in a full home
//	those of notebook.jupyterConfig       the configuration's
//	umask (a file of its own)             notebook.umask
//
// A hub sets where its servers listen, so the file of a hub's server does not.
//
// Jupyter finds the file by JUPYTER_CONFIG_PATH. With discovery at admission that is a variable of the container, joined
// with the Pod's own value; the image's value is not known and is replaced. With discovery at start our program joins it
// with the value that the container has.

// jupyterSettings returns the settings as JSON, grouped by Jupyter's classes.
func (in *planning) jupyterSettings() string {
	if !in.jupyter.mayStart() {
		return "{}"
	}
	if !in.jupyter.reachable {
		return in.planner.settings
	}
	settings := settingsOfSite(in.planner.config)
	settings["ServerApp"] = merged(settings["ServerApp"], in.jupyter.settings())
	return marshalled(settings)
}

// settingsOfSite returns the settings that are the same in every Pod.
func settingsOfSite(c *config.Config) map[string]map[string]any {
	settings := map[string]map[string]any{
		"NotebookNotary":      {"db_file": ":memory:"},
		"FileContentsManager": {"delete_to_trash": false},
	}
	for class, traits := range c.Notebook.JupyterConfig {
		settings[class] = merged(settings[class], traits)
	}
	return settings
}

// marshalled returns settings as JSON with sorted keys. Their values can always be marshalled.
func marshalled(settings map[string]map[string]any) string {
	text, _ := json.Marshal(settings)
	return string(text)
}

// merged returns the settings of both maps; those of over take precedence.
func merged(traits, over map[string]any) map[string]any {
	all := make(map[string]any, len(traits)+len(over))
	maps.Copy(all, traits)
	maps.Copy(all, over)
	return all
}

// settings returns the settings that the probes depend on.
func (s jupyterServer) settings() map[string]any {
	settings := map[string]any{"ip": "", "port": s.port, "base_url": s.base, "sock": ""}
	if !s.tls {
		for _, name := range []string{"certfile", "keyfile", "client_ca"} {
			settings[name] = ""
		}
		settings["ssl_options"] = map[string]any{}
	}
	return settings
}

// configPath returns the planned JUPYTER_CONFIG_PATH of the container; empty if the webhook does not set it.
func (in *planning) configPath() string {
	if in.discovery == config.DiscoveryAtStart || !in.jupyter.mayStart() {
		return ""
	}
	own, ours := in.envValue(handoff.JupyterConfigVariable), in.planner.config.Scratch.MountPath
	switch {
	case !own.set || own.known && own.value == "":
		return ours
	case !own.known:
		return ""
	case own.value == ours || strings.HasPrefix(own.value, ours+":"):
		return own.value
	}
	return ours + ":" + own.value
}
