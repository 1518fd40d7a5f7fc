// Package deploy contains the shipped manifests, so that a cluster can be compared with them.
package deploy

import (
	_ "embed"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
)

//go:embed install.yaml
var install string

// Rendered is what Helm makes of the chart in this folder. It writes above each document which of the chart's files it comes
// from, and sorts the documents by kind.
type Rendered string

// Install is the chart as it is shipped for kubectl: rendered with the values that it has by itself.
func Install() Rendered { return Rendered(install) }

// Files are the names of the files of what is shipped for kubectl.
func Files() []string { return Install().Files() }

// Read is a file of what is shipped for kubectl.
func Read(name string) (string, error) { return Install().Read(name) }

// Files are the names of the chart's files, each with a number by which they have an order.
func (r Rendered) Files() (names []string) {
	for name := range r.documents() {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Read is what a file of the chart has become: its documents, in their order.
func (r Rendered) Read(name string) (string, error) {
	var found []string
	for from, text := range r.documents() {
		if from == name {
			found = append(found, text)
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("nothing of %q has been rendered", name)
	}
	return strings.Join(found, separator) + "\n", nil
}

// Policies are the policies that are shipped, and what they need to be in effect, in their order.
func Policies() (manifests []string, err error) {
	for _, file := range Files() {
		if file != "00-namespace.yaml" && !strings.HasPrefix(file, "6") {
			continue
		}
		manifest, err := Read(file)
		if err != nil {
			return nil, err
		}
		manifests = append(manifests, manifest)
	}
	return manifests, nil
}

const separator = "\n---\n"

// documents are all of them, by the files that they come from.
func (r Rendered) documents() iter.Seq2[string, string] {
	return func(yield func(name, text string) bool) {
		for document := range strings.SplitSeq("\n"+string(r), separator) {
			head, text, _ := strings.Cut(document, "\n")
			name, is := strings.CutPrefix(head, "# Source: ")
			if is && !yield(path.Base(name), strings.TrimRight(text, "\n")) {
				return
			}
		}
	}
}
