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

// writers has the function that writes documents, for each value of the flag -o.
var writers = map[string]func(*bytes.Buffer, []document) error{
	"yaml":  writeYAML,
	"json":  writeJSON,
	"patch": writePatch,
	"diff":  writeDiff,
}

// writeYAML writes the documents as YAML. A YAML document without changes is written byte for byte as it was read.
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

// writePatch writes one JSON Patch for each Pod, in the order of the input.
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

// unescaped restores <, > and &, which encoding/json escapes for HTML and which are frequent in commands. It skips other
// escapes, such as \\, so that an escaped backslash before u003c is left as it is.
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

// writeDiff writes a unified diff for each Pod, from the Pod as submitted to the Pod as admitted.
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
			// udiff.Lines compares whole lines. udiff.Strings would also find differences within lines.
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

// coloured reports whether the output is a terminal, and neither NO_COLOR (https://no-color.org) nor TERM=dumb is set.
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
