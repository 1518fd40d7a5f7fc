package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
)

const corpus = "../../test/golden/testdata/"

// TestExplain explains the Pods of test/golden that have a file in testdata/explain. To add the Pod of x.yaml, create an empty
// file testdata/explain/x.txt, and run the test with UPDATE_GOLDEN=1.
func TestExplain(t *testing.T) {
	cases, err := golden.Cases()
	require.NoError(t, err)
	files, err := filepath.Glob("testdata/explain/*.txt")
	require.NoError(t, err)
	explained := map[string]bool{}
	for _, c := range cases {
		file := "testdata/explain/" + c.Name + ".txt"
		want, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		explained[file] = true
		t.Run(c.Name, func(t *testing.T) {
			got := command(t, "", append([]string{"inject", "--explain", "-f", corpus + c.Name + ".yaml"}, flagsOf(c)...)...)
			assert.Equal(t, outcome{out: got.out}, got)
			assert.NotRegexp(t, `[^\n -~]| \n`, got.out)
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.WriteFile(file, []byte(got.out), 0o644))
				return
			}
			assert.Equal(t, string(want), got.out, "UPDATE_GOLDEN=1 go test ./cmd/jupyter-user-webhook writes the file again")
		})
	}
	for _, file := range files {
		assert.True(t, explained[file], "%s is not named after a Pod of the corpus", file)
	}
	assert.NotEmpty(t, explained)
}

var configOf = regexp.MustCompile(`(?m)^# config: (\S+)$`)

// flagsOf returns the flags for the identity, the Pod Security Standard and the configuration of a case.
func flagsOf(c golden.Case) (flags []string) {
	if c.Identity != nil {
		flags = append(flags, "--identity", c.Identity.String())
	}
	if c.Restricted {
		flags = append(flags, "--restricted")
	}
	if match := configOf.FindSubmatch(c.YAML); match != nil {
		flags = append(flags, "--config", corpus+"config/"+string(match[1]))
	}
	return flags
}

// TestExplainDenied tests that the output for a denied Pod is the same with and without --explain.
func TestExplainDenied(t *testing.T) {
	denied := alice + "---\n" + strings.Replace(alice, ": alice", ": root", 1)
	plain := command(t, denied, "inject", "-f", "-")
	assert.Equal(t, 1, plain.status)
	assert.Equal(t, plain, command(t, denied, "inject", "-f", "-", "--explain"))

	groups := strings.Replace(alice, "spec:", "spec:\n  securityContext: {supplementalGroups: [27], fsGroup: 1}\n  volumes: [{name: own, persistentVolumeClaim: {claimName: own}}]", 1)
	plain = command(t, groups, "inject", "-f", "-")
	assert.Contains(t, plain.stderr, "Warning: fsGroup 1 is removed")
	assert.Contains(t, plain.stderr, "pod/nb is denied (GroupForeign): ")
	assert.Equal(t, plain, command(t, groups, "inject", "-f", "-", "--explain"))
}

func TestExplainExcludesOutput(t *testing.T) {
	got := command(t, alice, "inject", "-f", "-", "--explain", "-o", "diff")
	assert.Equal(t, 2, got.status)
	assert.Empty(t, got.out)
	assert.Regexp(t, `\AError: .*\[explain output\].*\n\z`, got.stderr)

	help := command(t, "", "inject", "--help")
	assert.Contains(t, help.out, "--explain writes text for a reader instead of -o")
	assert.Contains(t, help.out, "--explain and -o together are an error.")
}

func TestExplainSeveralDocuments(t *testing.T) {
	nobodys := strings.Replace(alice, "jupyter-user", "app", 1)
	got := command(t, alice+"---\nkind: Service\n---\n"+nobodys, "inject", "-f", "-", "--explain")
	assert.Zero(t, got.status, got.stderr)
	first, second, found := strings.Cut(got.out, "\n\npod/nb is not a user's notebook and is not changed")
	assert.True(t, found, got.out)
	assert.True(t, strings.HasPrefix(first, "pod/nb becomes a notebook of alice.\n"), first)
	assert.Equal(t, ": it has no label that names a user.\n", second)

	list := `{"apiVersion":"v1","kind":"List","items":[` + aliceAsJSON + `,` + aliceAsJSON + `]}`
	assert.Equal(t, 2, strings.Count(command(t, list, "inject", "-f", "-", "--explain").out, "becomes a notebook of alice"))

	assert.Equal(t, outcome{out: "The input has no Pod.\n"}, command(t, "kind: Deployment\n", "inject", "-f", "-", "--explain"))
}

// TestExplainOfInjectedPod tests that a Pod that is injected already is not changed.
func TestExplainOfInjectedPod(t *testing.T) {
	admitted := command(t, alice, "inject", "-f", "-").out
	got := command(t, admitted, "inject", "-f", "-", "--explain")
	assert.Zero(t, got.status, got.stderr)
	assert.NotRegexp(t, " (added|replaced|removed) ", got.out)
	assert.Regexp(t, "probes +kept +the pod's +notebook.{startupProbe, readinessProbe, livenessProbe}\n", got.out)
}

// TestExplainOfInvalidPod tests a Pod that an API server would reject because of a field that the webhook does not read.
func TestExplainOfInvalidPod(t *testing.T) {
	got := command(t, alice+"  priority: high\n", "inject", "-f", "-", "--explain")
	assert.Zero(t, got.status, got.stderr)
	assert.Regexp(t, "as admitted +none: an API server could not read this Pod: .*priority", got.out)
}

// TestExplainEscapesControlCharacters tests that control characters and characters outside ASCII in a Pod's texts are
// escaped. Otherwise the author of the Pod could control the reader's terminal.
func TestExplainEscapesControlCharacters(t *testing.T) {
	const evil = `"nb\e]0;owned\a\n\u202e\u0430\x85"`
	pod := strings.NewReplacer("name: nb\n  labels", "name: "+evil+"\n  labels", "- name: nb", "- name: "+evil).Replace(alice) +
		"  volumes: [{name: " + evil + ", hostPath: {path: /}}, {name: " + evil + ", emptyDir: {}}]\n"
	pod = strings.Replace(pod, "spec:", "  annotations: {\"jupyter-user.io/x\\e[2J\": z}\nspec:\n  securityContext: {fsGroup: 5}", 1)
	got := command(t, pod, "inject", "-f", "-", "--explain")
	assert.Zero(t, got.status, got.stderr)
	assert.Contains(t, got.out, `nb\x1b]0;owned`)
	assert.NotRegexp(t, `[^\n -~]`, got.out+got.stderr)
}
