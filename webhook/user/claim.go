package user

import (
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

const (
	// Label is the label with the name of a Pod's user. A Pod with this label needs no other label or annotation.
	Label = "jupyter-user"
	// hubLabel is on every Pod of KubeSpawner. Its value is a slug of the hub name (the user's name in JupyterHub), from
	// which the hub name cannot always be recovered.
	hubLabel = "hub.jupyter.org/username"
	// HubAnnotation is the annotation with the hub name.
	HubAnnotation = "hub.jupyter.org/username"
	// InjectAnnotation is the annotation that opts a Pod out: if the value is OptOut, the webhook does not change the Pod.
	InjectAnnotation = "jupyter-user.io/inject"
	// OptOut is the only valid value of InjectAnnotation.
	OptOut = "false"
)

// componentLabels are the labels with KubeSpawner's component: releases of KubeSpawner before 7 write only the first
// label.
var componentLabels = [...]string{"component", "app.kubernetes.io/component"}

// Claimed reports whether a Pod is claimed as a user's notebook:
//
//	labels       annotations                       claimed
//	Label                                          yes
//	hubLabel,    HubAnnotation                     yes, if a component label has a value of user.hubComponents
//	             InjectAnnotation: "false"         no, even with the labels and annotations above
//
// The hub's label and annotation without the component are not enough: Dask Gateway copies label and annotation to schedulers
// and workers, which are not notebooks and need no home.
//
// The policies have the same predicate in CEL, and both are tested with the Pods of testdata/claimed.yaml.
func Claimed(labels, annotations map[string]string, rules config.User) bool {
	if annotations[InjectAnnotation] == OptOut {
		return false
	}
	_, labelled := labels[Label]
	return labelled || isHubServer(labels, annotations, rules)
}

// Selects reports whether Claimed reads a label or an annotation of this name.
func Selects(name string) bool {
	return name == Label || name == hubLabel || name == HubAnnotation || name == InjectAnnotation ||
		slices.Contains(componentLabels[:], name)
}

// CheckInject returns a denial if the opt-out annotation of a claimed Pod has a value other than OptOut.
func CheckInject(annotations map[string]string) *denial.Denial {
	value, ok := annotations[InjectAnnotation]
	if !ok || value == OptOut {
		return nil
	}
	return new(denial.InjectInvalid(InjectAnnotation, value, OptOut))
}

// isHubServer reports whether KubeSpawner created a Pod as a user's server.
func isHubServer(labels, annotations map[string]string, rules config.User) bool {
	if _, ok := annotations[HubAnnotation]; !ok || !FromHub(labels) {
		return false
	}
	return slices.ContainsFunc(componentLabels[:], func(label string) bool {
		component, ok := labels[label]
		return ok && slices.Contains(rules.HubComponents, component)
	})
}

// FromHub reports whether a Pod with these labels belongs to a JupyterHub, for example as a user's server or as a Dask worker
// of a user.
func FromHub(labels map[string]string) bool {
	_, has := labels[hubLabel]
	return has
}

// NotClaimedBecause returns the reason why a Pod is not claimed, such as denial.NoLabel.
func NotClaimedBecause(labels, annotations map[string]string, rules config.User) string {
	switch {
	case annotations[InjectAnnotation] == OptOut:
		return denial.OptedOut
	case FromHub(labels) || annotations[HubAnnotation] != "":
		return denial.NoServerOfAHub(rules.HubComponents)
	}
	return denial.NoLabel
}

// NamedBy describes what names the user of a claimed Pod: the label, the annotation, or both.
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

// FromPod returns the user that a claimed Pod names by the label or by KubeSpawner's annotation, or denials. If the Pod has
// both, they must name the same user.
func FromPod(labels, annotations map[string]string, rules config.User) (Name, []denial.Denial) {
	inLabel, hasLabel := labels[Label]
	inAnnotation, hasAnnotation := annotations[HubAnnotation]

	var faults []denial.Denial
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
	if hasAnnotation || !hasLabel {
		byAnnotation = parse(denial.AnnotationField(HubAnnotation), inAnnotation)
	}
	switch {
	case len(faults) > 0:
		return Name{}, faults
	case !hasAnnotation:
		return byLabel, nil
	case hasLabel && byLabel != byAnnotation:
		return Name{}, []denial.Denial{denial.NamesDiffer(Label, inLabel, HubAnnotation, inAnnotation)}
	}
	return byAnnotation, nil
}
