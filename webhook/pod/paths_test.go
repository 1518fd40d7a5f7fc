package pod_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

func TestInside(t *testing.T) {
	for _, c := range []struct {
		inner, outer string
		want         bool
	}{
		{"/home/alice", "/home", true},
		{"/home/alice", "/", true},
		{"/home", "/home", false},
		{"/", "/", false},
		{"/", "/home", false},
		{"/homes/alice", "/home", false},
		{"home/alice", "home", true},
	} {
		assert.Equal(t, c.want, pod.Inside(c.inner, c.outer), "%s in %s", c.inner, c.outer)
	}
}
