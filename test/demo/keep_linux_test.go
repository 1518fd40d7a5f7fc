package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// TestKeepUntilInterrupt runs make demo KEEP=1, waits until everything runs, and sends the signal of Ctrl-C. Then make
// must print no error, the last line must say that everything was removed, and no process and no folder may be left.
func TestKeepUntilInterrupt(t *testing.T) {
	m := startMake(t, "demo", "KEEP=1")
	printed := m.await(t, "tail -f ")
	folder := filepath.Dir(regexp.MustCompile(`tail -f (\S+)`).FindStringSubmatch(printed)[1])
	require.NotEmpty(t, processesWith(t, folder), "the control plane and the webhook run")
	m.interrupt(t)
	assert.True(t, strings.HasSuffix(m.printed.String(), "\n\nEverything was removed.\n"), "%s", &m.printed)
	assert.Empty(t, processesWith(t, folder))
	assert.NoDirExists(t, folder)
}

// TestKeepNodeUntilInterrupt runs make e2e KEEP=1, and sends the signal of Ctrl-C before the node is up. On a new machine
// the node's programs and images are built first, which takes minutes, so the test runs only in make e2e.
func TestKeepNodeUntilInterrupt(t *testing.T) {
	if os.Getenv("E2E") == "" || os.Geteuid() != 0 {
		t.Skip("skipped: make e2e, as root, has what a node needs")
	}
	m := startMake(t, "e2e", "KEEP=1")
	m.await(t, "programs\n")
	m.interrupt(t)
	assert.True(t, strings.HasSuffix(m.printed.String(), "\nEverything was removed.\n"), "%s", &m.printed)
	assert.NotRegexp(t, `error:|FAIL\s`, m.printed.String())
}

// A terminal runs make like a user's terminal: Ctrl-C goes to make and all the programs that make runs.
type terminal struct {
	*exec.Cmd
	out     io.Reader
	printed bytes.Buffer
}

func startMake(t *testing.T, arguments ...string) *terminal {
	t.Helper()
	folder, err := project.Folder()
	require.NoError(t, err)
	m := &terminal{Cmd: exec.CommandContext(t.Context(), "make", append([]string{"--no-print-directory", "-C", folder}, arguments...)...)}
	m.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=")
	m.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	m.Cancel = func() error { return syscall.Kill(-m.Process.Pid, syscall.SIGTERM) }
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	m.out, m.Stdout, m.Stderr = reader, writer, writer
	require.NoError(t, m.Start())
	require.NoError(t, writer.Close())
	return m
}

// await reads until a text is printed, and returns all that was printed so far.
func (m *terminal) await(t *testing.T, text string) string {
	t.Helper()
	part := make([]byte, 4096)
	for !strings.Contains(m.printed.String(), text) {
		n, err := m.out.Read(part)
		m.printed.Write(part[:n])
		require.NoError(t, err, "%s", m.printed.String())
	}
	return m.printed.String()
}

// interrupt sends the signal of Ctrl-C, and waits until make has ended. The signal must have ended make, because an exit
// status does not tell a shell that the user pressed Ctrl-C.
func (m *terminal) interrupt(t *testing.T) {
	t.Helper()
	require.NoError(t, syscall.Kill(-m.Process.Pid, syscall.SIGINT))
	_, err := io.Copy(&m.printed, m.out)
	require.NoError(t, err)
	_ = m.Wait()
	status := m.ProcessState.Sys().(syscall.WaitStatus)
	assert.True(t, status.Signaled() && status.Signal() == syscall.SIGINT, "%s", m.ProcessState)
	assert.NotContains(t, m.printed.String(), "***")
}

// processesWith returns the command lines of the processes that have the folder in an argument.
func processesWith(t *testing.T, folder string) (found []string) {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, path := range commands {
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(folder)) {
			found = append(found, string(bytes.ReplaceAll(data, []byte{0}, []byte{' '})))
		}
	}
	return found
}
