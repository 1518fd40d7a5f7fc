package progress

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLines(t *testing.T) {
	var got []string
	l := &Lines{Each: func(line string) { got = append(got, line) }}
	for _, piece := range []string{"a", "b\nc\n\n", "d"} {
		n, err := l.Write([]byte(piece))
		require.NoError(t, err)
		assert.Len(t, piece, n)
	}
	assert.Equal(t, []string{"ab", "c", ""}, got)
}

func TestTail(t *testing.T) {
	tail := &Tail{}
	for i := range tailLines + 5 {
		tail.Add(string(rune('a' + i)))
	}
	assert.Len(t, tail.lines, tailLines)
	assert.Equal(t, "f", tail.lines[0])
}
