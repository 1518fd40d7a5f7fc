package handoff_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

func TestBelowImagesHome(t *testing.T) {
	for _, c := range []struct {
		dir, home, below string
		ok               bool
	}{
		{"/home/jovyan", "/home/alice", "", true},
		{"/home/jovyan/.cache/", "/home/alice", "/.cache", true},
		{"/home/rstudio", "/home/alice", "", true},
		{"/home//rstudio/work", "/home/alice", "/work", true},
		{"/home/rstudio", "/home/rstudio", "", false},
		{"/home/jovyan/alice/work", "/home/jovyan/alice", "", false},
		{"/home/jovyan/bob", "/home/jovyan/alice", "/bob", true},
		{"/home/jovyan2", "/home/alice", "", false},
		{"/home/alice", "/home/alice", "", false},
		{"home/jovyan", "/home/alice", "", false},
		{"", "/home/alice", "", false},
	} {
		below, ok := handoff.BelowImagesHome(c.dir, c.home)
		assert.Equal(t, c.ok, ok, c.dir)
		assert.Equal(t, c.below, below, c.dir)
	}
}
