// Package images makes the container images of the end-to-end tests: notebooks of every kind that the webhook knows, and our own
// image. It needs no container registry: the images are made from Debian's packages, Python's packages, and Dockerfiles that
// buildah builds.
//
// It needs root, and the Debian packages that test/e2e/install installs. All results are kept in a cache (see test/cache). The
// key of a result contains a hash of each file that it is built from: Dockerfiles, scripts, requirements, sources. Debian's
// packages are those of bookworm on the day of the build, without security updates; packages.txt in the archive's folder lists
// their versions. To build with current packages, remove debian-* and notebooks-* from the cache.
package images

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
	"jupyter-user.io/jupyter-user-webhook/test/project"
	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// The images, by their names on a node.
const (
	// DockerStacks starts like docker-stacks today: entrypoint tini -g -- start.sh, command start-notebook.py.
	DockerStacks = "localhost/docker-stacks:test"
	// DockerStacks2023 starts like docker-stacks before October 2023: entrypoint tini -g --, command start-notebook.sh.
	DockerStacks2023 = "localhost/docker-stacks-2023:test"
	// DockerStacksLate2023 starts like docker-stacks of October 2023 to January 2024: entrypoint tini -g --, command
	// start-notebook.py, which calls start.sh itself.
	DockerStacksLate2023 = "localhost/docker-stacks-late-2023:test"
	// DockerStacksFoundation starts like the image on which docker-stacks builds its other images: entrypoint tini -g --
	// start.sh, and no command. It has no start-notebook.py.
	DockerStacksFoundation = "localhost/docker-stacks-foundation:test"
	// DockerStacksChild is an image of a site, built on the foundation: command jupyter lab, and its own JUPYTER_CONFIG_PATH.
	DockerStacksChild = "localhost/docker-stacks-child:test"
	// Repo2docker starts like an image of repo2docker: its own entrypoint runs the repository's start script.
	Repo2docker = "localhost/repo2docker:test"
	// Entrypoint has the programs of Z2JH, and its own entrypoint.
	Entrypoint = "localhost/entrypoint:test"
	// Z2JH starts like Zero to JupyterHub's sample image: entrypoint tini --, command jupyter lab, only on loopback.
	Z2JH = "localhost/z2jh:test"
	// Plain has no Jupyter. Its program hello responds to HTTP on $PORT with its identity.
	Plain = "localhost/plain:test"
	// Hostile is an attacker's image. The first directory of its PATH has programs called tini, start.sh,
	// start-notebook.py, jupyter and sh.
	Hostile = "localhost/hostile:test"
	// Pause is the image of a Pod's sandbox.
	Pause = "localhost/pause:test"
	// Webhook is our own image, by its name in deploy/.
	Webhook = "docker.io/library/jupyter-user-webhook:" + handoff.Version
	// WebhookBefore is our own image with the version number of an earlier release.
	WebhookBefore = "docker.io/library/jupyter-user-webhook:v0.0.9"
)

// recipeVersion is part of the key of the cache. Increase it when the build changes in a way that no other part of the key
// shows.
const recipeVersion = 1

// Archives are files for `ctr images import`.
type Archives struct {
	// Notebooks has all images except the webhook's.
	Notebooks string
	// Webhook has Webhook and WebhookBefore, which change with the sources.
	Webhook string
}

// Build returns archives for `ctr images import`, and builds those that the cache does not have. It writes its progress to
// progress, which may be nil. If the cache has everything, it writes nothing.
func Build(ctx context.Context, progress io.Writer) (Archives, error) {
	b, err := newBuilder(progress)
	if err != nil {
		return Archives{}, err
	}
	notebooks, err := b.notebooks(ctx)
	if err != nil {
		return Archives{}, fmt.Errorf("build the notebooks' images: %w", err)
	}
	webhook, err := b.webhook(ctx)
	if err != nil {
		return Archives{}, fmt.Errorf("build the webhook's image: %w", err)
	}
	return Archives{Notebooks: notebooks, Webhook: webhook}, nil
}

type builder struct {
	// project is the folder of the project's sources.
	project string
	cache   cache.Cache
	// progress receives the progress messages.
	progress io.Writer
}

func newBuilder(progress io.Writer) (builder, error) {
	folder, err := project.Folder()
	if err != nil {
		return builder{}, err
	}
	kept, err := cache.Folder("images")
	if err != nil {
		return builder{}, err
	}
	return builder{project: folder, cache: cache.Cache{Folder: kept, Progress: progress}, progress: progress}, nil
}

// images returns the folder of this package, which has a folder for each image.
func (b builder) images() string { return filepath.Join(b.project, "test", "e2e", "images") }

var errNotRoot = errors.New("container images are built as root: run this as root")

func needRoot() error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	return nil
}
