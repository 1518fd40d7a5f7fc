package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// family is a kind of image that is known by what is in it.
type family struct {
	// has are the programs by which it is known, all of them in the PATH.
	has []string
	// entrypoint and command are its ENTRYPOINT and CMD.
	entrypoint, command []string
}

// families, the first that fits. What they are was read in jupyter/docker-stacks, in the Zero to JupyterHub chart and in
// jupyter-server/enterprise_gateway.
var families = []family{
	// Enterprise Gateway's kernels: docker-stacks with another command.
	{
		has:        []string{"tini", "start.sh", "bootstrap-kernel.sh"},
		entrypoint: []string{"tini", "-g", "--", "start.sh"},
		command:    []string{"bootstrap-kernel.sh"},
	},
	// docker-stacks since January 2024: start.sh is the entrypoint, and prepares what follows it.
	{
		has:        []string{"tini", "start.sh", "start-notebook.py"},
		entrypoint: []string{"tini", "-g", "--", "start.sh"},
		command:    []string{"start-notebook.py"},
	},
	// docker-stacks before: start-notebook.sh calls start.sh itself.
	{
		has:        []string{"tini", "start.sh", "start-notebook.sh"},
		entrypoint: []string{"tini", "-g", "--"},
		command:    []string{"start-notebook.sh"},
	},
	// Zero to JupyterHub's own image, and what is made like it.
	{
		has:        []string{"tini", "jupyter"},
		entrypoint: []string{"tini", "--"},
		command:    []string{"jupyter", "lab"},
	},
}

// hubsStart is what a hub has its servers run, by its name or by its path. It needs nothing that an image's entrypoint would
// prepare but to be in the PATH, or at that path, so that an image without any entrypoint, or with one that is not known, is
// started by it.
const hubsStart = "jupyterhub-singleuser"

var errNothingToRun = errors.New("this image is of no family that is known (docker-stacks, Zero to JupyterHub), so how it " +
	"starts cannot be told: say it in the pod's command, or ask the admin to add the image to notebook.starts")

// command is what to run: what the pod asks for, or what the image would by itself.
func command(e handoff.Exec) ([]string, error) {
	if e.Image == nil {
		if len(e.Argv) == 0 {
			return nil, errors.New("there is nothing to run behind the --")
		}
		return e.Argv, nil
	}
	entrypoint, cmd := e.Image.Entrypoint, e.Image.Command
	if len(entrypoint)+len(cmd) == 0 {
		i := slices.IndexFunc(families, family.here)
		switch {
		case i >= 0:
			entrypoint, cmd = families[i].entrypoint, families[i].command
		case len(e.Argv) > 0 && filepath.Base(e.Argv[0]) == hubsStart:
			// Of any image in which a hub's own start is there to be found.
		default:
			return nil, errNothingToRun
		}
	}
	// As with ENTRYPOINT and CMD: arguments take the command's place.
	if len(e.Argv) > 0 {
		cmd = e.Argv
	}
	argv := slices.Concat(entrypoint, cmd)
	if len(argv) == 0 {
		return nil, errNothingToRun
	}
	return argv, nil
}

// here tells whether this image is of the family.
func (f family) here() bool {
	return !slices.ContainsFunc(f.has, func(program string) bool {
		_, err := exec.LookPath(program)
		return err != nil
	})
}
