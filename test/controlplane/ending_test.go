package controlplane_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// emptyTemp sets TMPDIR to an empty folder, so that the test sees every temporary file that is left over.
func emptyTemp(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	return folder
}

// leftovers returns the files in the folder temp, and the processes that have this folder in their arguments. Every
// process of a control plane has such an argument. Without /proc it returns files only.
func leftovers(temp string) []string {
	var found []string
	files, _ := os.ReadDir(temp)
	for _, file := range files {
		found = append(found, file.Name())
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range commands {
		command, _ := os.ReadFile(path)
		if strings.Contains(string(command), temp) {
			found = append(found, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

// assertNothingLeft stops a control plane twice, which is allowed. It fails if a file or a process is left over.
func assertNothingLeft(t *testing.T, c *controlplane.ControlPlane) {
	t.Helper()
	started := time.Now()
	assert.NoError(t, c.Stop())
	assert.NoError(t, c.Stop())
	t.Logf("stopped in %s", time.Since(started).Round(time.Millisecond))
	assert.NoDirExists(t, c.Folder())
	assert.Empty(t, leftovers(c.Folder()))
}

// killVariable is the name of an environment variable. If it is set, TestProcessToKill starts a control plane.
// TestCleanupAfterKill runs TestProcessToKill in another process, and kills that process.
const killVariable = "JUPYTER_USER_TEST_DIES"

func TestProcessToKill(t *testing.T) {
	if os.Getenv(killVariable) == "" {
		t.Skip("only a part of TestCleanupAfterKill")
	}
	_, err := controlplane.Start(context.Background(), controlplane.Options{})
	fmt.Println("started:", err)
	select {}
}

func TestCleanupAfterKill(t *testing.T) {
	temp := emptyTemp(t)
	process := exec.Command(os.Args[0], "-test.run=^TestProcessToKill$")
	process.Env = append(os.Environ(), killVariable+"=yes")
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "started:") {
		continue
	}
	require.Equal(t, "started: <nil>", lines.Text())
	require.Greater(t, len(leftovers(temp)), 3, "the folder, etcd, kube-apiserver and the guard")

	// This signal reaches the whole process group, as Ctrl-C at a terminal does. But no process can catch SIGKILL and
	// clean up.
	require.NoError(t, syscall.Kill(-process.Process.Pid, syscall.SIGKILL))
	_ = process.Wait()
	awaitNothingLeft(t, temp)
}

func awaitNothingLeft(t *testing.T, temp string) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, machine.Patience, true,
		func(context.Context) (bool, error) { return len(leftovers(temp)) == 0, nil })
	require.NoError(t, err, leftovers(temp))
}

// setAssets sets KUBEBUILDER_ASSETS to a folder with the real etcd, the real kubectl, and a script as kube-apiserver.
func setAssets(t *testing.T, script string) {
	t.Helper()
	paths, err := tools.ControlPlane(t.Context(), os.Stderr)
	require.NoError(t, err)
	folder := t.TempDir()
	for _, tool := range []tools.Tool{tools.Etcd, tools.Kubectl} {
		require.NoError(t, os.Symlink(paths[tool], filepath.Join(folder, string(tool))))
	}
	script = "#!/bin/sh\n[ \"$1\" != --help ] || exit 0\n" + script
	require.NoError(t, os.WriteFile(filepath.Join(folder, string(tools.KubeAPIServer)), []byte(script), 0o755))
	t.Setenv(tools.AssetsVariable, folder)
}

func TestFailedStart(t *testing.T) {
	setAssets(t, "echo 'there is no weather today' >&2\nexit 1\n")
	temp := emptyTemp(t)
	_, err := controlplane.Start(t.Context(), controlplane.Options{})
	require.ErrorContains(t, err, "start the control plane: ")
	require.ErrorContains(t, err, "the end of kube-apiserver.log:\nthere is no weather today")
	assert.Empty(t, leftovers(temp))
}

func TestCancelledStart(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "there")
	setAssets(t, ": >'"+mark+"'\nsleep 600\n")
	temp := emptyTemp(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("no longer wanted")
	go func() {
		_ = wait.PollUntilContextCancel(ctx, 5*time.Millisecond, true, func(context.Context) (bool, error) {
			_, err := os.Stat(mark)
			return err == nil, nil
		})
		cancel(reason)
	}()
	_, err := controlplane.Start(ctx, controlplane.Options{})
	require.ErrorIs(t, err, reason)
	assert.Empty(t, leftovers(temp))
}

func TestStartWithMissingWebhooks(t *testing.T) {
	temp := emptyTemp(t)
	_, err := controlplane.Start(t.Context(), controlplane.Options{Webhooks: []string{"missing.yaml"}})
	require.ErrorContains(t, err, "missing.yaml")
	assert.Empty(t, leftovers(temp))
}
