// Package handoff is what the webhook, the init container and the notebook container tell each other: the command lines
// that the planner writes into the pod and the in-pod binary reads back, and the files in the scratch volume.
//
// It stands on the standard library alone, because the in-pod binary is to stay small, and it does no I/O.
package handoff

// The files in the scratch volume.
const (
	// EnvFile holds who was found, in lines of NAME=value. It is parsed, never sourced.
	EnvFile = "uid-gid.env"
	// PasswdFile and GroupFile are mounted over /etc/passwd and /etc/group.
	PasswdFile = "passwd"
	GroupFile  = "group"
	// JupyterConfigFile is Jupyter's own kind of file, and is found by JUPYTER_CONFIG_PATH.
	JupyterConfigFile = "jupyter_server_config.json"
	// Binary is the in-pod binary: its name in the image's root directory and, copied, in the scratch volume.
	Binary = "jupyter-user-init"
)

// Container is the name of the init container.
const Container = "jupyter-user-init"

// JupyterConfig has Jupyter listen on all addresses of the pod. By itself it listens on loopback, where neither a kubelet nor a
// Service reaches it. An --ip on the command line still wins.
const JupyterConfig = `{"ServerApp": {"ip": ""}}` + "\n"

// JupyterConfigVariable names the folders that Jupyter reads before all others.
const JupyterConfigVariable = "JUPYTER_CONFIG_PATH"
