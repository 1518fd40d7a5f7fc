package inject

import (
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// The image's own home: /home/jovyan, the home of every user in the images of docker-stacks, Zero to JupyterHub and Kubeflow.
// A Pod can ask to open there by its workingDir, by an argument such as --ServerApp.root_dir, or by KubeSpawner's
// notebook_dir. Such a Pod means the user's home, but /home/jovyan belongs to UID 1000: the user may not enter it, and
// Jupyter would not start. So the directory is replaced by the user's home, as docker-stacks' start.sh does when it renames
// its user, and the Pod gets a warning. A subdirectory is replaced by the home too, because the home may not have it. Any
// other directory is the Pod's.

// rootDirVariable is the variable with which a hub sets the directory that its server opens (KubeSpawner's notebook_dir).
const rootDirVariable = "JUPYTERHUB_ROOT_DIR"

// inImagesHome reports whether a directory is the image's own home or inside it, and not in the user's home.
func inImagesHome(dir, home string) bool {
	in := func(outer string) bool { return pod.CleanPath(dir) == outer || pod.Inside(pod.CleanPath(dir), outer) }
	return in(handoff.ImagesHome) && !in(home)
}

// openingTraits are the settings of the directory in which Jupyter opens. Jupyter ends if the preferred one does not exist.
var openingTraits = []string{"root_dir", "preferred_dir"}

// setsOpening reports whether an argument sets the directory in which Jupyter opens.
func setsOpening(arg string) bool {
	trait, _, _ := jupyterFlag(arg)
	return slices.Contains(openingTraits, trait)
}

// withUserHome returns a command line in which the image's own home is replaced by the user's in the arguments for Jupyter's
// directory, and the indices of these arguments. A shell script is not changed, and the Pod gets a warning (jupyter.go).
func withUserHome(argv []string, home string) (replaced []string, at []int) {
	for i, arg := range argv {
		if !setsOpening(arg) {
			continue
		}
		_, value, inline := jupyterFlag(arg)
		if !inline {
			if i++; i == len(argv) {
				break
			}
			value = argv[i]
		}
		if !inImagesHome(value, home) {
			continue
		}
		if replaced == nil {
			replaced = slices.Clone(argv)
		}
		replaced[i] = strings.TrimSuffix(argv[i], value) + home
		at = append(at, i)
	}
	if replaced == nil {
		return argv, nil
	}
	return replaced, at
}

// replaceWithHome replaces the image's own home by the user's, at the field or inside the element m. The verifier does not
// check it: the field is still the Pod's.
func (c *changes) replaceWithHome(m member, at pod.Pointer, home string, value any) {
	c.record(Replaced, thePods, m, value)
	c.operation("replace", at, home)
}
