package tools

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha512"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An index is an HTTP server on loopback. It serves the file index.yaml, which lists one archive of programs, and this
// archive. Each program prints "downloaded".
type index struct {
	*httptest.Server
	requests atomic.Int32
	// serve is the handler that writes the archive. Tests replace this handler while the server runs.
	serve   atomic.Pointer[http.HandlerFunc]
	archive []byte
}

// serveIndex starts an index with one release of Kubernetes for this platform, and sets ENVTEST_INDEX to its URL.
func serveIndex(t *testing.T, release string) *index {
	t.Helper()
	x := &index{archive: archive(t)}
	x.serveBy(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(x.archive) })
	sum := fmt.Sprintf("%x", sha512.Sum512(x.archive))
	handler := http.NewServeMux()
	handler.HandleFunc("/index.yaml", func(w http.ResponseWriter, _ *http.Request) {
		x.requests.Add(1)
		_, _ = fmt.Fprintf(w, "releases:\n  %s:\n    envtest-%[1]s-%s-%s.tar.gz:\n      hash: %s\n      selfLink: %s/archive\n",
			release, runtime.GOOS, runtime.GOARCH, sum, x.URL)
	})
	handler.HandleFunc("/archive", func(w http.ResponseWriter, r *http.Request) { (*x.serve.Load())(w, r) })
	x.Server = httptest.NewUnstartedServer(handler)
	x.Start()
	t.Cleanup(x.Close)
	t.Setenv(indexVariable, x.URL+"/index.yaml")
	return x
}

func (x *index) serveBy(handler http.HandlerFunc) { x.serve.Store(&handler) }

func archive(t *testing.T) []byte {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	files := tar.NewWriter(zipped)
	for _, tool := range ControlPlaneTools() {
		text := "#!/bin/sh\necho downloaded\n"
		name := "controller-tools/envtest/" + string(tool)
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(text))}
		require.NoError(t, files.WriteHeader(header))
		_, err := files.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, files.Close())
	require.NoError(t, zipped.Close())
	return packed.Bytes()
}

// newPlane returns a builder with an empty cache, and a buffer with the builder's progress. The builder builds a small
// program in place of each program of the control plane. setup-envtest has no installed binaries.
func newPlane(t *testing.T) (*builder, *bytes.Buffer) {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	for _, name := range []string{offlineVariable, ReleaseVariable, AssetsVariable} {
		t.Setenv(name, "")
	}
	whole, err := newBuilder(nil)
	require.NoError(t, err)
	b := newFake(t)
	b.setupEnvtest, err = whole.build(t.Context(), SetupEnvtest)
	require.NoError(t, err)
	writeFake(t, b, "go.mod", "module example.test/fake\n\ngo 1.26\n\nrequire k8s.io/kubernetes v1.37.2\n")
	writeFake(t, b, "main.go", "package main\n\nfunc main() { println(\"built\") }\n")
	for _, tool := range ControlPlaneTools() {
		b.recipes[tool] = recipe{folder: "fake", mainPackage: "example.test/fake", module: "k8s.io/kubernetes"}
	}
	log := &bytes.Buffer{}
	b.progress, b.patience = log, stallPatience
	return b, log
}

// assertPlane runs each program of the control plane. Each must print the same word, which says where the programs come
// from: "built", "downloaded" or "installed".
func assertPlane(t *testing.T, b *builder, from string) {
	t.Helper()
	paths, err := b.controlPlane(t.Context())
	require.NoError(t, err)
	for _, tool := range ControlPlaneTools() {
		output, err := exec.Command(paths[tool]).CombinedOutput()
		require.NoError(t, err, tool)
		assert.Equal(t, from+"\n", string(output), tool)
	}
}

func TestDownloadOnce(t *testing.T) {
	x := serveIndex(t, "v1.37.2")
	b, log := newPlane(t)
	assertPlane(t, b, "downloaded")
	assert.Contains(t, log.String(), "control-plane  looking for binaries of Kubernetes v1.37.2, which takes "+
		"seconds; OFFLINE=1 builds them without looking\n")
	assert.Contains(t, log.String(), "control-plane  downloaded and verified in ")
	log.Reset()
	requests := x.requests.Load()
	assertPlane(t, b, "downloaded")
	assert.Empty(t, log.String(), "the second time")
	assert.Equal(t, requests, x.requests.Load(), "the second time sends no request")
}

func TestDownloadOfOtherPatchRelease(t *testing.T) {
	serveIndex(t, "v1.37.0")
	b, log := newPlane(t)
	for range 2 {
		assertPlane(t, b, "downloaded")
		assert.Contains(t, log.String(), "control-plane  the downloaded etcd, kube-apiserver and kubectl are of "+
			"Kubernetes v1.37.0, because there is no v1.37.2; OFFLINE=1 builds v1.37.2\n")
		log.Reset()
	}
}

func TestBuildAfterFailedDownload(t *testing.T) {
	for name, test := range map[string]struct {
		release  string
		patience time.Duration
		fault    func(t *testing.T, x *index)
		reason   string
	}{
		"a release that the index lacks": {release: "v1.36.4", reason: "the index of binaries lacks Kubernetes v1.37 for "},
		"a wrong checksum": {fault: func(_ *testing.T, x *index) {
			x.serveBy(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(bytes.ReplaceAll(x.archive, x.archive[:4], []byte("evil")))
			})
		}, reason: "checksum mismatch"},
		"no connection": {fault: func(_ *testing.T, x *index) { x.Close() }, reason: "connection refused"},
		"an index that is not found": {fault: func(t *testing.T, x *index) {
			t.Setenv(indexVariable, x.URL+"/none")
		}, reason: "404 Not Found"},
		"half a file": {fault: func(_ *testing.T, x *index) {
			x.serveBy(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(len(x.archive)))
				_, _ = w.Write(x.archive[:len(x.archive)/2])
			})
		}, reason: "unexpected EOF"},
		"an archive that hangs": {patience: time.Second, fault: func(_ *testing.T, x *index) {
			x.serveBy(func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write(x.archive[:len(x.archive)/2])
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})
		}, reason: "the connection hangs: nothing arrived for 1s"},
		"an index that hangs": {patience: time.Second, fault: func(t *testing.T, x *index) {
			hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			t.Cleanup(hanging.Close)
			t.Setenv(indexVariable, hanging.URL)
		}, reason: "the index of binaries could not be read: the connection hangs: nothing arrived for 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			x := serveIndex(t, cmp.Or(test.release, "v1.37.2"))
			b, log := newPlane(t)
			b.patience = cmp.Or(test.patience, stallPatience)
			if test.fault != nil {
				test.fault(t, x)
			}
			assertPlane(t, b, "built")
			assert.Contains(t, log.String(), "control-plane  etcd, kube-apiserver and kubectl are built from source, once, "+
				"which takes about seven minutes on two cores: ")
			assert.Contains(t, log.String(), test.reason)
			assert.NotContains(t, strings.Join(cached(t, b), " "), "partial", "the incomplete download is removed")
		})
	}
}

func TestDownloadPatience(t *testing.T) {
	b, err := newBuilder(nil)
	require.NoError(t, err)
	assert.Equal(t, 10*time.Second, b.patience)
}

func TestOfflineBuild(t *testing.T) {
	x := serveIndex(t, "v1.37.2")
	b, log := newPlane(t)
	t.Setenv(offlineVariable, "1")
	assertPlane(t, b, "built")
	assert.Contains(t, log.String(), ": OFFLINE is set\n")
	assert.Zero(t, x.requests.Load())
	// From now on, the built programs are used, although the index has binaries.
	t.Setenv(offlineVariable, "")
	log.Reset()
	assertPlane(t, b, "built")
	assert.Empty(t, log.String())
	assert.Zero(t, x.requests.Load())
}

func TestInstalledBinaries(t *testing.T) {
	for release, suffix := range map[string]string{
		"1.37.2": "\n",
		"1.37.0": ", because there is no v1.37.2; OFFLINE=1 builds v1.37.2\n",
	} {
		t.Run(release, func(t *testing.T) {
			x := serveIndex(t, "v1.37.2")
			b, log := newPlane(t)
			folder := filepath.Join(os.Getenv("XDG_DATA_HOME"), "kubebuilder-envtest", "k8s",
				release+"-"+runtime.GOOS+"-"+runtime.GOARCH)
			require.NoError(t, os.MkdirAll(folder, 0o755))
			for _, tool := range ControlPlaneTools() {
				require.NoError(t, os.WriteFile(filepath.Join(folder, string(tool)), []byte("#!/bin/sh\necho installed\n"), 0o755))
			}
			assertPlane(t, b, "installed")
			assert.Equal(t, "control-plane  nothing is built: setup-envtest has installed etcd, kube-apiserver and kubectl of "+
				"Kubernetes v"+release+" in "+folder+suffix, log.String())
			assert.Zero(t, x.requests.Load())
		})
	}
}
