// Package tools builds the large programs that tests, the demo and the Makefile run: the programs of a cluster,
// golangci-lint, Helm, promtool, Kyverno, KWOK, cert-manager and others. They are built once, from Go modules, into the
// developer's cache. The programs of a control plane are downloaded if possible.
//
// The programs have their own Go modules, in folders below the folder of this package. So their dependencies are not
// dependencies of the project, and the go.mod and go.sum of each module pin all of them. The key of the cache has every
// input of the build, so a developer never has to delete an outdated entry.
package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// A Tool is one of the programs that can be built. Its value is the program's file name.
type Tool string

// Each program has a recipe in this package.
const (
	Etcd                  Tool = "etcd"
	KubeAPIServer         Tool = "kube-apiserver"
	KubeControllerManager Tool = "kube-controller-manager"
	KubeScheduler         Tool = "kube-scheduler"
	Kubelet               Tool = "kubelet"
	Kubectl               Tool = "kubectl"
	Containerd            Tool = "containerd"
	ContainerdShim        Tool = "containerd-shim-runc-v2"
	Ctr                   Tool = "ctr"
	GolangciLint          Tool = "golangci-lint"
	Helm                  Tool = "helm"
	Kyverno               Tool = "kubectl-kyverno"
	Kwok                  Tool = "kwok"
	CertManager           Tool = "certmanager"
	Promtool              Tool = "promtool"
	Expressions           Tool = "expressions"
	CycloneDX             Tool = "cyclonedx-gomod"
	SetupEnvtest          Tool = "setup-envtest"
)

// AssetsVariable is the name of an environment variable. Its value is a folder with the programs of a control plane.
// envtest and other tools use the same variable.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// ReleaseVariable is the name of an environment variable. Its value is an older release of Kubernetes for the API server,
// such as 1.34. All other programs are of the newest release.
const ReleaseVariable = "KUBERNETES"

// Paths has the path of each program.
type Paths map[Tool]string

// Build returns the paths of the tools. It builds those that the cache does not have. While it builds, it writes lines to
// progress, which may be nil.
func Build(ctx context.Context, progress io.Writer, wanted ...Tool) (Paths, error) {
	b, err := newBuilder(progress)
	if err != nil {
		return nil, err
	}
	return b.buildAll(ctx, wanted)
}

func newBuilder(progress io.Writer) (*builder, error) {
	modules, err := modulesFolder()
	if err != nil {
		return nil, err
	}
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	return &builder{modules: modules, cache: cache, recipes: recipes(), command: "go", progress: progress, patience: stallPatience}, nil
}

// ControlPlaneTools returns the programs of a control plane, in the order in which they are built.
func ControlPlaneTools() []Tool { return []Tool{Etcd, KubeAPIServer, Kubectl} }

// NodeTools returns the programs that a cluster with one node needs besides the programs of ControlPlaneTools, in the order
// in which they are built.
func NodeTools() []Tool {
	return []Tool{KubeControllerManager, KubeScheduler, Kubelet, Containerd, ContainerdShim, Ctr}
}

// ControlPlane returns the paths of a control plane's programs. It uses programs in the cache that were built before, or else
// programs that setup-envtest has installed or can download, or else it builds the programs. If the environment variable
// KUBERNETES selects an older release, ControlPlane does not use setup-envtest. If KUBEBUILDER_ASSETS is set, ControlPlane
// uses only the programs in the folder that this variable names: etcd and kube-apiserver must be there, and a missing kubectl
// is built.
func ControlPlane(ctx context.Context, progress io.Writer) (Paths, error) {
	assets := os.Getenv(AssetsVariable)
	if assets == "" {
		b, err := newBuilder(progress)
		if err != nil {
			return nil, err
		}
		return b.controlPlane(ctx)
	}
	found, err := findPrograms(assets)
	if err != nil {
		return nil, err
	}
	if _, ok := found[Kubectl]; ok {
		return found, nil
	}
	built, err := Build(ctx, progress, Kubectl)
	if err != nil {
		return nil, err
	}
	found[Kubectl] = built[Kubectl]
	return found, nil
}

// findPrograms finds the programs in the folder of KUBEBUILDER_ASSETS.
func findPrograms(assets string) (Paths, error) {
	// The path must be absolute, because the programs run in other working directories.
	folder, err := filepath.Abs(assets)
	if err != nil {
		return nil, fmt.Errorf("find the folder that %s names: %w", AssetsVariable, err)
	}
	found, missing := programs(folder)
	if missing != nil {
		return nil, fmt.Errorf("%s is set to %s, which lacks a program: put it there, or unset the variable, and all programs "+
			"are downloaded or built: %w", AssetsVariable, assets, missing)
	}
	return found, nil
}

// programs returns the paths of a control plane's programs in a folder. A missing kubectl is no error.
func programs(folder string) (Paths, error) {
	found := Paths{}
	var missing []error
	for _, tool := range ControlPlaneTools() {
		path, err := exec.LookPath(filepath.Join(folder, string(tool)))
		switch {
		case err == nil:
			found[tool] = path
		case tool != Kubectl:
			missing = append(missing, err)
		}
	}
	return found, errors.Join(missing...)
}
