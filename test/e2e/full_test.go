package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// Messages for a user whose home cannot be written to.
const (
	fullMessage = "jupyter-user-init: no space is left for the home /data/hpc/home/filled, because its file system is full: the notebook starts, " +
		"and nothing can be saved there. Delete files, or ask the admin for space\n"
	readOnlyMessage = "jupyter-user-init: the home /data/hpc/home/filled is on a file system that is mounted read-only: the notebook starts, and " +
		"nothing can be saved there. Ask the admin whether that is meant\n"
	modeMessage = "jupyter-user-init: the home /data/hpc/home/unwritable has the mode 0500, by which its owner cannot write to it: the notebook " +
		"starts, and nothing can be saved there. chmod u+wx it\n"
)

// smallAtStart and smallAtAdmission are the discoveries in two more namespaces. The share of these namespaces is the small
// file system of mountSmallShare.
var (
	smallAtStart     = discovery{atStart.name, "small-" + atStart.namespace, atStart.level}
	smallAtAdmission = discovery{atAdmission.name, "small-" + atAdmission.namespace, atAdmission.level}
)

// TestUnwritableHome tests that if the home cannot be written to, Jupyter starts, and the log says why nothing can be saved:
// the log of the init container, and with discovery at start also the log of the notebook container.
func TestUnwritableHome(t *testing.T) {
	t.Parallel()
	t.Run("mode 0500", func(t *testing.T) {
		for _, discovery := range discoveries {
			t.Run(discovery.name, func(t *testing.T) {
				server := startInUnwritableHome(t, discovery, "unwritable", modeMessage)
				server.Call(t, http.MethodGet, "api/contents", nil, http.StatusOK)
			})
		}
	})
	small := mountSmallShare(t)
	for _, in := range []discovery{smallAtStart, smallAtAdmission} {
		require.NoError(t, cluster.makeNamespace(t.Context(), in.namespace, in.level))
		require.NoError(t, cluster.apply(t.Context(), fmt.Sprintf(shareTemplate, in.namespace, small.root)))
	}
	for _, in := range []discovery{smallAtStart, smallAtAdmission} {
		t.Run("full/"+in.name, func(t *testing.T) {
			fill(t, small, "filled")
			server := startInUnwritableHome(t, in, "filled", fullMessage)
			server.Call(t, http.MethodDelete, "api/contents/filler", nil, http.StatusNoContent)
			server.Save(t, in.namespace+".ipynb")
		})
	}
	require.NoError(t, syscall.Mount("", small.root, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	for _, in := range []discovery{smallAtStart, smallAtAdmission} {
		t.Run("read-only/"+in.name, func(t *testing.T) {
			server := startInUnwritableHome(t, in, "filled", readOnlyMessage)
			server.Call(t, http.MethodGet, "api/contents/"+in.namespace+".ipynb", nil, http.StatusOK)
		})
	}
}

// startInUnwritableHome starts Jupyter in a home that cannot be written to. The text want must be the termination
// message of the init container, and must be in its log. With discovery at start, the log of the notebook container must
// also say that nothing can be saved.
func startInUnwritableHome(t *testing.T, in discovery, user, want string) jupyter {
	t.Helper()
	p := run(t, in, "takes-nothing", user, images.Z2JH, withToken)
	server := p.jupyter(t)
	log := func(container string) string {
		return kubectl(t, "logs", p.name, "-n", p.namespace, "-c", container).Stdout
	}
	assert.Contains(t, log("jupyter-user-init"), want)
	assert.Equal(t, want, initMessage(p.get(t)), "what kubectl describe shows of the init container")
	if in.name == atStart.name {
		// The message of the notebook container names the home at its other mount path.
		assert.Contains(t, log(p.name), "the notebook starts, and nothing can be saved there.")
	}
	return server
}

// mountSmallShare mounts a file system of one megabyte until the test ends. It has one home, that of the user "filled".
func mountSmallShare(t *testing.T) share {
	t.Helper()
	small := share{filepath.Join(cluster.Enclosure.Folder, "small-share")}
	require.NoError(t, os.Mkdir(small.root, 0o755))
	require.NoError(t, syscall.Mount("tmpfs", small.root, "tmpfs", 0, "size=1m,mode=0755"))
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(small.root, syscall.MNT_DETACH)) })
	require.NoError(t, os.Mkdir(filepath.Join(small.root, "home"), 0o755))
	require.NoError(t, small.makeHome(homeOf("filled")))
	return small
}

// fill writes a file into the home of the given user until the file system is full.
func fill(t *testing.T, small share, user string) {
	t.Helper()
	path, owner := small.path(user, "filler"), homeOf(user)
	file, err := os.Create(path)
	require.NoError(t, err)
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, errors.Join(file.Close(), os.Chown(path, owner.uid, owner.gid)))
}
