package denial

import "strings"

// These are the reasons behind a plan, for the explain option of the command line.
const (
	// The Container… texts say how the notebook container was found.
	ContainerByAnnotation = "the annotation jupyter-user.io/container names it"
	ContainerByName       = "it has a name of notebook.containerNames"
	ContainerByDefault    = "kubectl.kubernetes.io/default-container names it, and none has a name of notebook.containerNames"
	ContainerByJupyter    = "it is the first that is known to start Jupyter, and none has a name of notebook.containerNames"
	ContainerByPosition   = "it is the first that is no proxy, and none has a name of notebook.containerNames"

	// The Discovery… texts say why the discovery was chosen.
	DiscoveryKnown           = "the UID and GID are known at admission"
	DiscoveryKnownRestricted = "the UID and GID are known at admission, as a namespace that enforces restricted needs it"
	DiscoveryUnknown         = "the UID and GID are not known at admission, so the pod finds the owner of the home when it starts"
	DiscoveryAsked           = "sources of identities are configured, and none of them knows the user"
	DiscoveryHome            = "the home comes from the directory service, with the identity (share.homePrefix)"
	DiscoveryConfigured      = "the configuration says so (identity.discovery)"

	// The next texts say why a default was left out.
	NoJupyter         = "Jupyter is not what starts"
	StartUnknown      = "whether Jupyter is what the image starts cannot be told"
	NoListening       = "where Jupyter listens cannot be told"
	TurnedOffByPod    = "turned off by the pod's annotation"
	TurnedOffByConfig = "turned off by the configuration"
	PortTaken         = "another container has a port of that name or number"
	ResourcesOfPod    = "the pod has resources as a whole"
	ResourcesOfHub    = "the pod is a hub's, and a hub without limits means it"

	// The next texts say why a Pod is not claimed.
	NoLabel  = "it has no label that says whose"
	OptedOut = "its annotation jupyter-user.io/inject says so"
)

// NoServerOfAHub returns why a hub's Pod is not claimed.
func NoServerOfAHub(components []string) string {
	return "it is a hub's and not a user's server, which has the label and the annotation hub.jupyter.org/username, and a label " +
		"component or app.kubernetes.io/component with a value of user.hubComponents (" + strings.Join(components, ", ") + ")"
}
