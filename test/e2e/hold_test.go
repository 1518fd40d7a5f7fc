package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// holdInit waits for the init container of a new Pod, and blocks it after the init container has read the home and before
// it writes the owner to the scratch volume. The kubelet makes the folder of the scratch volume long before it starts a
// container, so there is time to watch the folder.
func (p pod) holdInit(t *testing.T) *node.Hold {
	t.Helper()
	folder := filepath.Join(cluster.Enclosure.Folder, "kubelet", "pods", string(p.get(t).UID), "volumes", "kubernetes.io~empty-dir",
		"uid-gid-config")
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, readyLimit, true, func(context.Context) (bool, error) {
		_, err := os.Stat(folder)
		return err == nil, nil
	})
	require.NoError(t, err, "the kubelet makes no scratch volume")
	hold, err := node.NewHold(folder, initProgram)
	require.NoError(t, err)
	t.Cleanup(func() { _ = hold.Release() })
	select {
	case <-hold.Held():
	case <-time.After(readyLimit):
		require.Fail(t, "the init container was not held")
	}
	p.await(t, readyLimit, "to have its init container running", func(p *corev1.Pod) bool {
		return len(p.Status.InitContainerStatuses) > 0 && p.Status.InitContainerStatuses[0].State.Running != nil
	})
	return hold
}

func continueInit(t *testing.T, hold *node.Hold) {
	t.Helper()
	assert.NoError(t, hold.Release())
}
