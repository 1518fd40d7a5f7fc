package kyverno

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// The type "meets" records, for each kind of discovery, whether Pods with this discovery meet a policy.
type meets struct{ atAdmission, atStart bool }

// The variable "policies" records, for each policy in testdata, which Pods must meet the policy. All other Pods must fail
// the policy.
var policies = map[string]meets{
	"baseline":                {true, true},
	"restricted":              {true, false},
	"no-capabilities":         {true, false},
	"dropped-capabilities":    {true, true},
	"hardened-init":           {true, true},
	"limits-of-what-is-added": {true, true},
}

// TestKyverno checks admitted Pods with Kyverno. It leaves out a Pod that was submitted with a hostPath volume, or with
// more than one container (init containers count too), because these can break a policy without any fault of the webhook.
func TestKyverno(t *testing.T) {
	if os.Getenv("RELEASE_CHECK") == "" {
		t.Skip("skipped: building Kyverno takes long. Run this test with make release-check")
	}
	built, err := tools.Build(t.Context(), os.Stderr, tools.Kyverno)
	require.NoError(t, err)
	pods := admitted(t)
	results := apply(t, built[tools.Kyverno], pods)
	for policy, expected := range policies {
		t.Run(policy, func(t *testing.T) {
			for name, pod := range pods {
				result, ok := results[policy+"/"+name]
				require.True(t, ok, "Kyverno has judged %s", name)
				want := expected.atAdmission
				if pod.Annotations[inject.DiscoveryAnnotation] == "AtStart" {
					want = expected.atStart
				}
				assert.Equal(t, map[bool]string{true: "pass", false: "fail"}[want], result.Result, "%s: %s", name, result.Message)
			}
		})
	}
}

// admitted returns the Pods that TestKyverno checks, by the name of their golden case.
func admitted(t *testing.T) map[string]*corev1.Pod {
	t.Helper()
	cases, err := golden.Cases()
	require.NoError(t, err)
	pods, counted := map[string]*corev1.Pod{}, map[string]int{}
	for _, c := range cases {
		d := c.Decide(c.JSON)
		if !d.Claimed || len(d.Denials) > 0 {
			continue
		}
		if submitted := decode(t, c.JSON); len(submitted.Spec.Containers)+len(submitted.Spec.InitContainers) > 1 || hasHostPath(submitted) {
			continue
		}
		raw, err := pod.Apply(c.JSON, d.Operations)
		require.NoError(t, err)
		pod := decode(t, raw)
		pod.Name, pod.GenerateName, pod.Namespace = c.Name, "", "lab"
		pods[c.Name] = pod
		counted[pod.Annotations[inject.DiscoveryAnnotation]]++
	}
	assert.Greater(t, counted["AtAdmission"], 10)
	assert.Greater(t, counted["AtStart"], 10)
	return pods
}

func decode(t *testing.T, raw []byte) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	require.NoError(t, json.Unmarshal(raw, pod))
	return pod
}

func hasHostPath(pod *corev1.Pod) bool {
	for _, v := range pod.Spec.Volumes {
		if v.HostPath != nil {
			return true
		}
	}
	return false
}

// A result is one entry of Kyverno's report, about one Pod and one policy. The field Result is pass or fail, and the field
// Resources has only the Pod.
type result struct {
	Policy, Result, Message string
	Resources               []struct{ Name string }
}

// apply runs Kyverno's command line and returns its results by "policy/Pod".
func apply(t *testing.T, program string, pods map[string]*corev1.Pod) map[string]result {
	t.Helper()
	resources := filepath.Join(t.TempDir(), "pods.yaml")
	var documents []string
	for _, pod := range pods {
		raw, err := json.Marshal(pod)
		require.NoError(t, err)
		documents = append(documents, string(raw))
	}
	require.NoError(t, os.WriteFile(resources, []byte(strings.Join(documents, "\n---\n")), 0o600))

	command := exec.CommandContext(t.Context(), program, "apply", "testdata", "--resource", resources, "--policy-report",
		"--output-format", "json")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	// The exit status is 1 if any Pod fails a policy, and some Pods must fail. The report shows whether Kyverno ran.
	_ = command.Run()
	start := bytes.IndexByte(stdout.Bytes(), '{')
	require.GreaterOrEqual(t, start, 0, "Kyverno says: %s%s", &stdout, &stderr)
	var report struct{ Results []result }
	require.NoError(t, json.NewDecoder(bytes.NewReader(stdout.Bytes()[start:])).Decode(&report))
	results := map[string]result{}
	for _, r := range report.Results {
		results[r.Policy+"/"+r.Resources[0].Name] = r
	}
	return results
}
