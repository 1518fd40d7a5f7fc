package handoff

import (
	"path"
	"slices"
)

// HubServers are the commands with which hubs start the servers of their users.
var HubServers = []string{"jupyterhub-singleuser", "start-singleuser.sh", "start-singleuser.py", "jupyter-labhub"}

// IsHubServer reports whether an argument is the name or the path of a command with which hubs start the servers of their
// users. A hub's command line can have such a command after a wrapper, as in BinderHub's "python3 -c …
// jupyterhub-singleuser".
func IsHubServer(arg string) bool { return slices.Contains(HubServers, path.Base(arg)) }
