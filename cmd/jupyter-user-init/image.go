package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// family is a kind of image, recognized by its programs.
type family struct {
	// required lists the programs that must all be in the PATH of an image of the family.
	required []string
	// excluded lists entrypoints that an image of the family must not have, because the family's entrypoint would run in
	// their place.
	excluded []string
	// guessed is true if images of other kinds can have the required programs too. If such an image has its own entrypoint,
	// that entrypoint does not run.
	guessed bool
	// wraps is a program whose text must call start.sh; empty for a family without this condition.
	wraps string
	// entrypoint and command are the family's ENTRYPOINT and CMD.
	entrypoint, command []string
}

// entrypoints are known entrypoints that prepare the container for the command, among them those of NVIDIA and s6-overlay.
var entrypoints = []string{"entrypoint.sh", "/entrypoint.sh", "docker-entrypoint.sh", "/docker-entrypoint.sh",
	"/opt/nvidia/nvidia_entrypoint.sh", "s6-svscan", "/command/s6-svscan"}

// families are tried in this order, and the first match is used. The programs and commands are those of the images of
// jupyter/docker-stacks, the Zero to JupyterHub chart, repo2docker and jupyter-server/enterprise_gateway.
var families = []family{
	// The kernel images of Jupyter Enterprise Gateway, which are images of docker-stacks with another command.
	{
		required:   []string{"tini", "start.sh", "bootstrap-kernel.sh"},
		entrypoint: []string{"tini", "-g", "--", "start.sh"},
		command:    []string{"bootstrap-kernel.sh"},
	},
	// docker-stacks of October 2023 to January 2024: start-notebook.py calls start.sh itself.
	{
		required:   []string{"tini", "start.sh", "start-notebook.py"},
		wraps:      "start-notebook.py",
		entrypoint: []string{"tini", "-g", "--"},
		command:    []string{"start-notebook.py"},
	},
	// docker-stacks since January 2024: start.sh is the entrypoint, which prepares the environment and runs the command
	// that follows.
	{
		required:   []string{"tini", "start.sh", "start-notebook.py"},
		entrypoint: []string{"tini", "-g", "--", "start.sh"},
		command:    []string{"start-notebook.py"},
	},
	// docker-stacks before October 2023: start-notebook.sh calls start.sh itself.
	{
		required:   []string{"tini", "start.sh", "start-notebook.sh"},
		entrypoint: []string{"tini", "-g", "--"},
		command:    []string{"start-notebook.sh"},
	},
	// docker-stacks-foundation, and images built on it that have start.sh and no start-notebook.
	{
		required:   []string{"tini", "start.sh", "jupyter"},
		entrypoint: []string{"tini", "-g", "--", "start.sh"},
		command:    []string{"jupyter", "lab"},
	},
	// repo2docker: repo2docker-entrypoint prepares the environment, and runs the repository's start script (R2D_ENTRYPOINT).
	{
		required:   []string{"repo2docker-entrypoint", "jupyter"},
		entrypoint: []string{"repo2docker-entrypoint"},
		command:    []string{"jupyter", "lab"},
	},
	// The image of Zero to JupyterHub, and similar images.
	{
		required:   []string{"tini", "jupyter"},
		excluded:   entrypoints,
		guessed:    true,
		entrypoint: []string{"tini", "--"},
		command:    []string{"jupyter", "lab"},
	},
}

// hasProgram reports whether the image has a program. A program without a slash must be in $PATH.
func hasProgram(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// callsStartScript reports whether the text of a program contains /start.sh. Comments in the scripts of docker-stacks do
// not count, because they name start.sh without a path.
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

// entrypointSkipped is logged if the image could have an entrypoint that was skipped: a process in a container cannot see
// which entrypoint its image has.
const entrypointSkipped notice = "if this image has its own entrypoint, that entrypoint has not run: the image is " +
	"started like those of Zero to JupyterHub. If it needs the entrypoint, name that in the pod's command, or ask the admin to " +
	"add the image to notebook.starts"

// command returns the command line to run: the Pod's own, or the image's entrypoint and command.
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
		case slices.ContainsFunc(e.Argv, handoff.IsHubServer) && hasProgram(e.Argv[0]):
			// The Pod's arguments are the whole command line: the server of a hub needs no preparation by an entrypoint.
		default:
			if closed := closedImage(); closed != "" {
				return nil, fmt.Errorf("%w. Another cause can be that %s", errNothingToRun, closed)
			}
			return nil, errNothingToRun
		}
		if i < 0 || families[i].guessed {
			reportError(entrypointSkipped, "")
		}
	}
	// The Pod's arguments replace the command, as a Pod's args replace the CMD of an image.
	if len(e.Argv) > 0 {
		cmd = e.Argv
	}
	last := len(entrypoint) - 1
	if last >= 0 && entrypoint[last] == startScript && len(cmd) > 0 && filepath.Base(cmd[0]) == startScript {
		// start.sh must run only once: versions before 2024 run the image's hooks each time.
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
	return !slices.ContainsFunc(f.required, isMissing) && !slices.ContainsFunc(f.excluded, hasProgram)
}
