package inject

import (
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// findNotebook finds the container that gets the home: named by annotation, else by a configured name, else by the annotation
// that kubectl goes by, else the first.
func (in *planning) findNotebook() (at int, why string, refusal *denial.Denial) {
	containers := in.pod.Spec.Containers
	byName := func(name string) int {
		return slices.IndexFunc(containers, func(c pod.Container) bool { return c.Name == name })
	}
	if len(containers) == 0 {
		a := denial.NoContainer()
		return 0, "", &a
	}
	if name, ok := in.pod.Metadata.Annotations[ContainerAnnotation]; ok {
		at := byName(name)
		if at < 0 {
			var names []string
			for _, c := range containers {
				names = append(names, c.Name)
			}
			a := denial.NoSuchContainer(ContainerAnnotation, name, names)
			return 0, "", &a
		}
		return at, denial.ContainerByAnnotation, nil
	}
	for _, name := range in.planner.config.Notebook.ContainerNames {
		if at := byName(name); at >= 0 {
			return at, denial.ContainerByName, nil
		}
	}
	// A mesh that puts its proxy in front says by this one which container people mean. It may name one that is not there.
	if at := byName(in.pod.Metadata.Annotations[DefaultContainerAnnotation]); at >= 0 {
		return at, denial.ContainerByDefault, nil
	}
	return 0, denial.ContainerByPosition, nil
}
