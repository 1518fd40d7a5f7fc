package user

import (
	"jupyter-user.io/jupyter-user-webhook/webhook/answer"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

const (
	// Label says whose notebook a pod is: the one thing that a person has to write.
	Label = "jupyter-user"
	// HubLabel is on every pod of KubeSpawner's. Its value is a slug, which cannot be turned back into the name.
	HubLabel = "hub.jupyter.org/username"
	// HubAnnotation holds the name as the hub knows it.
	HubAnnotation = "hub.jupyter.org/username"
)

// Claimed tells whether a pod with these labels says that it is a user's notebook.
func Claimed(labels map[string]string) bool {
	_, person := labels[Label]
	return person || FromHub(labels)
}

// FromHub tells whether a pod with these labels is a JupyterHub's.
func FromHub(labels map[string]string) bool {
	_, hub := labels[HubLabel]
	return hub
}

// NamedBy says what of a claimed pod names the user.
func NamedBy(labels, annotations map[string]string) string {
	_, label := labels[Label]
	_, annotation := annotations[HubAnnotation]
	switch {
	case !annotation:
		return "the label " + Label
	case !label:
		return "the annotation " + HubAnnotation + ", which a JupyterHub sets"
	}
	return "the label " + Label + " and the annotation " + HubAnnotation + ", which agree"
}

// FromPod finds whom a claimed pod names: in the label, or in KubeSpawner's annotation. Where both are there they have to
// agree. It answers every fault that it finds.
func FromPod(labels, annotations map[string]string, rules config.User) (Name, []answer.Answer) {
	inLabel, hasLabel := labels[Label]
	inAnnotation, hasAnnotation := annotations[HubAnnotation]
	if !hasLabel && !hasAnnotation {
		return Name{}, []answer.Answer{answer.NameMissing(HubLabel, HubAnnotation)}
	}

	var faults []answer.Answer
	parse := func(field, text string) (name Name) {
		name, fault := Parse(field, text, rules)
		if fault != nil {
			faults = append(faults, *fault)
		}
		return name
	}
	var byLabel, byAnnotation Name
	if hasLabel {
		byLabel = parse("metadata.labels["+Label+"]", inLabel)
	}
	if hasAnnotation {
		byAnnotation = parse(answer.AnnotationField(HubAnnotation), inAnnotation)
	}
	switch {
	case len(faults) > 0:
		return Name{}, faults
	case !hasAnnotation:
		return byLabel, nil
	case hasLabel && byLabel != byAnnotation:
		return Name{}, []answer.Answer{answer.NamesDiffer(Label, inLabel, HubAnnotation, inAnnotation)}
	}
	return byAnnotation, nil
}
