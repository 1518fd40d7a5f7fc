package handoff

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// JupyterConfigVariable names the directories whose settings Jupyter reads before all others.
const JupyterConfigVariable = "JUPYTER_CONFIG_PATH"

// JupyterConfig is what Discover has for settings if it has none: Jupyter listens on all addresses of the Pod. By itself it
// listens on loopback, where neither a kubelet nor a Service reaches it. An --ip on the command line still wins.
const JupyterConfig = `{"ServerApp":{"ip":""}}`

// The files that Jupyter reads in a directory of JUPYTER_CONFIG_PATH.
const (
	// JupyterConfigFile is what jupyter_server reads, which is under JupyterLab 3 and notebook 7 and all that came later.
	JupyterConfigFile = "jupyter_server_config.json"
	// CommonConfigFile is what each program of Jupyter's reads before its own.
	CommonConfigFile = "jupyter_config.py"
	// NotebookConfigFile is what notebook 6 and JupyterLab 2 read, and what came before them.
	NotebookConfigFile = "jupyter_notebook_config.json"
)

// JupyterFiles returns the files with Jupyter's settings, by their names. The settings are a JSON object: for each class of
// Jupyter's, such as ServerApp, its traits. What notebook 6 is to have goes by its name for the server, NotebookApp.
func JupyterFiles(settings string) (map[string][]byte, error) {
	settled := classes{}
	if err := json.Unmarshal([]byte(settings), &settled); err != nil {
		return nil, fmt.Errorf("the settings of Jupyter are not a JSON object of objects: %w", err)
	}
	files := map[string][]byte{}
	for name, content := range map[string]any{JupyterConfigFile: forServer(settled), NotebookConfigFile: forNotebook(settled)} {
		text, err := json.Marshal(content)
		if err != nil {
			return nil, err
		}
		files[name] = append(text, '\n')
	}
	return files, nil
}

// classes are settings by the class of Jupyter's that has them.
type classes = map[string]traits

type traits = map[string]json.RawMessage

// listening are the traits that say where a server listens.
var listening = []string{"ip", "port", "base_url", "sock", "certfile", "keyfile", "client_ca", "ssl_options"}

// SaysWhereItListens reports whether a trait of a server is about where it listens, which the webhook decides.
func SaysWhereItListens(trait string) bool { return slices.Contains(listening, trait) }

// UmaskFile returns what has Jupyter, and what Jupyter starts, make files with a umask. Jupyter has no trait for it.
func UmaskFile(umask string) []byte { return []byte("import os\n\nos.umask(0o" + umask + ")\n") }

// forServer returns settings as jupyter_server has them. Where it listens is said to NotebookApp too: notebook_shim takes what a
// user's file says there for the server's, and lets that win.
func forServer(all classes) classes {
	all = maps.Clone(all)
	old := traits{}
	for _, name := range listening {
		if value, ok := all["ServerApp"][name]; ok {
			old[name] = value
		}
	}
	if maps.Copy(old, all["NotebookApp"]); len(old) > 0 {
		all["NotebookApp"] = old
	}
	return all
}

// forNotebook returns settings as notebook 6 has them: its NotebookApp is today's ServerApp, whose root_dir was notebook_dir. The
// LabApp of JupyterLab 2 is one too, and what a user's file says to it would win.
func forNotebook(all classes) classes {
	all = maps.Clone(all)
	server := traits{}
	maps.Copy(server, all["ServerApp"])
	delete(all, "ServerApp")
	if dir, ok := server["root_dir"]; ok {
		delete(server, "root_dir")
		server["notebook_dir"] = dir
	}
	for _, class := range []string{"NotebookApp", "LabApp"} {
		own := maps.Clone(server)
		maps.Copy(own, all[class])
		all[class] = own
	}
	return all
}
