package inject

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

func TestFitInto(t *testing.T) {
	ours := `{"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}}`
	for name, c := range map[string]struct{ container, whole, want string }{
		"larger Pod-level resources": {ours, `{"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}`, ours},
		"smaller Pod-level resources": {ours, `{"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"cpu": "60m", "memory": "24Mi"}}`,
			`{"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"cpu": "60m", "memory": "24Mi"}}`},
		"Pod-level limits below our requests": {ours, `{"limits": {"cpu": 0.005, "memory": "8388608"}}`,
			`{"requests": {"cpu": 0.005, "memory": "8388608"}, "limits": {"cpu": 0.005, "memory": "8388608"}}`},
		"Pod-level requests without limits": {ours, `{"requests": {"memory": "8Mi"}}`,
			`{"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}}`},
		"container with limits only": {`{"limits": {"memory": "32Mi"}}`, `{"requests": {"memory": "8Mi"}, "limits": {"memory": "64Mi"}}`,
			`{"requests": {"memory": "8Mi"}, "limits": {"memory": "32Mi"}}`},
		"container without resources": {`{}`, `{"limits": {"cpu": "1m"}}`, `{}`},
		"invalid quantity":            {ours, `{"limits": {"cpu": "much"}, "requests": {"memory": [1]}}`, ours},
		"huge exponents":              {ours, `{"limits": {"cpu": "1e-999999999"}, "requests": {"memory": 1e999999999}}`, ours},
		"usual exponents": {ours, `{"limits": {"cpu": 5e-2}, "requests": {"memory": "8e6"}}`,
			`{"requests": {"cpu": "10m", "memory": "8e6"}, "limits": {"cpu": 5e-2, "memory": "32Mi"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			var container, whole pod.Resources
			require.NoError(t, json.Unmarshal([]byte(c.container), &container))
			require.NoError(t, json.Unmarshal([]byte(c.whole), &whole))
			got, err := json.Marshal(fitInto(&container, &whole))
			require.NoError(t, err)
			assert.JSONEq(t, c.want, string(got))
		})
	}
}

// TestGuaranteed tests the QoS class of Pods with several containers. An ephemeral container has no resources, and
// Kubernetes ignores it for the class.
func TestGuaranteed(t *testing.T) {
	full := `"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}`
	for name, c := range map[string]struct {
		spec string
		want bool
	}{
		"notebook alone":      {`"containers": [{"name": "nb", ` + full + `}]`, true},
		"sidecar":             {`"containers": [{"name": "nb", ` + full + `}, {"name": "x"}]`, false},
		"init container":      {`"containers": [{"name": "nb", ` + full + `}], "initContainers": [{"name": "x"}]`, false},
		"our init container":  {`"containers": [{"name": "nb", ` + full + `}], "initContainers": [{"name": "jupyter-user-init"}]`, true},
		"ephemeral container": {`"containers": [{"name": "nb", ` + full + `}], "ephemeralContainers": [{"name": "debug"}]`, true},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := pod.Read([]byte(`{"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {` + c.spec + `}}`))
			require.NoError(t, err)
			in := planning{planner: NewPlanner(config.Default()), pod: document, notebook: &document.Spec.Containers[0]}
			assert.Equal(t, c.want, in.guaranteed())
		})
	}
}

func TestIsGuaranteed(t *testing.T) {
	for resources, want := range map[string]bool{
		`null`:                          false,
		`{}`:                            false,
		`{"limits": {"memory": "1Gi"}}`: false,
		`{"requests": {"cpu": "1"}}`:    false,
		`{"limits": {"cpu": "1"}}`:      true,
		`{"limits": {"cpu": 1}, "requests": {"cpu": "1000m"}}`:                              true,
		`{"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}`:                                false,
		`{"limits": {"cpu": "0"}, "requests": {"cpu": "0"}}`:                                false,
		`{"limits": {"cpu": "much"}, "requests": {"cpu": "much"}}`:                          false,
		`{"limits": {"cpu": "1"}, "requests": {"cpu": "much"}}`:                             false,
		`{"limits": {"cpu": "1E"}, "requests": {"cpu": "1e18"}}`:                            true,
		`{"limits": {"cpu": "1Ei"}, "requests": {"cpu": "+1024.Pi"}}`:                       true,
		`{"limits": {"cpu": "1e999999999"}, "requests": {"cpu": "1"}}`:                      false,
		`{"limits": {"cpu": "1e2000000000"}}`:                                               false,
		`{"limits": {"cpu": 1}, "requests": {"cpu": 1e60000000}}`:                           false,
		`{"limits": {"cpu": "1"}, "requests": {"cpu": "1e-999999999"}}`:                     false,
		`{"limits": {"cpu": "12345678901234567890e9999999"}, "requests": {"cpu": "1"}}`:     false,
		`{"limits": {"cpu": "1"}, "requests": {"memory": "1Gi"}, "claims": [{"name": ""}]}`: true,
	} {
		t.Run(resources, func(t *testing.T) {
			var r *pod.Resources
			require.NoError(t, json.Unmarshal([]byte(resources), &r))
			assert.Equal(t, want, isGuaranteed(r, "cpu"))
		})
	}
}
