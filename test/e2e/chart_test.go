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

// TestHelmTest runs the helm test of NOTES.txt: a Pod of ours creates a notebook in a dry run, and checks it. The test leaves no
// object.
func TestHelmTest(t *testing.T) {
	t.Parallel()
	said, err := world.helm.Run(t.Context(), "", "test", helm.Release, "--namespace", helm.Namespace, "--timeout", "2m")
	require.NoError(t, err)
	assert.Contains(t, said, "Phase:          Succeeded")
	left, err := world.Objects(t.Context(), "app.kubernetes.io/name=jupyter-user-webhook-test")
	require.NoError(t, err)
	assert.Empty(t, left)
}

// ofOthers reports whether an object belongs to these tests and not to the Helm release.
func ofOthers(object string) bool {
	return strings.Contains(object, knowing.space) || strings.Contains(object, atAdmission.namespace) ||
		strings.Contains(object, gatedHub)
}

// uninstall runs the commands of deploy/docs/install.md at the end, after each test has removed its Pods: with --wait, Helm would
// wait for a claim that a Pod still uses.
func (w *World) uninstall(ctx context.Context) error {
	if _, err := w.helm.Run(ctx, "", "uninstall", helm.Release, "--namespace", helm.Namespace, "--wait"); err != nil {
		return err
	}
	if err := w.Admin.Do(ctx, "", "delete", "namespace", helm.Namespace, "--wait=false"); err != nil {
		return err
	}
	return w.awaitNothingLeft(ctx)
}

// awaitNothingLeft waits until the cluster has none of our objects.
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
