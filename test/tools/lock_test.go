package tools

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stalledGoPath returns the path at which stallGo writes its go command.
func stalledGoPath(b *builder) string { return filepath.Join(filepath.Dir(b.cache), "go") }

// stallGo writes a go command that hangs at `go build`. It returns the path of a file that appears when the command hangs.
func stallGo(t *testing.T, b *builder) (mark string) {
	t.Helper()
	mark = stalledGoPath(b) + ".stalled"
	// In the script, exec replaces the shell, so that killing the process leaves no child.
	script := `#!/bin/sh
[ "$1" = build ] || exec go "$@"
echo $$ >"$0.new"
mv "$0.new" "$0.stalled"
exec sleep 600
`
	require.NoError(t, os.WriteFile(stalledGoPath(b), []byte(script), 0o755))
	t.Cleanup(func() {
		// The test can have failed before it ended the process.
		number, _ := os.ReadFile(mark)
		if process, err := strconv.Atoi(strings.TrimSpace(string(number))); err == nil {
			_ = syscall.Kill(process, syscall.SIGKILL)
		}
	})
	return mark
}

// await waits for a file to appear.
func await(ctx context.Context, path string) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func TestConcurrentBuilds(t *testing.T) {
	first := newFake(t)
	second := *first
	var output [2]bytes.Buffer
	first.progress, second.progress = &output[0], &output[1]

	var paths [2]string
	var errs [2]error
	var builds sync.WaitGroup
	builds.Go(func() { paths[0], errs[0] = first.build(t.Context(), fake) })
	builds.Go(func() { paths[1], errs[1] = second.build(t.Context(), fake) })
	builds.Wait()

	require.NoError(t, errs[0])
	require.NoError(t, errs[1])
	assert.Equal(t, paths[0], paths[1])
	all := output[0].String() + output[1].String()
	assert.Equal(t, 1, strings.Count(all, "fake  built in "), all)
}

func TestCancelledBuild(t *testing.T) {
	b := newFake(t)
	mark := stallGo(t, b)
	b.command = stalledGoPath(b)
	ctx, cancel := context.WithCancel(t.Context())
	var watcher sync.WaitGroup
	watcher.Go(func() {
		_ = await(ctx, mark)
		cancel()
	})
	_, err := b.build(ctx, fake)
	watcher.Wait()
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, []string{"fake.lock"}, cached(t, b))
}

// killedVariable is the name of an environment variable. If the variable is set, its value is a folder, and
// TestBuildToBeKilled starts a build there. TestKilledBuild runs TestBuildToBeKilled in another process, and kills that
// process.
const killedVariable = "JUPYTER_USER_TEST_KILLED_BUILD"

func TestBuildToBeKilled(t *testing.T) {
	folder := os.Getenv(killedVariable)
	if folder == "" {
		t.Skip("only a part of TestKilledBuild")
	}
	b := fakeBuilder(folder)
	b.command = stalledGoPath(b)
	_, err := b.build(t.Context(), fake)
	t.Fatalf("a build that never ends has ended: %v", err)
}

func TestKilledBuild(t *testing.T) {
	b := newFake(t)
	mark := stallGo(t, b)
	// The build runs in its own process, so that it can be killed. The kernel must then release the lock.
	process := exec.Command(os.Args[0], "-test.run=^TestBuildToBeKilled$")
	process.Env = append(os.Environ(), killedVariable+"="+filepath.Dir(b.cache))
	require.NoError(t, process.Start())
	require.NoError(t, await(t.Context(), mark))
	require.Len(t, cached(t, b), 2, "a partial folder and the lock")
	require.NoError(t, process.Process.Kill())
	_ = process.Wait()

	path, err := b.build(t.Context(), fake)
	require.NoError(t, err)
	assert.FileExists(t, path)
	assert.ElementsMatch(t, []string{"fake.lock", filepath.Base(filepath.Dir(path))}, cached(t, b))
}
