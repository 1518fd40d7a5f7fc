package pages

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A Shell runs commands of the pages in a folder of its own.
type Shell struct {
	Folder      string
	environment []string
}

// NewShell returns a shell. The keys of the map "programs" are the names that the pages use, and its values are the paths
// of the files to run. The programs in "others", and bash, must be in PATH: if one is missing, the test is skipped.
func NewShell(t testing.TB, environment []string, programs map[string]string, others ...string) *Shell {
	t.Helper()
	for _, name := range append(others, "bash") {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("skipped: the commands of the pages use %s, which is not in PATH", name)
		}
	}
	s := &Shell{Folder: t.TempDir()}
	own := t.TempDir()
	for name, program := range programs {
		require.NoError(t, os.Symlink(program, filepath.Join(own, name)))
	}
	s.environment = append(environment, "PATH="+own+":"+os.Getenv("PATH"), "HOME="+s.Folder, "HELM_CACHE_HOME="+s.Folder,
		"HELM_CONFIG_HOME="+s.Folder, "HELM_DATA_HOME="+s.Folder)
	return s
}

// limit is the longest time that a command may take. A command that hangs would otherwise stop the tests for an hour, and nothing would
// name it. The slowest command waits ten minutes for a notebook.
const limit = 15 * time.Minute

// Run runs a command and returns its output and exit status. It fails the test if the command does not end within the limit.
func (s *Shell) Run(t testing.TB, text string) (output string, status int) {
	t.Helper()
	output, status, err := s.run(t.Context(), text, limit)
	require.NoError(t, err)
	return output, status
}

func (s *Shell) run(ctx context.Context, text string, limit time.Duration) (output string, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-eo", "pipefail", "-c", text)
	shell.Dir, shell.Env = s.Folder, s.environment
	// At the limit, the programs that bash has started end too. Otherwise they would keep the pipe open.
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	out, err := shell.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return "", 0, fmt.Errorf("the command did not end within %s: %s: %s", limit, text, out)
	case shell.ProcessState == nil:
		return "", 0, err
	}
	return string(out), shell.ProcessState.ExitCode(), nil
}

// Must runs a command and fails the test if the command fails.
func (s *Shell) Must(t testing.TB, text string) {
	t.Helper()
	output, status := s.Run(t, text)
	require.Zero(t, status, "%s: %s", text, output)
}
