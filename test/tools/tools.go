// Package tools builds the heavy programs that tests, demo and Makefile run (a cluster's, golangci-lint, Helm, promtool, Kyverno,
// cert-manager) from Go modules, once, into a cache of the user's. A control plane's programs are downloaded instead where that
// works.
//
// Each program belongs to a module of its own in a folder beside this package, so that none of its dependencies are the
// project's, and so that its go.mod and go.sum pin it and everything in it. The cache is keyed by content: whatever
// decides how the program comes out is in the key, so nothing in the cache ever needs to be refreshed by hand.
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

// The programs that can be built.
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

// AssetsVariable names the environment variable with which the field says where a control plane's programs lie.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// ReleaseVariable names the environment variable that says of which older release of Kubernetes the API server is to be, such as
// 1.34. All other programs stay those of the newest.
const ReleaseVariable = "KUBERNETES"

// Paths says where each program that was asked for lies.
type Paths map[Tool]string

// Build returns where the given tools lie, after building those that the cache does not have. What a user waiting for
// it would like to see goes to progress, which may be nil; it stays silent if everything is there already.
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

// ControlPlaneTools are the programs that a control plane is made of, in the order in which they are built.
func ControlPlaneTools() []Tool { return []Tool{Etcd, KubeAPIServer, Kubectl} }

// NodeTools are the programs that a node needs beside a control plane, and that make a cluster of the two, in the order in
// which they are built.
func NodeTools() []Tool {
	return []Tool{KubeControllerManager, KubeScheduler, Kubelet, Containerd, ContainerdShim, Ctr}
}

// ControlPlane returns where a control plane's programs lie: in the folder that KUBEBUILDER_ASSETS names, if it is set; else in
// the cache, if they were built before; else where setup-envtest has installed or downloads them; else where Build puts them. A
// folder of KUBEBUILDER_ASSETS must have etcd and kube-apiserver; kubectl is built if it is missing.
func ControlPlane(ctx context.Context, progress io.Writer) (Paths, error) {
	assets := os.Getenv(AssetsVariable)
	if assets == "" {
		b, err := newBuilder(progress)
		if err != nil {
			return nil, err
		}
		return b.controlPlane(ctx)
	}
	found, err := lookIn(assets)
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

// lookIn finds a control plane's programs in a folder that somebody else filled.
func lookIn(assets string) (Paths, error) {
	// Absolute, because a test runs in its package's folder and a program that it starts may run anywhere.
	folder, err := filepath.Abs(assets)
	if err != nil {
		return nil, fmt.Errorf("find the folder that %s names: %w", AssetsVariable, err)
	}
	found, missing := programs(folder)
	if missing != nil {
		return nil, fmt.Errorf("%s is set to %s, which lacks a program: put it there, or unset the variable to have all "+
			"of them found or built: %w", AssetsVariable, assets, missing)
	}
	return found, nil
}

// programs finds a control plane's programs in a folder. A missing kubectl is no error.
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
