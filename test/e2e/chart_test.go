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

// TestHelmTest runs the helm test that NOTES.txt describes: a Pod creates a notebook in a dry run, and checks the result.
// The helm test must leave no object.
func TestHelmTest(t *testing.T) {
	t.Parallel()
	output, err := cluster.helm.Run(t.Context(), "", "test", helm.Release, "--namespace", helm.Namespace, "--timeout", "2m")
	require.NoError(t, err)
	assert.Contains(t, output, "Phase:          Succeeded")
	left, err := cluster.Objects(t.Context(), "app.kubernetes.io/name=jupyter-user-webhook-test")
	require.NoError(t, err)
	assert.Empty(t, left)
}

// belongsToTests reports whether an object of the webhook was made by these tests, and not by the Helm release.
func belongsToTests(object string) bool {
	return strings.Contains(object, secondInstallation.namespace) || strings.Contains(object, atAdmission.namespace) ||
		strings.Contains(object, gatedHub)
}

// uninstall runs the commands of deploy/docs/install.md that remove the webhook. Every test must have removed its Pods
// before, because helm uninstall --wait also waits for a claim that a Pod still uses.
func (c *testCluster) uninstall(ctx context.Context) error {
	if _, err := c.helm.Run(ctx, "", "uninstall", helm.Release, "--namespace", helm.Namespace, "--wait"); err != nil {
		return err
	}
	if err := c.Admin.Do(ctx, "", "delete", "namespace", helm.Namespace, "--wait=false"); err != nil {
		return err
	}
	return c.awaitNothingLeft(ctx)
}

// awaitNothingLeft waits until the cluster has no object of the shipped installation.
func (c *testCluster) awaitNothingLeft(ctx context.Context) error {
	var left []string
	err := await(ctx, machine.Patience, func(ctx context.Context) (bool, error) {
		objects, err := c.Objects(ctx, "app.kubernetes.io/name=jupyter-user-webhook")
		if err != nil {
			return false, err
		}
		secrets, err := c.Objects(ctx, "owner=helm")
		left = slices.DeleteFunc(append(objects, secrets...), belongsToTests)
		return len(left) == 0, err
	})
	if err != nil {
		return fmt.Errorf("%s is left: %w", strings.Join(left, ", "), err)
	}
	return nil
}
