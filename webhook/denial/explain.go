package denial

import "strings"

// These texts are reasons for the decisions about a Pod. The command inject --explain shows the texts.
const (
	// The Container… texts say how the notebook container was found.
	ContainerByAnnotation = "the annotation jupyter-user.io/container names it"
	ContainerByName       = "it has a name of notebook.containerNames"
	ContainerByDefault    = "kubectl.kubernetes.io/default-container names it, and none has a name of notebook.containerNames"
	ContainerByJupyter    = "it is the first that is known to start Jupyter, and none has a name of notebook.containerNames"
	ContainerByPosition   = "it is the first that is not a proxy, and none has a name of notebook.containerNames"

	// The Discovery… texts say why the discovery was chosen.
	DiscoveryKnown           = "the UID and GID are known at admission"
	DiscoveryKnownRestricted = "the UID and GID are known at admission, which a namespace that enforces restricted requires"
	DiscoveryUnknown         = "the UID and GID are not known at admission, so the pod finds the owner of the home when it starts"
	DiscoveryUserUnknown     = "sources of identities are configured, and none of them knows the user"
	DiscoveryHome            = "the home comes with the identity, from the home field (share.homePrefix)"
	DiscoveryConfigured      = "the configuration says so (identity.discovery)"

	// The next texts say why the webhook did not add a default, such as a probe, a port or resources.
	NoJupyter         = "the container is not known to start Jupyter"
	StartUnknown      = "the webhook cannot tell whether the image starts Jupyter"
	NoListening       = "the webhook cannot tell where Jupyter listens"
	TurnedOffByPod    = "turned off by the pod's annotation"
	TurnedOffByConfig = "turned off by the configuration"
	PortTaken         = "another container has a port of that name or number"
	ResourcesOfPod    = "the pod has Pod-level resources (spec.resources)"
	ResourcesOfHub    = "a hub created the pod, and a hub without limits has none on purpose"

	// The next texts say why a Pod is not claimed as a user's notebook. The webhook does not change such a Pod. If the
	// verifier denies the Pod, the denial (function Unclaimed) has such a text.
	NoLabel  = "it has no label that names a user"
	OptedOut = "its annotation jupyter-user.io/inject opts out"
)

// NoServerOfAHub returns the reason why a hub's Pod is not claimed.
func NoServerOfAHub(components []string) string {
	return "a hub created it, but it is not a user's server: that has the label and the annotation hub.jupyter.org/username, and " +
		"a label component or app.kubernetes.io/component with a value of user.hubComponents (" + strings.Join(components, ", ") + ")"
}
