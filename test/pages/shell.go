package pages

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

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

// Run runs a command and returns its output and exit status.
func (s *Shell) Run(t testing.TB, text string) (output string, status int) {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "bash", "-eo", "pipefail", "-c", text)
	shell.Dir, shell.Env = s.Folder, s.environment
	out, err := shell.CombinedOutput()
	if shell.ProcessState == nil {
		require.NoError(t, err)
	}
	return string(out), shell.ProcessState.ExitCode()
}

// Must runs a command and fails the test if the command fails.
func (s *Shell) Must(t testing.TB, text string) {
	t.Helper()
	output, status := s.Run(t, text)
	require.Zero(t, status, "%s: %s", text, output)
}
