package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// TestHelmTest runs what NOTES.txt tells an admin to run: a pod of ours creates a notebook in a dry run, and looks at it. It leaves
// nothing.
func TestHelmTest(t *testing.T) {
	t.Parallel()
	said, err := world.helm.Run(t.Context(), "", "test", helm.Release, "--namespace", helm.Namespace, "--timeout", "2m")
	require.NoError(t, err)
	assert.Contains(t, said, "Phase:          Succeeded")
	left, err := world.Objects(t.Context(), "app.kubernetes.io/name=jupyter-user-webhook-test")
	require.NoError(t, err)
	assert.Empty(t, left)
}

// ofOthers says of an object whether it is of what these tests have besides, which helm knows nothing of.
func ofOthers(object string) bool {
	return strings.Contains(object, knowing.space) || strings.Contains(object, atAdmission.namespace) ||
		strings.Contains(object, gatedHub)
}

// uninstall is what deploy/docs/install.md says, at the end of everything, when each test has removed its Pods: a claim that one still used would
// keep --wait waiting.
func (w *World) uninstall(ctx context.Context) error {
	if _, err := w.helm.Run(ctx, "", "uninstall", helm.Release, "--namespace", helm.Namespace, "--wait"); err != nil {
		return err
	}
	if err := w.Admin.Do(ctx, "", "delete", "namespace", helm.Namespace, "--wait=false"); err != nil {
		return err
	}
	return w.awaitNothingLeft(ctx)
}

// awaitNothingLeft waits until no object of the cluster is ours.
func (w *World) awaitNothingLeft(ctx context.Context) error {
	var left []string
	err := await(ctx, machine.Patience, func(ctx context.Context) (bool, error) {
		ours, err := w.Objects(ctx, "app.kubernetes.io/name=jupyter-user-webhook")
		if err != nil {
			return false, err
		}
		secrets, err := w.Objects(ctx, "owner=helm")
		left = slices.DeleteFunc(append(ours, secrets...), ofOthers)
		return len(left) == 0, err
	})
	if err != nil {
		return fmt.Errorf("%s is left: %w", strings.Join(left, ", "), err)
	}
	return nil
}
