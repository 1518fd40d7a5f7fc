package check

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestUnclaimedHubPods tests that the finding names Pods with a hub's annotation whose component label is not that of a
// hub's server, and omits Pods that opt out.
func TestUnclaimedHubPods(t *testing.T) {
	pod := func(name, component, inject string) metav1.PartialObjectMetadata {
		annotations := map[string]string{"hub.jupyter.org/username": "alice"}
		if inject != "" {
			annotations["jupyter-user.io/inject"] = inject
		}
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "jhub", Annotations: annotations,
			Labels: map[string]string{"hub.jupyter.org/username": "alice", "component": component}}}
	}
	s := installedBy(t, values{}, nil)
	s.pods.Items = []metav1.PartialObjectMetadata{
		pod("server", "singleuser-server", ""), pod("out", "lab", "false"), {ObjectMeta: metav1.ObjectMeta{Name: "plain"}},
	}
	assert.Equal(t, []Finding{{Status: OK, Message: "every Pod with a hub's annotation is a notebook, or opts out"}},
		hubPods(t.Context(), s))
	s.pods.Items = append(s.pods.Items, pod("worker", "dask-worker", ""), pod("lab", "lab", ""))
	assert.Equal(t, []Finding{{Status: Warning, Where: "Pods jhub/lab, jhub/worker",
		Message: "have the annotation hub.jupyter.org/username and are no notebooks, which is right for Dask's schedulers " +
			"and workers. If they are users' servers, add the value of their label component to config.user.hubComponents, or label them jupyter-user"}},
		hubPods(t.Context(), s))
}
