// Package handoff is the interface between the webhook, the init container and the notebook container: the command lines
// that the webhook writes into the Pod and jupyter-user-init parses, and the files in the scratch volume.
//
// The package does no I/O. It imports only the standard library and package identity, so that jupyter-user-init stays
// small.
package handoff

// The files in the scratch volume, apart from those with Jupyter's settings (jupyter.go).
const (
	// EnvFile has the owner of the home (Owner), in lines of the form NAME=value. jupyter-user-init parses the file, and no
	// shell sources it.
	EnvFile = "uid-gid.env"
	// PasswdFile and GroupFile are mounted over /etc/passwd and /etc/group of the notebook container, unless this is turned
	// off (notebook.accountFiles).
	PasswdFile = "passwd"
	GroupFile  = "group"
	// Binary is the file name of jupyter-user-init. The binary is in the root directory of the init container's image.
	// With discovery at start the init container copies it to the scratch volume.
	Binary = "jupyter-user-init"
)

// Container is the name of the init container.
const Container = "jupyter-user-init"
