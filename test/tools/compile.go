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
)

const (
	// endingTime is how long a go command that was asked to end may take for it.
	endingTime = 10 * time.Second
	// tailLines is how much of the go command's output an error shows.
	tailLines = 25
)

// compile builds a tool's program into a folder.
func (b *builder) compile(ctx context.Context, r recipe, tool Tool, folder string) error {
	m := startMeter(b.progress, tool, "building, once; later runs find it in the cache")
	defer m.end("")
	packages, err := b.packages(ctx, r, m)
	if err != nil {
		return err
	}
	arguments, err := r.arguments(b.modules)
	if err != nil {
		return err
	}
	arguments = append([]string{"build", "-v"}, append(arguments, "-o", filepath.Join(folder, string(tool)), r.mainPackage)...)
	m.expect(len(packages))
	said := &tail{}
	command := b.goCommand(ctx, r, arguments...)
	// A go command that is interrupted leaves its temporary files. Here they go wherever the folder goes.
	temporary, err := os.MkdirTemp(folder, "tmp-")
	if err != nil {
		return fmt.Errorf("create a folder for the go command: %w", err)
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	command.Env = append(command.Env, "GOTMPDIR="+temporary)
	output := &lines{each: func(line string) {
		if !packages[line] {
			said.add(line)
			return
		}
		m.compiled()
		if line == r.mainPackage {
			// Everything it imports is compiled by now, and linking, which go build -v says nothing about, comes next.
			m.say("linking")
		}
	}}
	if err := run(ctx, r, command, output, said); err != nil {
		return err
	}
	m.end("built")
	return nil
}

// packages lists what the tool consists of, downloading its modules if need be.
func (b *builder) packages(ctx context.Context, r recipe, m *meter) (map[string]bool, error) {
	var listed bytes.Buffer
	said := &tail{}
	command := b.goCommand(ctx, r, "list", "-deps", r.mainPackage)
	command.Stdout = &listed
	output := &lines{each: func(line string) {
		if strings.HasPrefix(line, "go: downloading ") {
			m.downloaded()
			return
		}
		said.add(line)
	}}
	if err := run(ctx, r, command, output, said); err != nil {
		return nil, err
	}
	packages := map[string]bool{}
	for name := range strings.Lines(listed.String()) {
		packages[strings.TrimSpace(name)] = true
	}
	return packages, nil
}

// run runs a go command. If that fails, what it said is in the error.
func run(ctx context.Context, r recipe, command *exec.Cmd, stderr io.Writer, said *tail) error {
	command.Stderr = stderr
	err := command.Run()
	if err == nil {
		return nil
	}
	if err := goCommandError(ctx, err); len(said.lines) == 0 || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w from `go %s %s` in %s, which said:\n%s", err, command.Args[1], r.mainPackage,
		path.Join("test/tools", r.folder), strings.Join(said.lines, "\n"))
}

// lines hands what is written to it on by the line.
type lines struct {
	each    func(line string)
	pending []byte
}

// Write never fails.
func (l *lines) Write(data []byte) (int, error) {
	l.pending = append(l.pending, data...)
	for {
		line, rest, found := bytes.Cut(l.pending, []byte("\n"))
		if !found {
			return len(data), nil
		}
		l.each(string(line))
		l.pending = rest
	}
}

// A tail is the last lines of an output.
type tail struct {
	lines []string
}

func (t *tail) add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}
