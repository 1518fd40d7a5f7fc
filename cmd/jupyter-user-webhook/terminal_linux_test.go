package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openTerminal opens a pseudo-terminal and returns its two ends. The test reads from the end "master" what a program writes
// to the end "terminal".
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here")
	}
	t.Cleanup(func() { _ = master.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = terminal.Close() })
	return master, terminal
}

// TestDiffColours tests that a diff on a terminal is coloured, unless NO_COLOR or TERM=dumb is set.
func TestDiffColours(t *testing.T) {
	for name, c := range map[string]struct {
		output, noColor, term string
		coloured              bool
	}{
		"a diff on a terminal":       {"diff", "", "xterm-256color", true},
		"NO_COLOR=1":                 {"diff", "1", "xterm-256color", false},
		"a terminal without colours": {"diff", "", "dumb", false},
		"a pod on a terminal":        {"yaml", "", "xterm-256color", false},
		"a patch on a terminal":      {"patch", "", "xterm-256color", false},
		"NO_COLOR=0":                 {"diff", "0", "xterm-256color", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NO_COLOR", c.noColor)
			t.Setenv("TERM", c.term)
			master, terminal := openTerminal(t)
			seen := make(chan string)
			go func() {
				text, _ := io.ReadAll(master) // ReadAll returns an error when the other end closes
				seen <- string(text)
			}()
			status := run(t.Context(), []string{"inject", "-f", "-", "-o", c.output}, strings.NewReader(alice), terminal, io.Discard)
			require.NoError(t, terminal.Close())
			require.Zero(t, status)
			text := <-seen
			assert.NotEmpty(t, text)
			assert.Equal(t, c.coloured, strings.Contains(text, "\x1b[32m+"))
			assert.Equal(t, c.coloured, strings.Contains(text, "\x1b["))
		})
	}

	t.Run("a file", func(t *testing.T) {
		t.Setenv("NO_COLOR", "")
		t.Setenv("TERM", "xterm-256color")
		out, err := os.Create(file(t, "out", ""))
		require.NoError(t, err)
		defer out.Close() //nolint:errcheck // the file is read below
		require.Zero(t, run(t.Context(), []string{"inject", "-f", "-", "-o", "diff"}, strings.NewReader(alice), out, io.Discard))
		text, err := os.ReadFile(out.Name())
		require.NoError(t, err)
		assert.NotContains(t, string(text), "\x1b")
	})
}
