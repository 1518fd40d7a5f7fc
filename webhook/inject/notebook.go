package inject

import (
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// findNotebook finds the notebook container. The first item of this list that gives a container is used: the annotation
// jupyter-user.io/container, a configured name (notebook.containerNames), kubectl's annotation for its default container,
// the first container that is known to start Jupyter (jupyter.go, commandline.go, image.go), the first container that is not
// a proxy (image.go). A proxy that is the only container is taken. kubectl's annotation does not count if it names a proxy.
// An annotation jupyter-user.io/container that names no container of the Pod is denied.
func (in *planning) findNotebook() (at int, why string, denied *denial.Denial) {
	containers := in.pod.Spec.Containers
	byName := func(name string) int {
		return slices.IndexFunc(containers, func(c pod.Container) bool { return c.Name == name })
	}
	if len(containers) == 0 {
		return 0, "", new(denial.NoContainer())
	}
	if name, ok := in.pod.Metadata.Annotations[containerAnnotation]; ok {
		at := byName(name)
		if at < 0 {
			var names []string
			for _, c := range containers {
				names = append(names, c.Name)
			}
			return 0, "", new(denial.NoSuchContainer(containerAnnotation, name, names))
		}
		return at, denial.ContainerByAnnotation, nil
	}
	for _, name := range in.planner.config.Notebook.ContainerNames {
		if at := byName(name); at >= 0 {
			return at, denial.ContainerByName, nil
		}
	}
	// A service mesh can insert its proxy as the first container, and name the main container in this annotation of
	// kubectl. The Pod can lack the container that the annotation names.
	if at := byName(in.pod.Metadata.Annotations[defaultContainerAnnotation]); at >= 0 && !isProxy(&containers[at]) {
		return at, denial.ContainerByDefault, nil
	}
	if at, why, in.otherCandidates = in.guessNotebook(); at < 0 {
		return 0, "", new(denial.ProxiesAlone(containers[0].Name, containerAnnotation))
	}
	return at, why, nil
}

// guessNotebook returns the index of the first container that is known to start Jupyter and is not a proxy. If there is
// none, it returns the index of the first container that is not a proxy. If all containers are proxies, it returns -1, or 0
// in a Pod with only one container. others are the names of further candidates.
func (in *planning) guessNotebook() (at int, why string, others []string) {
	var starts, candidates []int
	for i := range in.pod.Spec.Containers {
		c := &in.pod.Spec.Containers[i]
		sameName := func(earlier pod.Container) bool { return earlier.Name == c.Name }
		if isProxy(c) || slices.ContainsFunc(in.pod.Spec.Containers[:i], sameName) {
			// Of two containers with the same name only the first is a candidate: a later review finds the notebook container by
			// the name in our annotation, and so would take the first.
			continue
		}
		candidates = append(candidates, i)
		if in.startsJupyter(c) {
			starts = append(starts, i)
		}
	}
	why = denial.ContainerByPosition
	if len(starts) > 0 {
		candidates, why = starts, denial.ContainerByJupyter
	}
	switch {
	case len(candidates) > 0:
	case len(in.pod.Spec.Containers) > 1:
		return -1, "", nil
	default:
		return 0, why, nil
	}
	for _, i := range candidates[1:] {
		others = append(others, in.pod.Spec.Containers[i].Name)
	}
	return candidates[0], why, others
}

// startsJupyter reports whether a container is known to start Jupyter, by its command or its image.
func (in *planning) startsJupyter(c *pod.Container) bool {
	start := in.readStart(c, nil)
	return start.kind == runsJupyter || start.kind == runsUnknown && kindOfImage(c.Image) == runsJupyter
}
