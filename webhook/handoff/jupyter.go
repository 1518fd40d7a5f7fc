package handoff

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// JupyterConfigVariable is the environment variable with the directories whose settings take precedence in Jupyter.
const JupyterConfigVariable = "JUPYTER_CONFIG_PATH"

// JupyterConfig has the default settings: Jupyter listens on all addresses of the Pod. Without these settings Jupyter
// listens on loopback, which neither a kubelet nor a Service can reach. An --ip on the command line takes precedence.
const JupyterConfig = `{"ServerApp":{"ip":""}}`

// The files that Jupyter reads in the scratch volume, which is a directory of JUPYTER_CONFIG_PATH.
const (
	// jupyterConfigFile is read by jupyter_server, the server of JupyterLab 3, notebook 7 and later versions.
	jupyterConfigFile = "jupyter_server_config.json"
	// CommonConfigFile is read by every Jupyter program before its own file.
	CommonConfigFile = "jupyter_config.py"
	// notebookConfigFile is read by notebook 6, JupyterLab 2 and earlier versions.
	notebookConfigFile = "jupyter_notebook_config.json"
)

// JupyterFiles returns the content of the files with Jupyter's settings, by file name. settings is a JSON object, which
// maps each class of Jupyter, such as ServerApp, to an object with its settings (traits). The file for notebook 6 has the
// class NotebookApp in place of ServerApp.
func JupyterFiles(settings string) (map[string][]byte, error) {
	byClass := classes{}
	if err := json.Unmarshal([]byte(settings), &byClass); err != nil {
		return nil, fmt.Errorf("the settings of Jupyter are not a JSON object of objects: %w", err)
	}
	files := map[string][]byte{}
	for name, content := range map[string]any{jupyterConfigFile: forServer(byClass), notebookConfigFile: forNotebook(byClass)} {
		text, err := json.Marshal(content)
		if err != nil {
			return nil, err
		}
		files[name] = append(text, '\n')
	}
	return files, nil
}

// classes maps the name of a class of Jupyter, such as ServerApp, to the settings of that class.
type classes = map[string]traits

type traits = map[string]json.RawMessage

// listenTraits are the traits that set where a server listens, and whether it uses TLS.
var listenTraits = []string{"ip", "port", "base_url", "sock", "certfile", "keyfile", "client_ca", "ssl_options"}

// IsListenTrait reports whether a trait sets where a server listens, or whether it uses TLS. The probes depend on these
// traits, so notebook.jupyterConfig must not set them.
func IsListenTrait(trait string) bool { return slices.Contains(listenTraits, trait) }

// UmaskFile returns the content of CommonConfigFile, which sets the umask of Jupyter and of the programs that Jupyter starts.
// Jupyter has no trait for the umask. umask must be octal digits.
func UmaskFile(umask string) []byte { return []byte("import os\n\nos.umask(0o" + umask + ")\n") }

// forServer returns settings for jupyter_server. It copies listenTraits from ServerApp to NotebookApp. Otherwise the
// NotebookApp traits of a user's file would take precedence, because notebook_shim applies them to the server.
func forServer(all classes) classes {
	all = maps.Clone(all)
	notebookApp := traits{}
	for _, name := range listenTraits {
		if value, ok := all["ServerApp"][name]; ok {
			notebookApp[name] = value
		}
	}
	if maps.Copy(notebookApp, all["NotebookApp"]); len(notebookApp) > 0 {
		all["NotebookApp"] = notebookApp
	}
	return all
}

// forNotebook returns settings for notebook 6, in which the class ServerApp is called NotebookApp and the trait root_dir is
// called notebook_dir. LabApp of JupyterLab 2 is a subclass of NotebookApp, so LabApp gets the same traits: otherwise the
// LabApp traits of a user's file would take precedence.
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
