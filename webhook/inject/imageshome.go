package inject

import (
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// The image's own home: /home/jovyan, the home of the only user, jovyan, in the images of docker-stacks, Zero to JupyterHub
// and Kubeflow, /home/rstudio in the images of rocker, or /home/onyxia in those of Onyxia. A Pod can make Jupyter open
// there by its workingDir, by an argument such as --ServerApp.root_dir, or by KubeSpawner's notebook_dir. The author of
// such a Pod means the user's home. The image's own home belongs to UID 1000, so the user cannot use it, and Jupyter would
// not start. So the directory is replaced by the user's home, as docker-stacks' start.sh does when it renames its user, and
// the Pod gets a warning. A subdirectory of the image's own home is also replaced by the user's home itself, because the
// user's home can lack such a subdirectory. Only in the variables XDG_* the subdirectory stays (env.go). Any other
// directory is the Pod's, also a relative path in an argument or a variable, which Jupyter takes in its working directory. A
// relative workingDir is below /.

// rootDirVariable is the variable with which a hub sets the directory that its server opens (KubeSpawner's notebook_dir).
const rootDirVariable = "JUPYTERHUB_ROOT_DIR"

// inImagesHome reports whether a directory is the image's own home or inside it, and not in the user's home.
func inImagesHome(dir, home string) bool {
	_, in := handoff.BelowImagesHome(dir, home)
	return in
}

// openingSettings are the settings of the directory in which Jupyter opens. Jupyter exits if preferred_dir does not exist.
var openingSettings = []string{"root_dir", "preferred_dir"}

// setsOpening reports whether an argument sets the directory in which Jupyter opens.
func setsOpening(arg string) bool {
	setting, _, _ := jupyterFlag(arg)
	return slices.Contains(openingSettings, setting)
}

// withUserHome replaces the image's own home by the user's home in the arguments that set the directory in which Jupyter
// opens. It returns the changed command line and the indices of the changed arguments. It changes no shell script, and no
// argument without a flag, as in "jupyter lab /home/jovyan": for these the Pod gets a warning (jupyterwarnings.go).
func withUserHome(argv []string, home string) (replaced []string, indices []int) {
	for i, arg := range argv {
		if !setsOpening(arg) {
			continue
		}
		setting, value, inline := jupyterFlag(arg)
		if !inline {
			if i++; i == len(argv) {
				break
			}
			value = argv[i]
		}
		if !inImagesHome(unquoted(setting, value), home) {
			continue
		}
		if replaced == nil {
			replaced = slices.Clone(argv)
		}
		replaced[i] = strings.TrimSuffix(argv[i], value) + home
		indices = append(indices, i)
	}
	if replaced == nil {
		return argv, nil
	}
	return replaced, indices
}

// replaceText replaces the string at a pointer by text. The string is the field m itself or a part of it: the value of a
// variable, or an element of a list. value is the new value of m as a whole, for Changes. The field stays the Pod's, so
// the verifier does not compare the field.
func (c *changes) replaceText(m member, at pod.Pointer, text string, value any) {
	c.record(Replaced, thePods, m, value)
	c.operation("replace", at, text)
}
