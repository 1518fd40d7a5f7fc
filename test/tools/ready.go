package tools

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/mod/semver"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
	"jupyter-user.io/jupyter-user-webhook/test/progress"
)

// offlineVariable is the name of an environment variable. If it is set, the programs of a control plane are built from
// source, without a request for binaries.
const offlineVariable = "OFFLINE"

// indexVariable is the name of an environment variable. Its value is the URL of an index of binaries that replaces
// setup-envtest's own, such as a mirror.
const indexVariable = "ENVTEST_INDEX"

// releaseFile is the name of a file with the release of the downloaded programs. It is in the folder of the programs.
const releaseFile = "release"

// errOffline is the reason why nothing is downloaded if offlineVariable is set.
var errOffline = errors.New(offlineVariable + " is set")

// controlPlane returns the programs of a control plane. It tries the cache first, then the binaries that setup-envtest has
// installed on this machine, then a download, and then a build from source. If the environment variable KUBERNETES selects
// an older release, controlPlane tries only the cache and a build. It writes a sentence if it uses installed binaries,
// another patch release, or a build because there are no binaries.
func (b *builder) controlPlane(ctx context.Context) (Paths, error) {
	built, err := b.cached(ctx, ControlPlaneTools())
	if err != nil || built != nil {
		return built, err
	}
	if os.Getenv(ReleaseVariable) != "" {
		// An older release is built from source. Its binaries come together with an etcd and a kubectl of the older release,
		// but etcd and kubectl must be of the newest release.
		return b.buildAll(ctx, ControlPlaneTools())
	}
	found, err := b.binaries(ctx)
	if err == nil {
		return found, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	b.say("etcd, kube-apiserver and kubectl are built from source, once, which takes about seven minutes on two cores: %s",
		summary(err.Error()))
	return b.buildAll(ctx, ControlPlaneTools())
}

// cached returns the paths of the tools if all of them were built before, and nil otherwise.
func (b *builder) cached(ctx context.Context, wanted []Tool) (Paths, error) {
	found := Paths{}
	for _, tool := range wanted {
		ingredients, err := b.ingredients(ctx, b.recipes[tool])
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", tool, err)
		}
		entry := cache.Entry{Name: string(tool), Ingredients: ingredients, Result: string(tool)}
		path, ok := cache.Cache{Folder: b.cache}.Find(entry)
		if !ok {
			return nil, nil
		}
		found[tool] = path
	}
	return found, nil
}

// binaries returns the paths of installed or downloaded programs, of the wanted release or of another patch release. If
// there are none, the error gives the reason.
func (b *builder) binaries(ctx context.Context) (Paths, error) {
	if os.Getenv(offlineVariable) != "" {
		return nil, errOffline
	}
	server := b.recipes[KubeAPIServer]
	wanted, err := requiredVersion(filepath.Join(b.modules, server.folder, "go.mod"), server.module)
	if err != nil {
		return nil, err
	}
	program := b.setupEnvtest
	if program == "" {
		if program, err = b.build(ctx, SetupEnvtest); err != nil {
			return nil, fmt.Errorf("setup-envtest, which downloads binaries, could not be built: %w", err)
		}
	}
	e := envtest{program: program, index: os.Getenv(indexVariable), patience: b.patience}
	installed, err := e.installed(ctx, semver.MajorMinor(wanted))
	if release := choose(installed, wanted); err == nil && release != "" {
		return b.installed(ctx, e, release, wanted)
	}
	// If setup-envtest's store cannot be read, for example because there is no home folder, it is treated as empty.
	return b.downloaded(ctx, e, wanted)
}

// installed returns the programs of a release in setup-envtest's store.
func (b *builder) installed(ctx context.Context, e envtest, release, wanted string) (Paths, error) {
	folder, err := e.run(ctx, "", "use", "--installed-only", "--print", "path", strings.TrimPrefix(release, "v"))
	if err != nil {
		return nil, err
	}
	found, missing := programs(folder)
	if missing != nil || len(found) < len(ControlPlaneTools()) {
		lacks := fmt.Errorf("%s, where setup-envtest installed Kubernetes %s, lacks a program", folder, release)
		return nil, errors.Join(lacks, missing)
	}
	b.say("nothing is built: setup-envtest has installed etcd, kube-apiserver and kubectl of Kubernetes %s in %s%s",
		release, folder, explainRelease(release, wanted))
	return found, nil
}

// downloaded returns the programs that setup-envtest has downloaded into the cache. It downloads them if the cache does not
// have them.
func (b *builder) downloaded(ctx context.Context, e envtest, wanted string) (Paths, error) {
	entry := cache.Entry{
		Name:        "envtest",
		Ingredients: fmt.Sprintf("release %s\nplatform %s/%s\nindex %s\n", wanted, runtime.GOOS, runtime.GOARCH, e.index),
		Result:      releaseFile,
	}
	file, err := cache.Cache{Folder: b.cache, Progress: b.progress}.Get(ctx, entry, func(ctx context.Context, folder string) error {
		return b.download(ctx, e, folder, wanted)
	})
	if err != nil {
		return nil, err
	}
	release, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read which release was downloaded: %w", err)
	}
	found, missing := programs(filepath.Dir(file))
	if missing != nil {
		return nil, fmt.Errorf("remove %s, which lacks a program: %w", filepath.Dir(file), missing)
	}
	if other := explainRelease(string(release), wanted); other != "" {
		b.say("the downloaded etcd, kube-apiserver and kubectl are of Kubernetes %s%s", release, other)
	}
	return found, nil
}

// download downloads the programs into a folder of the cache.
func (b *builder) download(ctx context.Context, e envtest, folder, wanted string) error {
	m := progress.Start(b.progress, "control-plane", "looking for binaries of Kubernetes "+wanted+", which takes seconds; "+
		offlineVariable+"=1 builds them without looking")
	defer m.End("")
	store := filepath.Join(folder, "store")
	if err := os.Mkdir(store, 0o755); err != nil {
		return fmt.Errorf("create a folder to download into: %w", err)
	}
	found, err := e.available(ctx, store, semver.MajorMinor(wanted))
	if err != nil {
		return fmt.Errorf("the index of binaries could not be read: %w", err)
	}
	release := choose(found, wanted)
	if release == "" {
		return fmt.Errorf("the index of binaries lacks Kubernetes %s for %s/%s",
			semver.MajorMinor(wanted), runtime.GOOS, runtime.GOARCH)
	}
	m.Say("downloading etcd, kube-apiserver and kubectl of Kubernetes " + release + " (60 to 100 MB, about a minute at 10 Mbit/s)")
	unpacked, err := e.fetch(ctx, store, release)
	if err != nil {
		return fmt.Errorf("the binaries of Kubernetes %s could not be downloaded: %w", release, err)
	}
	if err := moveOut(unpacked, folder); err != nil {
		return err
	}
	if err := os.RemoveAll(store); err != nil {
		return fmt.Errorf("remove the folder of the download: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, releaseFile), []byte(release), 0o644); err != nil {
		return fmt.Errorf("write which release was downloaded: %w", err)
	}
	m.End("downloaded and verified")
	return nil
}

// explainRelease returns the end of a sentence that says why the wanted release is not used. If the wanted release is
// used, the result is empty.
func explainRelease(release, wanted string) string {
	if release == wanted {
		return ""
	}
	return fmt.Sprintf(", because there is no %s; %s=1 builds %s", wanted, offlineVariable, wanted)
}

// say writes a sentence for the waiting developer.
func (b *builder) say(format string, arguments ...any) {
	if b.progress != nil {
		_, _ = fmt.Fprintf(b.progress, "control-plane  "+format+"\n", arguments...)
	}
}
