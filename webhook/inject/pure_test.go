package inject_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// TestReconcileIsPure reconciles a plan twice with its Pod. Both outcomes must be the same, and the plan, the Pod and the
// configuration must not change. The test uses the Pods of the golden files that have a plan, as submitted and as admitted.
func TestReconcileIsPure(t *testing.T) {
	cases, err := golden.Cases()
	require.NoError(t, err)
	for _, c := range cases {
		if _, err := pod.Read(c.JSON); err != nil {
			continue // An unreadable Pod has no plan.
		}
		documents := map[string][]byte{"submitted": c.JSON}
		if d := c.Decide(c.JSON); d.Claimed && len(d.Denials) == 0 {
			documents["admitted"], err = pod.Apply(c.JSON, d.Operations)
			require.NoError(t, err)
		}
		for name, document := range documents {
			t.Run(c.Name+"/"+name, func(t *testing.T) { t.Parallel(); reconcileTwice(t, c, document) })
		}
	}
}

func reconcileTwice(t *testing.T, c golden.Case, document []byte) {
	t.Helper()
	read := func() *pod.Pod {
		p, err := pod.Read(document)
		require.NoError(t, err)
		return p
	}
	p := read()
	name, denials := user.FromPod(p.Metadata.Labels, p.Metadata.Annotations, c.Config.User)
	if len(denials) > 0 {
		t.Skip("the Pod names no user, so there is no plan for it")
	}
	generation := c.Config.Generation()
	facts := inject.Facts{Namespace: "science", Restricted: c.Restricted, User: name, Identity: c.Identity}
	planner := inject.NewPlanner(c.Config)
	plan, fresh := planner.Plan(p, facts), planner.Plan(p, facts)

	first := inject.Reconcile(p, plan)
	assert.Equal(t, fresh, plan, "the plan is not written to")
	assert.Equal(t, read(), p, "the Pod is not written to")
	second := inject.Reconcile(p, plan)
	assert.Equal(t, first.Operations, second.Operations)
	assert.Equal(t, first.Denials, second.Denials)
	assert.Equal(t, first.Warnings, second.Warnings)
	assert.Equal(t, first.Drift(), second.Drift())
	assert.Equal(t, generation, c.Config.Generation(), "the configuration is not written to")
}
