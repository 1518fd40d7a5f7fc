package inject

import (
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Annotations: who the pod runs as, said on the pod.
//
// Adds jupyter-user.io/user, the name on the share; jupyter-user.io/discovery, how the identity was found (AtAdmission or
// AtStart); jupyter-user.io/identity, UID:GID[:gid,…], in the way at admission; and jupyter-user.io/config, the generation of
// the configuration. With share.homePrefix, jupyter-user.io/home is the home field of the directory service, from which the
// policies compute the home. All of them are ours: another value is replaced, and an identity on a pod that is to find its own
// is taken away. Access is decided by the first, so nothing of it is believed from the pod.
//
// The annotations with which a pod asks for something are the pod's: jupyter-user.io/container names the notebook
// container, jupyter-user.io/probes and jupyter-user.io/account-files say on or off, and jupyter-user.io/home-in names other
// containers that have the home (homein.go). The first of them is added where
// the pod does not have it: a choice by name or by position has to be the same on the next pass, when another webhook
// may have put a sidecar in front.

const annotationPrefix = "jupyter-user.io/"

// The annotations that we write.
const (
	UserAnnotation      = annotationPrefix + "user"
	DiscoveryAnnotation = annotationPrefix + "discovery"
	IdentityAnnotation  = annotationPrefix + "identity"
	HomeAnnotation      = annotationPrefix + "home"
	ConfigAnnotation    = annotationPrefix + "config"
)

// The annotations that a pod asks with.
const (
	ContainerAnnotation    = annotationPrefix + "container"
	ProbesAnnotation       = annotationPrefix + "probes"
	AccountFilesAnnotation = annotationPrefix + "account-files"
	HomeInAnnotation       = annotationPrefix + "home-in"
)

// DefaultContainerAnnotation is Kubernetes' own, and only read: kubectl logs and exec take the container that it names.
const DefaultContainerAnnotation = "kubectl.kubernetes.io/default-container"

var (
	requestAnnotations = []string{ContainerAnnotation, ProbesAnnotation, AccountFilesAnnotation, HomeInAnnotation}
	knownAnnotations   = append([]string{
		UserAnnotation, DiscoveryAnnotation, IdentityAnnotation, HomeAnnotation, ConfigAnnotation, user.InjectAnnotation},
		requestAnnotations...)
)

// annotationPaths are where those are that are written, as a patch spells it.
var annotationPaths = map[string]pod.Pointer{
	UserAnnotation:      pod.AnnotationsPath.Child(UserAnnotation),
	DiscoveryAnnotation: pod.AnnotationsPath.Child(DiscoveryAnnotation),
	IdentityAnnotation:  pod.AnnotationsPath.Child(IdentityAnnotation),
	HomeAnnotation:      pod.AnnotationsPath.Child(HomeAnnotation),
	ConfigAnnotation:    pod.AnnotationsPath.Child(ConfigAnnotation),
	ContainerAnnotation: pod.AnnotationsPath.Child(ContainerAnnotation),
}

// NotebookMark returns what an unclaimed Pod has that only a notebook can have: an annotation of ours other than the one that
// opts out, or a container of any kind with the init container's name. It is empty for a Pod that has neither. Volume names are
// no marks: who mounts the share is decided by the policies, by the volume's claim.
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
	if _, says := have[ContainerAnnotation]; says {
		c.recordKept(annotation(have, ContainerAnnotation))
	} else {
		putField(c, thePods, annotation(have, ContainerAnnotation), nil, p.notebook)
	}
}

// setOrRemove removes an annotation that is not wanted.
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
