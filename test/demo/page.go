package main

import (
	_ "embed"
	"html/template"
	"os"
	"path/filepath"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// pagePath is the path of an HTML page with the same two Pods that printBeside prints.
const pagePath = "dist/demo.html"

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// pageRow is one row of the page. Kind is empty if both Pods have the line, "added" if only the right Pod has it, and
// "removed" if only the left Pod has it.
type pageRow struct{ Left, Right, Kind string }

// writePage writes a page with the command and the two Pods next to each other.
func writePage(path, command, left, right string) (err error) {
	var rows []pageRow
	for _, line := range lines(left, right) {
		text := strings.TrimSuffix(line.Content, "\n")
		switch line.Kind {
		case udiff.Equal:
			rows = append(rows, pageRow{Left: text, Right: text})
		case udiff.Insert:
			rows = append(rows, pageRow{Right: text, Kind: "added"})
		case udiff.Delete:
			rows = append(rows, pageRow{Left: text, Kind: "removed"})
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	return pageTemplate.Execute(file, map[string]any{"Command": command, "Rows": rows})
}
