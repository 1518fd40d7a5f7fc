package lookups

import (
	"errors"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

// TestResults tests the value of the label "result" for each way in which a lookup can end. Of these values,
// an alert counts only "error".
func TestResults(t *testing.T) {
	for want, c := range map[string]struct {
		id  *identity.Identity
		err error
	}{
		"found":    {id: &identity.Identity{UID: 5001, GID: 6001}},
		"missing":  {},
		"unusable": {err: &identity.Unusable{}},
		"error":    {err: errors.New("the server does not respond")},
	} {
		m, err := New(nil, "share")
		require.NoError(t, err)
		m.Count(Miss, c.id, c.err)
		for name, counter := range m.counters[Miss] {
			counted := &dto.Metric{}
			require.NoError(t, counter.Write(counted))
			assert.Equal(t, string(name) == want, counted.GetCounter().GetValue() == 1, "%s: %s", want, name)
		}
	}
}
