package pages

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShellEndsCommandThatHangs(t *testing.T) {
	t.Parallel()
	s := NewShell(t, nil, nil, "sleep")
	_, _, err := s.run(t.Context(), "echo begun; sleep 1000; echo ended", 5*time.Second)
	assert.EqualError(t, err, "the command did not end within 5s: echo begun; sleep 1000; echo ended: begun\n")
	output, status, err := s.run(t.Context(), "echo begun; exit 3", time.Minute)
	require.NoError(t, err)
	assert.Equal(t, "begun\n", output)
	assert.Equal(t, 3, status)
}
