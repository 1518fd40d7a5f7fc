package inject

import "jupyter-user.io/jupyter-user-webhook/webhook/pod"

// The image's own home: /home/jovyan, which docker-stacks' images, Zero to JupyterHub's and Kubeflow's have for whosever
// notebook it is. A pod that wants to be there, by its workingDir or by what KubeSpawner makes of notebook_dir, wants to be at
// home, and the person's home is another directory: /home/jovyan belongs to UID 1000, the person may not even enter it, and
// Jupyter that is to open there does not start. So such a wish becomes the person's home, as docker-stacks' own start.sh makes
// it where it renames its user, and the pod is warned. Not a directory of the same name in the home: nobody knows whether it is
// there. Any other wish is the pod's.

const imagesHome = "/home/jovyan"

// rootDirVariable is how a hub says in which directory its server opens (KubeSpawner's notebook_dir).
const rootDirVariable = "JUPYTERHUB_ROOT_DIR"

// inImagesHome tells whether a directory is the image's own home or inside of it, and not in the person's.
func inImagesHome(dir, home string) bool {
	in := func(outer string) bool { return pod.CleanPath(dir) == outer || pod.Inside(pod.CleanPath(dir), outer) }
	return in(imagesHome) && !in(home)
}

// replaceWithHome writes the person's home in the place of a wish for the image's own, at the field or inside of the element m. The
// verifier does not look: it is the pod's all the same.
func (c *changes) replaceWithHome(m member, at pod.Pointer, home string, value any) {
	c.record(Replaced, thePods, m, value)
	c.operation("replace", at, home)
}
