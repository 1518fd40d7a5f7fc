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
	// Binary is the in-pod binary: its name in the image's root directory and, copied, in the scratch volume.
	Binary = "jupyter-user-init"
)

// Container is the name of the init container.
const Container = "jupyter-user-init"
