// Package images makes the container images of the end-to-end tests: notebooks of every kind that the webhook knows, and our
// own. Without a container registry: from Debian's packages, Python's packages, and Dockerfiles that buildah builds.
//
// It needs root, and Debian's packages that test/e2e/install installs. Everything is kept in a cache (see test/cache) that is
// keyed by content: Dockerfiles, scripts, requirements, sources. Debian's packages are what bookworm has on the day of the
// build, less security updates; packages.txt beside the archive says which. To have today's, remove debian-* and notebooks-*
// from the cache.
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
)

// The images, by the names under which a node knows them after importing the archives.
const (
	// DockerStacks starts like docker-stacks today: entrypoint tini -g -- start.sh, command start-notebook.py.
	DockerStacks = "localhost/docker-stacks:test"
	// DockerStacks2023 starts like docker-stacks before 2024: entrypoint tini -g --, command start-notebook.sh.
	DockerStacks2023 = "localhost/docker-stacks-2023:test"
	// DockerStacksLate2023 starts like docker-stacks of October 2023 to January 2024: entrypoint tini -g --, command
	// start-notebook.py, which calls start.sh itself.
	DockerStacksLate2023 = "localhost/docker-stacks-late-2023:test"
	// DockerStacksFoundation is what docker-stacks is built on: start.sh, and no start-notebook of any kind.
	DockerStacksFoundation = "localhost/docker-stacks-foundation:test"
	// DockerStacksChild is a site's own, on the foundation: command jupyter lab, and a JUPYTER_CONFIG_PATH of its own.
	DockerStacksChild = "localhost/docker-stacks-child:test"
	// Repo2docker starts like an image of repo2docker's: an entrypoint of its own, which runs the repository's start script.
	Repo2docker = "localhost/repo2docker:test"
	// Entrypoint has what Z2JH has, and an entrypoint of its own.
	Entrypoint = "localhost/entrypoint:test"
	// Z2JH starts like Zero to JupyterHub's sample image: entrypoint tini --, command jupyter lab, on loopback alone.
	Z2JH = "localhost/z2jh:test"
	// Plain knows nothing of Jupyter. Its program hello answers HTTP on $PORT with who it runs as.
	Plain = "localhost/plain:test"
	// Hostile starts like docker-stacks too, as far as can be seen from outside, and is an attacker's.
	Hostile = "localhost/hostile:test"
	// Pause is the sandbox's.
	Pause = "localhost/pause:test"
	// Webhook is our own image, by the name that deploy/ has for it.
	Webhook = "docker.io/library/jupyter-user-webhook:v0.2.0"
	// WebhookBefore is the same by the Dockerfile of today, but that it says it were the release before.
	WebhookBefore = "docker.io/library/jupyter-user-webhook:v0.0.9"
)

// recipeVersion is raised whenever building changes in a way that nothing else in the keys shows.
const recipeVersion = 1

// Archives are files that `ctr images import` takes.
type Archives struct {
	// Notebooks has all images but those of the webhook.
	Notebooks string
	// Webhook has Webhook and WebhookBefore, which change with every change of the sources.
	Webhook string
}

// Build returns archives that `ctr images import` takes, after building what the cache does not have. What a user waiting
// for it would like to see goes to progress, which may be nil; it stays silent if everything is there already.
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

// A builder builds images into a cache.
type builder struct {
	// project is the folder of the project's sources.
	project string
	cache   cache.Cache
	// progress is told what goes on.
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

// images is the folder of this package, with a folder for each image.
func (b builder) images() string { return filepath.Join(b.project, "test", "e2e", "images") }

var errNotRoot = errors.New("container images are built as root: run this as root")

func needRoot() error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	return nil
}
