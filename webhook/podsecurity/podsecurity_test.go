package podsecurity_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/pod-security-admission/api"

	"jupyter-user.io/jupyter-user-webhook/webhook/podsecurity"
)

const strict = `"securityContext":{"runAsNonRoot":true,"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},` +
	`"seccompProfile":{"type":"RuntimeDefault"}}`

func TestLevels(t *testing.T) {
	levels, err := podsecurity.NewLevels()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		spec   string
		level  api.Level
		next   api.Level
		misses []string
	}{
		"restricted": {`{"containers":[{"name":"a",` + strict + `}]}`, "restricted", "", nil},
		"baseline": {`{"securityContext":{"runAsUser":0},"containers":[{"name":"a",` + strict + `}]}`, "baseline", "restricted",
			[]string{"runAsUser=0 (pod must not set runAsUser=0)"}},
		"privileged": {`{"hostNetwork":true,"containers":[{"name":"a",` + strict + `}]}`, "privileged", "baseline",
			[]string{"host namespaces (hostNetwork=true)"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := levels.Of([]byte(`{"spec":` + c.spec + `}`))
			require.NoError(t, err)
			assert.Equal(t, podsecurity.Level{Meets: c.level, Next: c.next, Misses: c.misses}, got)
		})
	}
	_, err = levels.Of([]byte(`{"spec":{"hostNetwork":"yes"}}`))
	assert.ErrorContains(t, err, "an API server could not read this Pod: ")
}
