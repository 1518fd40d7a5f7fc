package tools

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

const (
	// stallPatience is the time without any received data after which a download is treated as hanging.
	stallPatience = 10 * time.Second
	// downloadLimit is the longest time for a download. After a failed download the programs
	// are built from source, which takes about as long, so a longer wait has no use.
	downloadLimit = 7 * time.Minute
)

// envtest runs setup-envtest and adds time limits, which setup-envtest does not have.
type envtest struct {
	// program is the path of setup-envtest.
	program string
	// index is the URL of an index of releases. If it is empty, setup-envtest uses its own index.
	index string
	// patience is the longest time for which a connection may receive nothing: stallPatience, or a shorter time in tests.
	patience time.Duration
}

// installed returns the patch releases of a minor release that setup-envtest has installed on this machine, newest first.
func (e envtest) installed(ctx context.Context, minor string) ([]string, error) {
	output, err := e.run(ctx, "", "list", "--installed-only", strings.TrimPrefix(minor, "v"))
	return releases(output, "(installed)"), err
}

// available returns the patch releases of a minor release in the index, newest first. setup-envtest writes only into the
// given folder.
func (e envtest) available(ctx context.Context, folder, minor string) ([]string, error) {
	output, err := e.run(ctx, folder, e.remote("list", folder, minor)...)
	return releases(output, "(available)"), err
}

// fetch downloads a release into the given folder, and returns the folder of its programs.
func (e envtest) fetch(ctx context.Context, folder, release string) (string, error) {
	return e.run(ctx, folder, append([]string{"--print", "path"}, e.remote("use", folder, release)...)...)
}

func (e envtest) remote(command, folder, version string) []string {
	arguments := []string{"--bin-dir", folder}
	if e.index != "" {
		arguments = append(arguments, "--index", e.index)
	}
	return append(arguments, command, strings.TrimPrefix(version, "v"))
}

// releases returns the versions that have the given state in the output of `setup-envtest list`. Each line has a state, a
// version and a platform.
func releases(list, state string) []string {
	var found []string
	for line := range strings.Lines(list) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == state {
			found = append(found, fields[1])
		}
	}
	return found
}

// choose returns the wanted release if it is one of the candidates. Otherwise it returns the newest patch release of the
// same minor release, or an empty string if there is none. The candidates must have the newest release first. No test
// depends on a patch release.
func choose(candidates []string, wanted string) string {
	if slices.Contains(candidates, wanted) {
		return wanted
	}
	for _, release := range candidates {
		if semver.MajorMinor(release) == semver.MajorMinor(wanted) {
			return release
		}
	}
	return ""
}

// run runs setup-envtest for at most downloadLimit, and returns its output. Unless the argument "folder" is an empty string,
// setup-envtest writes its download there, and run ends setup-envtest when the folder's size has not changed for e.patience.
func (e envtest) run(ctx context.Context, folder string, arguments ...string) (string, error) {
	ctx, stop := context.WithTimeoutCause(ctx, downloadLimit, fmt.Errorf("it took longer than %s", downloadLimit))
	defer stop()
	ctx, stall := context.WithCancelCause(ctx)
	defer stall(nil)
	command := exec.CommandContext(ctx, e.program, arguments...)
	command.WaitDelay = endingTime
	var out, stderr bytes.Buffer
	command.Stdout, command.Stderr = &out, &stderr
	if folder != "" {
		command.Env = append(command.Environ(), "TMPDIR="+folder)
		go e.watch(ctx, folder, stall)
	}
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", fmt.Errorf("setup-envtest failed: %w: %s", err, summary(stderr.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// watch calls the function "stall" when the size of a folder has not changed for e.patience.
func (e envtest) watch(ctx context.Context, folder string, stall context.CancelCauseFunc) {
	ticker := time.NewTicker(e.patience / 20)
	defer ticker.Stop()
	grew, before := time.Now(), size(folder)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if now := size(folder); now != before {
			grew, before = time.Now(), now
		}
		if time.Since(grew) >= e.patience {
			stall(fmt.Errorf("the connection hangs: nothing arrived for %s", e.patience))
			return
		}
	}
}

// size returns the number of bytes of all files in a folder. It ignores files that disappear in the meantime.
func size(folder string) (bytes int64) {
	_ = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// moveOut moves the programs from the folder in which setup-envtest has unpacked them. That folder is read-only, so moveOut
// makes it writable first.
func moveOut(from, to string) error {
	if err := os.Chmod(from, 0o755); err != nil {
		return fmt.Errorf("take what was downloaded: %w", err)
	}
	for _, tool := range ControlPlaneTools() {
		if err := os.Rename(filepath.Join(from, string(tool)), filepath.Join(to, string(tool))); err != nil {
			return fmt.Errorf("the archive lacks a program: %w", err)
		}
	}
	return nil
}

// summary returns a text in one line, so that it fits into a sentence.
func summary(text string) string { return strings.Join(strings.Fields(text), " ") }
