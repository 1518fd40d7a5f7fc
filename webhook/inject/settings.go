package inject

import (
	"encoding/json"
	"maps"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// Jupyter settings: files in the scratch volume (handoff.JupyterFiles), which take precedence over the settings files in
// the user's home, so that the user's files cannot break the probes.
//
// Adds the settings to the init container's arguments (init.go), and the init container writes the files. Port and base
// URL are the Pod's: if the Pod sets them, for example on the command line or by a variable, the files repeat these values
// (findPort and findBase in jupyter.go).
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
// The rows from ip to sock are left out where a hub sets the address of its servers, where the webhook cannot tell from the
// command whether Jupyter starts, and where no probe can be added, for example because the port is not known. For a program
// that is known not to be Jupyter only the umask is set.
//
// Jupyter finds the files by JUPYTER_CONFIG_PATH. With discovery at admission the Pod gets this variable, joined with the
// Pod's own value; env.go has the exceptions. The image's value is not known and is replaced. With discovery at start
// jupyter-user-init puts our directory before the value that the container has.

// jupyterSettings returns the settings as JSON, grouped by Jupyter's classes.
func (in *planning) jupyterSettings() string {
	if !in.jupyter.getsSettings() {
		return "{}"
	}
	if !in.jupyter.setsAddress {
		return in.planner.settings
	}
	settings := settingsOfSite(in.planner.config)
	settings["ServerApp"] = merged(settings["ServerApp"], in.jupyter.addressSettings())
	return marshalled(settings)
}

// settingsOfSite returns the settings that are the same in every Pod: the webhook's own, and those of
// notebook.jupyterConfig.
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

// merged returns the settings of both maps. For a setting that both maps have, the value of the second map is used.
func merged(traits, over map[string]any) map[string]any {
	all := make(map[string]any, len(traits)+len(over))
	maps.Copy(all, traits)
	maps.Copy(all, over)
	return all
}

// addressSettings returns the settings that make Jupyter listen where the probes expect it.
func (s jupyterServer) addressSettings() map[string]any {
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
	if in.discovery == config.DiscoveryAtStart || !in.jupyter.getsSettings() {
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
