// Package deploy holds the manifests as they are shipped, for whoever compares a cluster with them.
package deploy

import (
	_ "embed"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
)

// install is the chart in this folder, rendered. Helm writes above each document which of the chart's files it comes from, and
// sorts the documents by kind.
//
//go:embed install.yaml
var install string

// Files are the names of the chart's files, each with a number by which they have an order.
func Files() (names []string) {
	for document := range documents() {
		if name, _ := source(document); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Read is what a file of the chart has become: its documents, in their order.
func Read(name string) (string, error) {
	var found []string
	for document := range documents() {
		if from, text := source(document); from == name {
			found = append(found, text)
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("deploy/install.yaml has nothing of %q", name)
	}
	return strings.Join(found, separator) + "\n", nil
}

const separator = "\n---\n"

func documents() iter.Seq[string] {
	return strings.SplitSeq(strings.Trim(strings.TrimPrefix(install, "---"), "\n"), separator)
}

// source takes off a document's first line, and answers the file that it names.
func source(document string) (name, text string) {
	head, text, _ := strings.Cut(document, "\n")
	return path.Base(strings.TrimPrefix(head, "# Source: ")), strings.TrimRight(text, "\n")
}
