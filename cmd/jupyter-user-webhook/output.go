package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"golang.org/x/term"

	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// writers are the outputs, by the name that -o takes.
var writers = map[string]func(*bytes.Buffer, []document) error{
	"yaml":  writeYAML,
	"json":  writeJSON,
	"patch": writePatch,
	"diff":  writeDiff,
}

// writeYAML leaves a document that nothing has changed in as it was written, to the byte.
func writeYAML(out *bytes.Buffer, documents []document) error {
	for _, d := range documents {
		out.Write(d.separator)
		if d.isYAML && !d.changed() {
			out.Write(d.source)
			continue
		}
		if len(d.separator) > 0 {
			out.WriteByte('\n')
		}
		admitted, err := d.admitted()
		if err != nil {
			return err
		}
		text, err := toYAML(admitted)
		if err != nil {
			return err
		}
		out.Write(text)
	}
	return nil
}

func writeJSON(out *bytes.Buffer, documents []document) error {
	for _, d := range documents {
		if string(d.json) == "null" {
			continue
		}
		admitted, err := d.admitted()
		if err != nil {
			return err
		}
		if err := json.Indent(out, admitted, "", "  "); err != nil {
			return err
		}
		out.WriteByte('\n')
	}
	return nil
}

// writePatch writes one JSON Patch a pod, in the order of the input.
func writePatch(out *bytes.Buffer, documents []document) error {
	for _, d := range documents {
		for _, p := range d.pods() {
			if err := json.Indent(out, pod.AppendPatch(nil, p.decision.Operations), "", "  "); err != nil {
				return err
			}
			out.WriteByte('\n')
		}
	}
	return nil
}

// unescaped turns the escapes that encoding/json makes for the sake of HTML back into <, > and &, which commands are full
// of. In JSON a backslash is always the first of an escape, so none is mistaken.
func unescaped(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		width := 1
		if raw[0] == '\\' {
			width = 2
		}
		if len(raw) >= 6 {
			switch string(raw[:6]) {
			case `\u003c`, `\u003e`, `\u0026`:
				out = append(out, map[byte]byte{'c': '<', 'e': '>', '6': '&'}[raw[5]])
				raw = raw[6:]
				continue
			}
		}
		width = min(width, len(raw))
		out = append(out, raw[:width]...)
		raw = raw[width:]
	}
	return out
}

// writeDiff writes a unified diff a pod, from the pod as submitted to the pod as admitted.
func writeDiff(out *bytes.Buffer, documents []document) error {
	for _, d := range documents {
		for _, p := range d.pods() {
			before, err := toYAML(p.raw)
			if err != nil {
				return err
			}
			after, err := toYAML(p.admitted)
			if err != nil {
				return err
			}
			// Line by line: the library's own choice splits lines, and marks ones as changed that are not.
			edits := udiff.Lines(string(before), string(after))
			diff, err := udiff.ToUnified(p.title()+" as submitted", p.title()+" as admitted", string(before), edits,
				udiff.DefaultContextLines)
			if err != nil {
				return err
			}
			out.WriteString(diff)
		}
	}
	return nil
}

// coloured tells whether a reader with a colour terminal reads the output (https://no-color.org).
func coloured(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// paint colours a unified diff as git does.
func paint(diff string) string {
	var b strings.Builder
	for line := range strings.Lines(diff) {
		colour := ""
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
			colour = "\x1b[1m"
		case strings.HasPrefix(line, "@@"):
			colour = "\x1b[36m"
		case strings.HasPrefix(line, "+"):
			colour = "\x1b[32m"
		case strings.HasPrefix(line, "-"):
			colour = "\x1b[31m"
		}
		if colour == "" {
			b.WriteString(line)
			continue
		}
		b.WriteString(colour + strings.TrimSuffix(line, "\n") + "\x1b[0m\n")
	}
	return b.String()
}
