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

// recipeVersion is raised whenever building changes in a way that nothing else in the key shows.
const recipeVersion = 1

// A recipe says what one tool is made from.
type recipe struct {
	// folder is the tool's module, beside this package.
	folder string
	// mainPackage is what is built.
	mainPackage string
	// module is the one that mainPackage belongs to, or that a program of the folder's own is about. The version that the folder's
	// go.mod requires of it is the tool's.
	module string
	// tags are build tags, which leave out what nobody here needs.
	tags string
	// stamp turns that version into the variables which the linker sets, for programs that do not know it otherwise.
	stamp func(version string) map[string]string
}

// recipes are those of all tools.
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
		// Without the clients of two dozen clouds that Prometheus finds its targets in.
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

// ofRelease is the recipe of an older release of Kubernetes, which has a module of its own. Without one it is the newest.
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
		// Snapshotters that would need C libraries.
		tags:  "no_btrfs,no_devmapper,no_zfs",
		stamp: containerdVersion,
	}
}

// kubernetesVersion sets what a release of Kubernetes sets; without it, the server says v0.0.0 and clients that look at
// its version are led astray. component-base has what /version answers, client-go what the user agent says.
func kubernetesVersion(version string) map[string]string {
	major, minor, _ := strings.Cut(strings.TrimPrefix(semver.MajorMinor(version), "v"), ".")
	variables := map[string]string{}
	for _, in := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		variables[in+".gitVersion"] = version
		variables[in+".gitMajor"] = major
		variables[in+".gitMinor"] = minor
		// A module does not say which commit it was made from.
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

// golangciLintVersion sets a date too, because without one golangci-lint does not believe its version.
func golangciLintVersion(version string) map[string]string {
	return map[string]string{"main.version": strings.TrimPrefix(version, "v"), "main.date": "unknown"}
}

// arguments are those of `go build`, but for where the program goes and what is built.
func (r recipe) arguments(modules string) ([]string, error) {
	linker := []string{"-s", "-w"} // Neither symbols nor debugging data: the programs shrink by a third.
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

// environment is what building adds to the environment it is called in.
func environment() []string {
	return []string{
		"CGO_ENABLED=0", // No C compiler is needed, and names are resolved the same way everywhere.
		"GOWORK=off",    // A workspace around the project would change what is built.
		"GOOS=" + runtime.GOOS,
		"GOARCH=" + runtime.GOARCH,
	}
}

// requiredVersion reads from a go.mod which version of a module it requires.
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
