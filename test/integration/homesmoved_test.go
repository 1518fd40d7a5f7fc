package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestNotebooksAfterChangeOfHomePattern changes share.home to another pattern, in the policies and in the webhook. A
// notebook that was created with the old pattern can still be changed, debugged and deleted. A new notebook with the old
// pattern is denied.
func TestNotebooksAfterChangeOfHomePattern(t *testing.T) {
	t.Parallel()
	g := startVerifiedWith(t, shippedPolicies(t)...)
	running := createStored(t, g.carol, injected(t, "alice"))
	before := injected(t, "alice")
	installPoliciesFor(t.Context(), t, g.ControlPlane, homesByInitialValues)
	g.reconfigure(t, homesByInitial)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NoError(c, create(t.Context(), g.carol, "lab", injectedBy(t, g.configured, "alice")))
		assert.ErrorContains(c, create(t.Context(), g.carol, "lab", before.DeepCopy()), "ValidatingAdmissionPolicy 'net.jupyter-user.io'")
	}, wait, wait/100)

	pods := g.carol.CoreV1().Pods("lab")
	for name, patch := range map[string]string{
		"a label":               `{"metadata": {"labels": {"team": "physics"}}}`,
		"an annotation":         `{"metadata": {"annotations": {"example.com/seen": "yes"}}}`,
		"a finalizer":           `{"metadata": {"finalizers": ["example.com/wait"]}}`,
		"the finalizer removed": `{"metadata": {"finalizers": null}}`,
		"the notebook's image":  `{"spec": {"containers": [{"name": "nb", "image": "quay.io/jupyter/scipy-notebook"}]}}`,
	} {
		_, err := pods.Patch(t.Context(), running.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
		assert.NoError(t, err, name)
	}
	_, err := g.admin(t).CoreV1().Pods("lab").Patch(t.Context(), running.Name, types.MergePatchType, []byte(`{"status": {"phase": "Running"}}`),
		metav1.PatchOptions{}, "status")
	assert.NoError(t, err, "a kubelet writes the status")
	running, err = pods.Get(t.Context(), running.Name, metav1.GetOptions{})
	require.NoError(t, err)
	assert.NoError(t, addEphemeral(t, g.carol, running, debugger()))
	assert.NoError(t, pods.Delete(t.Context(), running.Name, metav1.DeleteOptions{}))
}
