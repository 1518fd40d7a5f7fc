package tools

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// recipeVersion is part of the key of the cache. Increase it when the build changes in a way that no other part of the key
// shows.
const recipeVersion = 1

// A recipe describes the build of a tool.
type recipe struct {
	// folder is the folder of the tool's module, below the folder of this package.
	folder string
	// mainPackage is the package to build.
	mainPackage string
	// module is the path of a Go module. The version of the tool is the version of this module that the tool's go.mod
	// requires. Usually it is the module of mainPackage. For a program of this project, it is a module that the program
	// imports.
	module string
	// tags are build tags. They leave out parts of the tool that no test needs.
	tags string
	// stamp returns the variables that the linker sets, with their values. It is for programs that would not know their
	// version otherwise.
	stamp func(version string) map[string]string
}

func recipes() map[Tool]recipe {
	return map[Tool]recipe{
		Etcd: {
			folder:      "etcd",
			mainPackage: "go.etcd.io/etcd/server/v3",
			module:      "go.etcd.io/etcd/server/v3",
		},
		KubeAPIServer:         ofRelease(os.Getenv(ReleaseVariable), kubernetes("kube-apiserver")),
		KubeControllerManager: kubernetes("kube-controller-manager"),
		KubeScheduler:         kubernetes("kube-scheduler"),
		Kubelet:               kubernetes("kubelet"),
		Kubectl:               kubernetes("kubectl"),
		Containerd:            containerd("containerd"),
		ContainerdShim:        containerd("containerd-shim-runc-v2"),
		Ctr:                   containerd("ctr"),
		GolangciLint: {
			folder:      "golangci-lint",
			mainPackage: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint",
			module:      "github.com/golangci/golangci-lint/v2",
			stamp:       golangciLintVersion,
		},
		// The build tag leaves out the clients with which Prometheus finds targets in two dozen clouds.
		Promtool: {
			folder:      "promtool",
			mainPackage: "github.com/prometheus/prometheus/cmd/promtool",
			module:      "github.com/prometheus/prometheus",
			tags:        "remove_all_sd",
		},
		Expressions: {
			folder:      "promtool",
			mainPackage: "jupyter-user.io/jupyter-user-webhook/test/tools/promtool/expressions",
			module:      "github.com/prometheus/prometheus",
		},
		CycloneDX: {
			folder:      "cyclonedx-gomod",
			mainPackage: "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod",
			module:      "github.com/CycloneDX/cyclonedx-gomod",
		},
		Helm: {
			folder:      "helm",
			mainPackage: "helm.sh/helm/v4/cmd/helm",
			module:      "helm.sh/helm/v4",
			stamp:       helmVersion,
		},
		Kyverno: {
			folder:      "kyverno",
			mainPackage: "github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno",
			module:      "github.com/kyverno/kyverno",
			stamp:       kyvernoVersion,
		},
		Kwok: {
			folder:      "kwok",
			mainPackage: "sigs.k8s.io/kwok/cmd/kwok",
			module:      "sigs.k8s.io/kwok",
		},
		SetupEnvtest: {
			folder:      "setup-envtest",
			mainPackage: "sigs.k8s.io/controller-runtime/tools/setup-envtest",
			module:      "sigs.k8s.io/controller-runtime/tools/setup-envtest",
		},
		CertManager: {
			folder:      "certmanager",
			mainPackage: "jupyter-user.io/jupyter-user-webhook/test/tools/certmanager",
			module:      "github.com/cert-manager/cert-manager",
		},
	}
}

func kubernetes(command string) recipe {
	return recipe{
		folder:      "kubernetes",
		mainPackage: "k8s.io/kubernetes/cmd/" + command,
		module:      "k8s.io/kubernetes",
		stamp:       kubernetesVersion,
	}
}

// ofRelease returns the recipe for an older release of Kubernetes. Each older release has its own module. If the argument
// "release" is empty, the result is r, the recipe for the newest release.
func ofRelease(release string, r recipe) recipe {
	if release != "" {
		r.folder += "-" + release
	}
	return r
}

func containerd(command string) recipe {
	return recipe{
		folder:      "containerd",
		mainPackage: "github.com/containerd/containerd/v2/cmd/" + command,
		module:      "github.com/containerd/containerd/v2",
		// The build tags leave out snapshotters that no test needs.
		tags:  "no_btrfs,no_devmapper,no_zfs",
		stamp: containerdVersion,
	}
}

// kubernetesVersion returns the variables that a release of Kubernetes sets. Without them, the API server reports v0.0.0,
// and clients that check its version fail. The variables of component-base are for /version, those of client-go are for the
// user agent.
func kubernetesVersion(version string) map[string]string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(semver.MajorMinor(version), "v"), ".")
	variables := map[string]string{}
	for _, in := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		variables[in+".gitVersion"] = version
		variables[in+".gitMajor"] = major
		variables[in+".gitMinor"] = minor
		// A Go module does not record the commit of its release.
		variables[in+".gitCommit"] = "unknown"
	}
	return variables
}

func containerdVersion(version string) map[string]string {
	return map[string]string{"github.com/containerd/containerd/v2/version.Version": version}
}

func kyvernoVersion(version string) map[string]string {
	return map[string]string{"github.com/kyverno/kyverno/pkg/version.BuildVersion": version}
}

func helmVersion(version string) map[string]string {
	return map[string]string{"helm.sh/helm/v4/internal/version.version": version}
}

// golangciLintVersion sets a date too. Without a date, golangci-lint ignores its version.
func golangciLintVersion(version string) map[string]string {
	return map[string]string{"main.version": strings.TrimPrefix(version, "v"), "main.date": "unknown"}
}

// arguments returns the arguments of `go build`, without the output path and the package.
func (r recipe) arguments(modules string) ([]string, error) {
	linker := []string{"-s", "-w"} // Without symbols and debugging data, the programs are a third smaller.
	if r.stamp != nil {
		version, err := requiredVersion(filepath.Join(modules, r.folder, "go.mod"), r.module)
		if err != nil {
			return nil, err
		}
		variables := r.stamp(version)
		for _, name := range slices.Sorted(maps.Keys(variables)) {
			linker = append(linker, "-X", name+"="+variables[name])
		}
	}
	arguments := []string{"-trimpath", "-buildvcs=false", "-ldflags=" + strings.Join(linker, " ")}
	if r.tags != "" {
		arguments = append(arguments, "-tags="+r.tags)
	}
	return arguments, nil
}

// environment returns the environment variables that a build adds to those of this process.
func environment() []string {
	return []string{
		"CGO_ENABLED=0", // No C compiler is needed, and host names are resolved the same way everywhere.
		"GOWORK=off",    // A workspace around the project would change what is built.
		"GOOS=" + runtime.GOOS,
		"GOARCH=" + runtime.GOARCH,
	}
}

// requiredVersion returns the version of a module that a go.mod requires.
func requiredVersion(path, module string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read which version of %s to build: %w", module, err)
	}
	file, err := modfile.ParseLax(path, data, nil)
	if err != nil {
		return "", fmt.Errorf("read which version of %s to build: %w", module, err)
	}
	for _, required := range file.Require {
		if required.Mod.Path == module {
			return required.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s requires no version of %s: run `go get -tool` in its folder", path, module)
}
