package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/helm"
)

// packed packs a release whose programs are short texts. It returns the release, and the content of its files by name.
func packed(t *testing.T) (release, map[string][]byte) {
	t.Helper()
	r := release{version: "v9.8.7", revision: "abc", deploy: "..", dist: t.TempDir()}
	r.platforms = []string{"linux/amd64", "linux/arm64"}
	for _, program := range programs {
		for _, machine := range []string{"amd64", "arm64"} {
			name := program + "-linux-" + machine
			require.NoError(t, os.WriteFile(filepath.Join(r.dist, name), []byte(name), 0o700))
		}
	}
	require.NoError(t, r.pack())
	found := map[string][]byte{}
	entries, err := os.ReadDir(r.dist)
	require.NoError(t, err)
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(r.dist, entry.Name()))
		require.NoError(t, err)
		found[entry.Name()] = content
	}
	return r, found
}

func untar(t *testing.T, archive io.Reader) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	reader := tar.NewReader(archive)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err)
		assert.True(t, header.ModTime.IsZero() || header.ModTime.Equal(time.Unix(0, 0)), "%s has a time", header.Name)
		assert.Zero(t, header.Uid+header.Gid, header.Name)
		assert.Empty(t, header.Uname+header.Gname, header.Name)
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		found[header.Name] = content
	}
}

func TestPackIsReproducible(t *testing.T) {
	_, first := packed(t)
	_, second := packed(t)
	assert.Equal(t, first, second)
	assert.Contains(t, first, "jupyter-user-webhook-v9.8.7.oci.tar")
	assert.Contains(t, first, "install.yaml")
	for name, content := range first {
		if name != "SHA256SUMS" {
			assert.Contains(t, string(first["SHA256SUMS"]), fmt.Sprintf("%x  %s\n", sha256.Sum256(content), name))
		}
	}
	assert.Equal(t, len(first)-1, strings.Count(string(first["SHA256SUMS"]), "\n"))
}

// TestImageAgreesWithDockerfile reads the archive from its index to the programs, and compares user, entrypoint, command
// and labels with the Dockerfile.
func TestImageAgreesWithDockerfile(t *testing.T) {
	_, files := packed(t)
	dockerfile, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	layout := untar(t, bytes.NewReader(files["jupyter-user-webhook-v9.8.7.oci.tar"]))
	assert.JSONEq(t, `{"imageLayoutVersion":"1.0.0"}`, string(layout["oci-layout"]))
	var top, all index
	require.NoError(t, json.Unmarshal(layout["index.json"], &top))
	require.Len(t, top.Manifests, 1)
	assert.Equal(t, "docker.io/library/jupyter-user-webhook:v9.8.7", top.Manifests[0].Annotations["io.containerd.image.name"])
	require.NoError(t, json.Unmarshal(blob(t, layout, top.Manifests[0]), &all))
	require.Len(t, all.Manifests, 2)
	for i, machine := range []string{"amd64", "arm64"} {
		assert.Equal(t, &platform{OS: "linux", Architecture: machine}, all.Manifests[i].Platform)
		var m manifest
		require.NoError(t, json.Unmarshal(blob(t, layout, all.Manifests[i]), &m))
		var c config
		require.NoError(t, json.Unmarshal(blob(t, layout, m.Config), &c))
		assert.Equal(t, machine, c.Architecture)
		text := strings.NewReplacer("${VERSION}", "v9.8.7", "${REVISION}", "abc").Replace(string(dockerfile))
		assert.Contains(t, text, "USER "+c.Config.User+"\n")
		assert.Contains(t, text, `ENTRYPOINT ["`+strings.Join(c.Config.Entrypoint, `", "`)+"\"]\n")
		assert.Contains(t, text, `CMD ["`+strings.Join(c.Config.Cmd, `", "`)+"\"]\n")
		labels := regexp.MustCompile(`(org\.opencontainers\.\S+)="(.*?)"`).FindAllStringSubmatch(text, -1)
		require.Len(t, c.Config.Labels, len(labels))
		for _, label := range labels {
			assert.Equal(t, label[2], c.Config.Labels[label[1]], label[1])
		}
		require.Len(t, m.Layers, 1)
		layer, err := gzip.NewReader(bytes.NewReader(blob(t, layout, m.Layers[0])))
		require.NoError(t, err)
		unpacked, err := io.ReadAll(layer)
		require.NoError(t, err)
		assert.Equal(t, []string{fmt.Sprintf("sha256:%x", sha256.Sum256(unpacked))}, c.RootFS.DiffIDs)
		assert.Equal(t, map[string][]byte{
			"jupyter-user-webhook": []byte("jupyter-user-webhook-linux-" + machine),
			"jupyter-user-init":    []byte("jupyter-user-init-linux-" + machine),
		}, untar(t, bytes.NewReader(unpacked)))
	}
}

func blob(t *testing.T, layout map[string][]byte, d descriptor) []byte {
	t.Helper()
	content := layout["blobs/"+strings.Replace(d.Digest, ":", "/", 1)]
	assert.Equal(t, d.Digest, fmt.Sprintf("sha256:%x", sha256.Sum256(content)))
	assert.Len(t, content, d.Size)
	return content
}

// TestHelmRendersPackage tests that Helm renders install.yaml from the packed chart.
func TestHelmRendersPackage(t *testing.T) {
	r, files := packed(t)
	h, err := helm.New(t.Context(), os.Stderr, t.TempDir())
	require.NoError(t, err)
	names, err := filepath.Glob(filepath.Join(r.dist, "jupyter-user-webhook-*.tgz"))
	require.NoError(t, err)
	require.Len(t, names, 1)
	rendered, err := h.Run(t.Context(), "", "template", helm.Release, names[0], "--namespace", helm.Namespace,
		"--set", "createNamespace=true")
	require.NoError(t, err)
	assert.Equal(t, string(files["install.yaml"]), rendered)
}

func TestBuildahReadsImage(t *testing.T) {
	if _, err := exec.LookPath("buildah"); err != nil || os.Getenv("E2E") == "" {
		t.Skip("runs buildah as root: set E2E=1, or run make e2e")
	}
	r, _ := packed(t)
	store := t.TempDir()
	for _, machine := range []string{"amd64", "arm64"} {
		folder := filepath.Join(store, machine)
		common := []string{"--root", folder, "--runroot", folder + "-run", "--storage-driver", "vfs"}
		from := "oci-archive:" + filepath.Join(r.dist, "jupyter-user-webhook-v9.8.7.oci.tar")
		output, err := exec.Command("buildah", append(common, "pull", "--arch", machine, from)...).CombinedOutput()
		require.NoError(t, err, "%s", output)
		id := strings.TrimSpace(string(output[strings.LastIndex(strings.TrimSpace(string(output)), "\n")+1:]))
		output, err = exec.Command("buildah", append(common, "inspect", "--type", "image",
			"--format", "{{.OCIv1.Architecture}} {{.OCIv1.Config.User}}", id)...).CombinedOutput()
		require.NoError(t, err, "%s", output)
		assert.Equal(t, machine+" 65532:65532", strings.TrimSpace(string(output)))
	}
}
