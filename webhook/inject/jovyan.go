package inject

import (
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// The image's own home: /home/jovyan, which docker-stacks' images, Zero to JupyterHub's and Kubeflow's have for whosever
// notebook it is. A pod that wants to be there, by its workingDir, by an argument such as --ServerApp.root_dir, or by what
// KubeSpawner makes of notebook_dir, wants to be at home, and the person's home is another directory: /home/jovyan belongs to UID
// 1000, the person may not even enter it, and Jupyter that is to open there does not start. So such a wish becomes the person's
// home, as docker-stacks' own start.sh makes it where it renames its user, and the pod is warned. Not a directory of the same
// name in the home: nobody knows whether it is there. Any other wish is the pod's.

// rootDirVariable is how a hub says in which directory its server opens (KubeSpawner's notebook_dir).
const rootDirVariable = "JUPYTERHUB_ROOT_DIR"

// inImagesHome reports whether a directory is the image's own home or inside of it, and not in the user's.
func inImagesHome(dir, home string) bool {
	in := func(outer string) bool { return pod.CleanPath(dir) == outer || pod.Inside(pod.CleanPath(dir), outer) }
	return in(handoff.ImagesHome) && !in(home)
}

// isRootDir reports whether an argument says in which directory Jupyter opens.
func isRootDir(arg string) bool {
	trait, _, _ := jupyterFlag(arg)
	return trait == "root_dir"
}

// sentHome returns a command line in which Jupyter opens in the user's home where it was to open in the image's own, and which
// arguments that are. What is read out of a shell's script stays, and the Pod is warned (jupyter.go).
func sentHome(argv []string, home string) (sent []string, at []int) {
	for i, arg := range argv {
		if !isRootDir(arg) {
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
		if sent == nil {
			sent = slices.Clone(argv)
		}
		sent[i] = strings.TrimSuffix(argv[i], value) + home
		at = append(at, i)
	}
	if sent == nil {
		return argv, nil
	}
	return sent, at
}

// replaceWithHome writes the user's home in the place of a wish for the image's own, at the field or inside of the element m.
// The verifier does not look: it is the pod's all the same.
func (c *changes) replaceWithHome(m member, at pod.Pointer, home string, value any) {
	c.record(Replaced, thePods, m, value)
	c.operation("replace", at, home)
}
