package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"
)

// Fields that a cluster adds to every Pod. The demo leaves them out, so that the reader sees only the changes by the
// webhook.
var (
	clusterMetadata = []string{"creationTimestamp", "generation", "namespace", "resourceVersion", "uid", "managedFields"}
	clusterSpec     = []string{"dnsPolicy", "enableServiceLinks", "preemptionPolicy", "priority", "restartPolicy", "schedulerName",
		"serviceAccount", "serviceAccountName", "terminationGracePeriodSeconds", "tolerations"}
	clusterContainer = []string{"terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy"}
)

// readable returns both Pods without the fields that a cluster adds to every Pod.
func readable(before, after string) (left, right string, err error) {
	if left, err = withoutCluster(before); err != nil {
		return "", "", err
	}
	right, err = withoutCluster(after)
	return left, right, err
}

func withoutCluster(text string) (string, error) {
	var pod map[string]any
	if err := yaml.Unmarshal([]byte(text), &pod); err != nil {
		return "", err
	}
	delete(pod, "status")
	deleteKeys(pod["metadata"], clusterMetadata)
	deleteKeys(pod["spec"], clusterSpec)
	spec, _ := pod["spec"].(map[string]any)
	for _, list := range []string{"initContainers", "containers"} {
		containers, _ := spec[list].([]any)
		for _, c := range containers {
			deleteKeys(c, clusterContainer)
			withoutToken(c, "volumeMounts")
			if container, _ := c.(map[string]any); container != nil && isEmpty(container["resources"]) {
				delete(container, "resources")
			}
		}
	}
	withoutToken(pod["spec"], "volumes")
	out, err := yaml.Marshal(pod)
	return string(out), err
}

func isEmpty(v any) bool {
	m, ok := v.(map[string]any)
	return ok && len(m) == 0
}

func deleteKeys(object any, keys []string) {
	if m, ok := object.(map[string]any); ok {
		for _, key := range keys {
			delete(m, key)
		}
	}
}

// withoutToken removes the ServiceAccount's token from a list of volumes or of mounts.
func withoutToken(object any, list string) {
	m, _ := object.(map[string]any)
	elements, ok := m[list].([]any)
	if !ok {
		return
	}
	m[list] = slices.DeleteFunc(elements, func(e any) bool {
		element, _ := e.(map[string]any)
		name, _ := element["name"].(string)
		return strings.HasPrefix(name, "kube-api-access-")
	})
}

const (
	green = "\x1b[32m"
	red   = "\x1b[31m"
	bold  = "\x1b[1m"
	plain = "\x1b[0m"
)

// printBeside prints two texts in two columns. Equal lines are in the same row, and added and removed lines are marked.
func printBeside(out io.Writer, left, right string) {
	colour := func(c, text string) string { return text }
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "" {
		colour = func(c, text string) string { return c + text + plain }
	}
	width := 0
	for line := range strings.Lines(left) {
		width = max(width, len(line))
	}
	row := func(mark, l, r, c string) {
		_, _ = fmt.Fprintf(out, "%s %s\n", colour(c, fmt.Sprintf("%-*s │ %s", width, l, mark)), colour(c, r))
	}
	row(" ", "as submitted", "as admitted", bold)
	row(" ", strings.Repeat("─", width), strings.Repeat("─", 60), "")
	for _, line := range lines(left, right) {
		text := strings.TrimSuffix(line.Content, "\n")
		switch line.Kind {
		case udiff.Equal:
			row(" ", text, text, "")
		case udiff.Insert:
			row("+", "", text, green)
		case udiff.Delete:
			row("-", text, "", red)
		}
	}
}

// lines returns all lines of both texts, in the order of a diff.
func lines(left, right string) (all []udiff.Line) {
	const everything = 1 << 20
	diff, err := udiff.ToUnifiedDiff("", "", left, udiff.Lines(left, right), everything)
	if err != nil {
		return nil
	}
	for _, hunk := range diff.Hunks {
		all = append(all, hunk.Lines...)
	}
	return all
}
