// Package deploy contains deploy/install.yaml, for tests and tools.
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

// Rendered is the output of Helm for the chart in this folder. Helm writes the name of the template above each document,
// and sorts the documents by kind.
type Rendered string

// Install returns the manifest for kubectl: the chart, rendered with its default values and createNamespace=true.
func Install() Rendered { return Rendered(install) }

// Files returns the names of the templates of the manifest for kubectl, sorted.
func Files() []string { return Install().Files() }

// Read returns the documents of one template of the manifest for kubectl.
func Read(name string) (string, error) { return Install().Read(name) }

// Files returns the names of the templates, sorted.
func (r Rendered) Files() (names []string) {
	for name := range r.documents() {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Read returns the documents of one template.
func (r Rendered) Read(name string) (string, error) {
	var found []string
	for from, text := range r.documents() {
		if from == name {
			found = append(found, text)
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("there is no document of %q", name)
	}
	return strings.Join(found, separator) + "\n", nil
}

// Policies returns the Namespace, and the policies with their bindings: one text for each template. The names of the
// templates with policies begin with 6.
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

// documents returns the name of the template and the text of each document.
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
