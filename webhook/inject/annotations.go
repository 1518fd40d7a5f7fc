package inject

import (
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Annotations: they record on the Pod which user the Pod runs as.
//
// Adds jupyter-user.io/user, the user; jupyter-user.io/discovery, how the identity is found (AtAdmission or AtStart);
// jupyter-user.io/identity, UID:GID[:gid,…], with discovery at admission; and jupyter-user.io/config, the generation of
// the configuration. With share.homePrefix, jupyter-user.io/home is the value of the user's home field in the directory
// service or the passwd file, from which the policies compute the home. All of these annotations are ours: a different
// value is replaced, and an identity or home that the webhook would not write is removed. The policy
// access.jupyter-user.io decides by jupyter-user.io/user, so Decide never takes the value of this annotation from the Pod.
//
// The author of the Pod chooses the annotations that request something, and the policy afterwards.jupyter-user.io allows no
// later change of them: jupyter-user.io/container names the notebook container, jupyter-user.io/probes and
// jupyter-user.io/account-files are on or off, and jupyter-user.io/home-in names other containers that get the home
// (homein.go). The webhook adds jupyter-user.io/container if it is missing, because later reviews of the Pod must choose the
// same container, even if another webhook has inserted a sidecar before that container.

const annotationPrefix = "jupyter-user.io/"

// The annotations that record what the webhook decided about the Pod.
const (
	UserAnnotation      = annotationPrefix + "user"
	DiscoveryAnnotation = annotationPrefix + "discovery"
	IdentityAnnotation  = annotationPrefix + "identity"
	HomeAnnotation      = annotationPrefix + "home"
	ConfigAnnotation    = annotationPrefix + "config"
)

// The annotations with which the author of a Pod requests something.
const (
	containerAnnotation    = annotationPrefix + "container"
	probesAnnotation       = annotationPrefix + "probes"
	accountFilesAnnotation = annotationPrefix + "account-files"
	homeInAnnotation       = annotationPrefix + "home-in"
)

// defaultContainerAnnotation is an annotation of Kubernetes that the webhook only reads. It names the container that kubectl
// logs and exec use.
const defaultContainerAnnotation = "kubectl.kubernetes.io/default-container"

var (
	requestAnnotations = []string{containerAnnotation, probesAnnotation, accountFilesAnnotation, homeInAnnotation}
	knownAnnotations   = append([]string{
		UserAnnotation, DiscoveryAnnotation, IdentityAnnotation, HomeAnnotation, ConfigAnnotation, user.InjectAnnotation},
		requestAnnotations...)
)

// annotationPaths are the JSON pointers of the annotations that the webhook can add to a Pod.
var annotationPaths = map[string]pod.Pointer{
	UserAnnotation:      pod.AnnotationsPath.Child(UserAnnotation),
	DiscoveryAnnotation: pod.AnnotationsPath.Child(DiscoveryAnnotation),
	IdentityAnnotation:  pod.AnnotationsPath.Child(IdentityAnnotation),
	HomeAnnotation:      pod.AnnotationsPath.Child(HomeAnnotation),
	ConfigAnnotation:    pod.AnnotationsPath.Child(ConfigAnnotation),
	containerAnnotation: pod.AnnotationsPath.Child(containerAnnotation),
}

// NotebookMark describes a part of a Pod that only a notebook can have: an annotation of ours other than
// jupyter-user.io/inject, or a container of any kind with the init container's name. The description is empty for a Pod
// that has neither. A volume name is no mark: the policies decide who mounts the share, by the volume's claim.
func NotebookMark(pod *pod.Pod) string {
	first := ""
	for key := range pod.Metadata.Annotations {
		if strings.HasPrefix(key, annotationPrefix) && key != user.InjectAnnotation && (first == "" || key < first) {
			first = key
		}
	}
	if first != "" {
		return "the annotation " + first
	}
	for at, container := range pod.AllContainers {
		if container.Name == handoff.Container {
			return at.Pointer().Field() + ", which is named " + handoff.Container
		}
	}
	return ""
}

type annotationsPiece struct {
	user, identity, home, generation, notebook string
	discovery                                  config.Discovery
}

func (in *planning) planAnnotations() annotationsPiece {
	p := annotationsPiece{
		user: in.facts.User.String(), discovery: in.discovery, generation: in.planner.generation, notebook: in.notebook.Name,
	}
	if in.identity != nil {
		p.identity, p.home = in.identity.String(), in.identity.Home
	}
	return p
}

func (p annotationsPiece) reconcile(pod *pod.Pod, c *changes) {
	have := pod.Metadata.Annotations
	p.set(have, c, UserAnnotation, p.user)
	p.set(have, c, DiscoveryAnnotation, string(p.discovery))
	p.setOrRemove(have, c, IdentityAnnotation, p.identity)
	p.setOrRemove(have, c, HomeAnnotation, p.home)
	p.set(have, c, ConfigAnnotation, p.generation)
	if _, has := have[containerAnnotation]; has {
		c.recordKept(annotation(have, containerAnnotation))
	} else {
		putField(c, thePods, annotation(have, containerAnnotation), nil, p.notebook)
	}
}

// setOrRemove sets an annotation, or removes it if want is empty.
func (p annotationsPiece) setOrRemove(have map[string]string, c *changes, key, want string) {
	if want == "" {
		_, has := have[key]
		c.removeField(annotation(have, key), has)
		return
	}
	p.set(have, c, key, want)
}

func (annotationsPiece) set(have map[string]string, c *changes, key, want string) {
	var value *string
	if _, ok := have[key]; ok {
		value = new(have[key])
	}
	putField(c, ours, annotation(have, key), value, want)
}

func annotation(have map[string]string, key string) member {
	return member{pod.AnnotationsPath, len(have) > 0, key}
}
