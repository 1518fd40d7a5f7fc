package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"golang.org/x/term"
	operations "gomodules.xyz/jsonpatch/v2"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
)

// writers are the outputs, by the name that -o takes.
var writers = map[string]func(io.Writer, []document) error{
	"yaml":  writeYAML,
	"json":  writeJSON,
	"patch": writePatch,
	"diff":  writeDiff,
}

func applyTo(raw json.RawMessage, ops []operations.Operation) (json.RawMessage, error) {
	return inject.Apply(raw, ops)
}

// writeYAML leaves a document that nothing has changed in as it was written.
func writeYAML(out io.Writer, documents []document) error {
	for i, d := range documents {
		text := d.source
		if d.changed() || bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
			admitted, err := d.admitted()
			if err != nil {
				return err
			}
			if text, err = yaml.JSONToYAML(admitted); err != nil {
				return err
			}
		}
		if i > 0 && !bytes.HasPrefix(text, []byte("---")) {
			text = append([]byte("---\n"), text...)
		}
		if _, err := out.Write(withNewline(text)); err != nil {
			return err
		}
	}
	return nil
}

func withNewline(text []byte) []byte {
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		return append(text[:len(text):len(text)], '\n')
	}
	return text
}

func writeJSON(out io.Writer, documents []document) error {
	for _, d := range documents {
		admitted, err := d.admitted()
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := json.Indent(&b, admitted, "", "  "); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// writePatch writes one JSON Patch a pod, in the order of the input.
func writePatch(out io.Writer, documents []document) error {
	for _, d := range documents {
		for _, p := range d.pods() {
			ops := p.operations
			if ops == nil {
				ops = []operations.Operation{}
			}
			encoder := json.NewEncoder(out)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(ops); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeDiff writes a unified diff a pod, from the pod as submitted to the pod as admitted.
func writeDiff(out io.Writer, documents []document) error {
	colours := coloured(out)
	for _, d := range documents {
		for _, p := range d.pods() {
			before, err := yaml.JSONToYAML(p.raw)
			if err != nil {
				return err
			}
			after, err := yaml.JSONToYAML(p.admitted)
			if err != nil {
				return err
			}
			diff := udiff.Unified(p.title()+" as submitted", p.title()+" as admitted", string(before), string(after))
			if _, err := io.WriteString(out, paint(diff, colours)); err != nil {
				return err
			}
		}
	}
	return nil
}

// coloured tells whether a person with a colour terminal reads the output (https://no-color.org).
func coloured(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// paint colours a unified diff as git does.
func paint(diff string, colours bool) string {
	if !colours {
		return diff
	}
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
