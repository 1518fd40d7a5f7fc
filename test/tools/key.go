package tools

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// goVariables are the settings of the go command that change the built program.
var goVariables = []string{
	"GOVERSION", "GOOS", "GOARCH", "GO386", "GOAMD64", "GOARM", "GOARM64", "GOMIPS", "GOMIPS64", "GOPPC64", "GORISCV64",
	"GOWASM", "GOEXPERIMENT", "GOFIPS140", "GOFLAGS",
}

// ingredients returns every input of the build of a tool, one per line, for cache.Entry. A file is listed with its hash.
func (b *builder) ingredients(ctx context.Context, r recipe) (string, error) {
	arguments, err := r.arguments(b.modules)
	if err != nil {
		return "", err
	}
	// go env runs in the tool's folder, because its go.mod can select another toolchain.
	settings, err := b.goCommand(ctx, r, append([]string{"env", "-json"}, goVariables...)...).Output()
	if err != nil {
		return "", goCommandError(ctx, err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "recipe %d\npackage %s\n", recipeVersion, r.mainPackage)
	fmt.Fprintf(&text, "arguments %s\nenvironment %s\n", strings.Join(arguments, " "), strings.Join(environment(), " "))
	// Some folders also have the Go files of a program of this project.
	folder := os.DirFS(filepath.Join(b.modules, r.folder))
	names := []string{"go.mod", "go.sum"}
	for _, pattern := range []string{"*.go", "*/*.go"} {
		sources, err := fs.Glob(folder, pattern)
		if err != nil {
			return "", fmt.Errorf("find the sources of the tool: %w", err)
		}
		names = append(names, sources...)
	}
	for _, name := range names {
		data, err := fs.ReadFile(folder, name)
		if err != nil {
			return "", fmt.Errorf("read the sources of the tool: %w", err)
		}
		fmt.Fprintf(&text, "%s %x\n", name, sha256.Sum256(data))
	}
	text.Write(settings)
	return text.String(), nil
}

// goCommand returns a go command that runs in the folder of a tool's module.
func (b *builder) goCommand(ctx context.Context, r recipe, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, b.command, arguments...)
	command.Dir = filepath.Join(b.modules, r.folder)
	command.Env = append(command.Environ(), environment()...)
	// The go command gets an interrupt and not a kill: after an interrupt, it starts no new process and waits for those that
	// run, such as compilers. After a kill, they would go on alone.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = endingTime
	return command
}

// goCommandError returns the error of a failed go command, with the cause: the cancellation of ctx, a missing go command,
// or what the command printed.
func goCommandError(ctx context.Context, err error) error {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("the go command is not on PATH: install Go from https://go.dev/dl, or set %s to a folder that "+
			"has the control plane's programs: %w", AssetsVariable, err)
	case errors.As(err, &exit) && len(exit.Stderr) > 0:
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	default:
		return err
	}
}
