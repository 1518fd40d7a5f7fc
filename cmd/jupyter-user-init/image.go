package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// family is a kind of image, recognized by its programs.
type family struct {
	// has are the programs by which it is recognized; all must be in the PATH.
	has []string
	// lacks are programs that an image of the family must not have: otherwise its own entrypoint would be skipped.
	lacks []string
	// guessed is set if other images have these programs too, and may have an unknown entrypoint.
	guessed bool
	// wraps is the program that must call start.sh in its text; empty if that does not matter.
	wraps string
	// entrypoint and command are the family's ENTRYPOINT and CMD.
	entrypoint, command []string
}

// entrypoints are known entrypoints that prepare something, among them those of NVIDIA and s6-overlay.
var entrypoints = []string{"entrypoint.sh", "/entrypoint.sh", "docker-entrypoint.sh", "/docker-entrypoint.sh",
	"/opt/nvidia/nvidia_entrypoint.sh", "s6-svscan", "/command/s6-svscan"}

// families are tried in this order, and the first match counts. The sources are jupyter/docker-stacks, the Zero to JupyterHub
// chart and jupyter-server/enterprise_gateway.
var families = []family{
	// Enterprise Gateway's kernels: docker-stacks with another command.
	{
		has:        []string{"tini", "start.sh", "bootstrap-kernel.sh"},
		entrypoint: []string{"tini", "-g", "--", "start.sh"},
		command:    []string{"bootstrap-kernel.sh"},
	},
	// docker-stacks of October 2023 to January 2024: start-notebook.py calls start.sh itself.
	{
		has:        []string{"tini", "start.sh", "start-notebook.py"},
		wraps:      "start-notebook.py",
		entrypoint: []string{"tini", "-g", "--"},
		command:    []string{"start-notebook.py"},
	},
	// docker-stacks since then: start.sh is the entrypoint, and prepares the command that follows it.
	{
		has:        []string{"tini", "start.sh", "start-notebook.py"},
		entrypoint: []string{"tini", "-g", "--", "start.sh"},
		command:    []string{"start-notebook.py"},
	},
	// docker-stacks before that: start-notebook.sh calls start.sh itself.
	{
		has:        []string{"tini", "start.sh", "start-notebook.sh"},
		entrypoint: []string{"tini", "-g", "--"},
		command:    []string{"start-notebook.sh"},
	},
	// docker-stacks-foundation of each generation, and images built on it: they have no start-notebook.
	{
		has:        []string{"tini", "start.sh", "jupyter"},
		entrypoint: []string{"tini", "-g", "--", "start.sh"},
		command:    []string{"jupyter", "lab"},
	},
	// repo2docker: its own program prepares the environment, and runs the repository's start script (R2D_ENTRYPOINT).
	{
		has:        []string{"repo2docker-entrypoint", "jupyter"},
		entrypoint: []string{"repo2docker-entrypoint"},
		command:    []string{"jupyter", "lab"},
	},
	// The image of Zero to JupyterHub, and similar ones.
	{
		has:        []string{"tini", "jupyter"},
		lacks:      entrypoints,
		guessed:    true,
		entrypoint: []string{"tini", "--"},
		command:    []string{"jupyter", "lab"},
	},
}

// hubsStart is the program that a hub runs in its servers, by name or by path. It needs no preparation by an entrypoint, so
// an image without an entrypoint, or with an unknown one, is started by it if the image has it.
const hubsStart = "jupyterhub-singleuser"

// hasProgram reports whether the image has a program, in its PATH or at its path.
func hasProgram(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// callsStartScript reports whether the text of a program has the path of start.sh. A comment about start.sh has no path.
func callsStartScript(program string) bool {
	path, err := exec.LookPath(program)
	if err != nil {
		return false
	}
	text, err := os.ReadFile(path)
	return err == nil && strings.Contains(string(text), "/"+startScript)
}

var errNothingToRun = errors.New("this image belongs to no known family (docker-stacks, repo2docker, Zero to " +
	"JupyterHub), so its start command is unknown: write a command in the pod, or ask the admin to add the image to " +
	"notebook.starts")

// entrypointSkipped is a notice for the log: inside a container the image's entrypoint is not visible.
const entrypointSkipped notice = "if this image has its own entrypoint, that entrypoint has not run: the image is " +
	"started like those of Zero to JupyterHub. If it needs the entrypoint, name that in the pod's command, or ask the admin to " +
	"add the image to notebook.starts"

// command returns what to run: the Pod's command, or the image's start.
func command(e handoff.Exec) ([]string, error) {
	if e.Image == nil {
		if len(e.Argv) == 0 {
			return nil, errors.New("there is nothing to run behind the --")
		}
		return e.Argv, nil
	}
	entrypoint, cmd := e.Image.Entrypoint, e.Image.Command
	if len(entrypoint)+len(cmd) == 0 {
		i := slices.IndexFunc(families, family.matches)
		switch {
		case i >= 0:
			entrypoint, cmd = families[i].entrypoint, families[i].command
		case len(e.Argv) > 0 && filepath.Base(e.Argv[0]) == hubsStart:
			// Any other image that has the hub's start.
		default:
			return nil, errNothingToRun
		}
		if i < 0 || families[i].guessed {
			reportError(entrypointSkipped, "")
		}
	}
	// As with ENTRYPOINT and CMD, arguments replace the command.
	if len(e.Argv) > 0 {
		cmd = e.Argv
	}
	last := len(entrypoint) - 1
	if last >= 0 && entrypoint[last] == startScript && len(cmd) > 0 && filepath.Base(cmd[0]) == startScript {
		// If the Pod's command begins with start.sh, it must run only once: versions before 2024 run the hooks each time.
		entrypoint = entrypoint[:last]
	}
	argv := slices.Concat(entrypoint, cmd)
	if len(argv) == 0 {
		return nil, errNothingToRun
	}
	return argv, nil
}

// startScript is the script of docker-stacks that prepares the environment and runs the image's hooks.
const startScript = "start.sh"

// matches reports whether this image belongs to the family.
func (f family) matches() bool {
	if f.wraps != "" && !callsStartScript(f.wraps) {
		return false
	}
	isMissing := func(program string) bool { return !hasProgram(program) }
	return !slices.ContainsFunc(f.has, isMissing) && !slices.ContainsFunc(f.lacks, hasProgram)
}
