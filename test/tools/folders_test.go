package tools

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestModulesFolder(t *testing.T) {
	here, err := os.Getwd()
	require.NoError(t, err)
	// The folder etcd has a go.mod of its own. The search for the project's go.mod must not stop there.
	for _, start := range []string{".", "build", "etcd", "../.."} {
		t.Run(start, func(t *testing.T) {
			t.Chdir(start)
			folder, err := modulesFolder()
			require.NoError(t, err)
			assert.Equal(t, here, folder)
		})
	}
}

func TestModulesFolderOutsideProject(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := modulesFolder()
	require.ErrorContains(t, err, "run this command in the project's folder")
}

// fakeAssets fills a folder with programs that do nothing.
func fakeAssets(t *testing.T, names ...Tool) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range names {
		require.NoError(t, os.WriteFile(filepath.Join(folder, string(name)), []byte("#!/bin/sh\n"), 0o755))
	}
	return folder
}

func TestControlPlaneFromAssets(t *testing.T) {
	assets := fakeAssets(t, Etcd, KubeAPIServer, Kubectl)
	t.Setenv(AssetsVariable, assets)
	t.Setenv("PATH", "") // No go command, so nothing can be built.
	paths, err := ControlPlane(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, Paths{
		Etcd:          filepath.Join(assets, "etcd"),
		KubeAPIServer: filepath.Join(assets, "kube-apiserver"),
		Kubectl:       filepath.Join(assets, "kubectl"),
	}, paths)
}

func TestAssetsWithoutKubectl(t *testing.T) {
	t.Setenv(AssetsVariable, fakeAssets(t, Etcd, KubeAPIServer))
	t.Setenv("PATH", "")
	_, err := ControlPlane(t.Context(), nil)
	require.ErrorContains(t, err, "build kubectl: the go command is not on PATH")
}

func TestAssetsWithoutServer(t *testing.T) {
	t.Setenv(AssetsVariable, fakeAssets(t, Etcd))
	_, err := ControlPlane(t.Context(), nil)
	require.ErrorContains(t, err, "which lacks a program: put it there, or unset the variable")
	require.ErrorContains(t, err, "kube-apiserver")
}
