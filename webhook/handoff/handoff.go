// Package handoff is the interface between the webhook, the init container and the notebook container: the command lines
// that the planner writes into the Pod and the in-pod binary parses, and the files in the scratch volume.
//
// It uses only the standard library, so that the in-pod binary stays small, and does no I/O.
package handoff

// The files in the scratch volume.
const (
	// EnvFile has the owner of the home (Owner), in lines of the form NAME=value. Our binary parses the file, and no shell
	// sources it.
	EnvFile = "uid-gid.env"
	// PasswdFile and GroupFile are mounted over /etc/passwd and /etc/group.
	PasswdFile = "passwd"
	GroupFile  = "group"
	// Binary is the file name of the in-pod binary, in the image's root directory and, as a copy, in the scratch volume.
	Binary = "jupyter-user-init"
)

// Container is the name of the init container.
const Container = "jupyter-user-init"
