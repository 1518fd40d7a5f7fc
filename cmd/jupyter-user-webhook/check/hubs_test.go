package check

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestUnclaimedHubPods tests that the finding names Pods with a hub's annotation whose component label is not that of a
// hub's server, and omits Pods that opt out.
func TestUnclaimedHubPods(t *testing.T) {
	pod := func(name, component, inject string) podFacts {
		annotations := map[string]string{"hub.jupyter.org/username": "alice"}
		if inject != "" {
			annotations["jupyter-user.io/inject"] = inject
		}
		return podFacts{name: name, namespace: "jhub", annotations: annotations,
			labels: map[string]string{"hub.jupyter.org/username": "alice", "component": component}}
	}
	s := installedBy(t, values{}, nil)
	s.pods = []podFacts{pod("server", "singleuser-server", ""), pod("out", "lab", "false"), {name: "plain"}}
	assert.Equal(t, []Finding{{Status: OK, Message: "every Pod with a hub's annotation is a notebook, or opts out"}},
		hubPods(t.Context(), s))
	s.pods = append(s.pods, pod("worker", "dask-worker", ""), pod("lab", "lab", ""))
	assert.Equal(t, []Finding{{Status: Warning, Where: "Pods jhub/lab, jhub/worker",
		Message: "have the annotation hub.jupyter.org/username and are no notebooks, which is right for Dask's schedulers " +
			"and workers. If they are users' servers, add the value of their label component to config.user.hubComponents, or label them jupyter-user"}},
		hubPods(t.Context(), s))
}
