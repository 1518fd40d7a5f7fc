package tools

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/progress"
)

// endingTime is the time in which a go command or setup-envtest must end after it was cancelled.
const endingTime = 10 * time.Second

// compile builds a tool's program into a folder.
func (b *builder) compile(ctx context.Context, r recipe, tool Tool, folder string) error {
	m := progress.Start(b.progress, string(tool), "building, once; later runs find it in the cache")
	defer m.End("")
	packages, err := b.packages(ctx, r, m)
	if err != nil {
		return err
	}
	arguments, err := r.arguments(b.modules)
	if err != nil {
		return err
	}
	arguments = append([]string{"build", "-v"}, append(arguments, "-o", filepath.Join(folder, string(tool)), r.mainPackage)...)
	m.Expect(len(packages))
	tail := &progress.Tail{}
	command := b.goCommand(ctx, r, arguments...)
	// An interrupted go command leaves temporary files behind. So the command gets a temporary folder, which compile removes.
	temporary, err := os.MkdirTemp(folder, "tmp-")
	if err != nil {
		return fmt.Errorf("create a folder for the go command: %w", err)
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	command.Env = append(command.Env, "GOTMPDIR="+temporary)
	output := &progress.Lines{Each: func(line string) {
		if !packages[line] {
			tail.Add(line)
			return
		}
		m.Compiled()
		if line == r.mainPackage {
			// All imports are compiled now. go build links next, and -v does not show that.
			m.Say("linking")
		}
	}}
	if err := run(ctx, r, command, output, tail); err != nil {
		return err
	}
	m.End("built")
	return nil
}

// packages returns the main package of a tool and all packages that it needs. To find them, the go command downloads
// missing modules.
func (b *builder) packages(ctx context.Context, r recipe, m *progress.Meter) (map[string]bool, error) {
	var listed bytes.Buffer
	tail := &progress.Tail{}
	command := b.goCommand(ctx, r, "list", "-deps", r.mainPackage)
	command.Stdout = &listed
	output := &progress.Lines{Each: func(line string) {
		if strings.HasPrefix(line, "go: downloading ") {
			m.Downloaded()
			return
		}
		tail.Add(line)
	}}
	if err := run(ctx, r, command, output, tail); err != nil {
		return nil, err
	}
	packages := map[string]bool{}
	for name := range strings.Lines(listed.String()) {
		packages[strings.TrimSpace(name)] = true
	}
	return packages, nil
}

// run runs a go command. If the command fails, the error contains tail, the end of the command's output. After a
// cancellation of ctx, the error has only the cause.
func run(ctx context.Context, r recipe, command *exec.Cmd, stderr io.Writer, tail *progress.Tail) error {
	command.Stderr = stderr
	err := command.Run()
	if err == nil {
		return nil
	}
	if err := goCommandError(ctx, err); tail.String() == "" || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w from `go %s %s` in %s, which said:\n%s", err, command.Args[1], r.mainPackage,
		path.Join("test/tools", r.folder), tail)
}
