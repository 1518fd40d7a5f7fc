package handoff

import (
	"encoding/json"
	"fmt"
	"maps"
)

// JupyterConfigVariable names the directories whose settings Jupyter reads before all others.
const JupyterConfigVariable = "JUPYTER_CONFIG_PATH"

// JupyterConfig is what Discover has for settings if it has none: Jupyter listens on all addresses of the Pod. By itself it listens
// on loopback, where neither a kubelet nor a Service reaches it. An --ip on the command line still wins.
const JupyterConfig = `{"ServerApp":{"ip":""}}`

// The files that Jupyter reads in a directory of JUPYTER_CONFIG_PATH.
const (
	// JupyterConfigFile is what jupyter_server reads, which is under JupyterLab 3 and notebook 7 and all that came later.
	JupyterConfigFile = "jupyter_server_config.json"
	// NotebookConfigFile is what notebook 6 and JupyterLab 2 read, and what came before them.
	NotebookConfigFile = "jupyter_notebook_config.json"
)

// JupyterFiles returns the files with Jupyter's settings, by their names. The settings are a JSON object: for each class of
// Jupyter's, such as ServerApp, its traits. What notebook 6 is to have goes by its name for the server, NotebookApp.
func JupyterFiles(settings string) (map[string][]byte, error) {
	classes := map[string]map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(settings), &classes); err != nil {
		return nil, fmt.Errorf("the settings of Jupyter are not a JSON object of objects: %w", err)
	}
	files := map[string][]byte{}
	for name, content := range map[string]any{JupyterConfigFile: classes, NotebookConfigFile: forNotebook(classes)} {
		text, err := json.Marshal(content)
		if err != nil {
			return nil, err
		}
		files[name] = append(text, '\n')
	}
	return files, nil
}

// forNotebook returns settings as notebook 6 has them: its NotebookApp is today's ServerApp, whose root_dir was notebook_dir.
func forNotebook(classes map[string]map[string]json.RawMessage) map[string]map[string]json.RawMessage {
	old := maps.Clone(classes)
	delete(old, "ServerApp")
	server := maps.Clone(classes["ServerApp"])
	if server == nil {
		server = map[string]json.RawMessage{}
	}
	if dir, ok := server["root_dir"]; ok {
		delete(server, "root_dir")
		server["notebook_dir"] = dir
	}
	maps.Copy(server, classes["NotebookApp"])
	old["NotebookApp"] = server
	return old
}
