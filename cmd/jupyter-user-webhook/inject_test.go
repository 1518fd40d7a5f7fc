package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

const alice = `apiVersion: v1
kind: Pod
metadata:
  name: nb
  labels:
    jupyter-user: alice
spec:
  containers:
  - name: nb
    image: quay.io/jupyter/base-notebook
`

// aliceAsJSON is the Pod of alice as JSON, with the keys in another order.
const aliceAsJSON = `{"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"image":"quay.io/jupyter/base-notebook","name":"nb"}]},` +
	`"metadata":{"labels":{"jupyter-user":"alice"},"name":"nb"}}`

func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func read(t *testing.T, text string) (object map[string]any) {
	t.Helper()
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &object))
	return object
}

func annotations(t *testing.T, text string) map[string]any {
	t.Helper()
	return read(t, text)["metadata"].(map[string]any)["annotations"].(map[string]any)
}

func TestInjectInputs(t *testing.T) {
	fromFile := command(t, "", "inject", "-f", file(t, "pod.yaml", alice))
	assert.Zero(t, fromFile.status)
	assert.Empty(t, fromFile.stderr)
	assert.Equal(t, "alice", annotations(t, fromFile.out)["jupyter-user.io/user"])
	assert.Equal(t, "AtStart", annotations(t, fromFile.out)["jupyter-user.io/discovery"])

	assert.Equal(t, fromFile, command(t, alice, "inject", "-f", "-"))
	assert.Equal(t, fromFile, command(t, alice, "inject", "--filename=-", "-o", "yaml"))
	assert.Equal(t, fromFile, command(t, aliceAsJSON, "inject", "-f", "-"), "YAML and JSON give the same result")
	assert.Equal(t, fromFile, command(t, fromFile.out, "inject", "-f", "-"), "a second injection changes nothing")
}

// TestInjectWithHomeField tests --home, which needs both --identity and share.homePrefix.
func TestInjectWithHomeField(t *testing.T) {
	const header = "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n"
	config := "--config=" + file(t, "config.yaml", header+"share: {homePrefix: /hpc}\n"+
		"identity: {ldap: {urls: [ldaps://ldap.example.org], users: {baseDN: 'dc=example'}}}\n")
	inject := []string{"inject", "-f", "-", config, "--identity=5001:6001"}
	made := command(t, alice, append(inject, "--home=/hpc/home/a/alice")...)
	assert.Zero(t, made.status, made.stderr)
	assert.Equal(t, "/hpc/home/a/alice", annotations(t, made.out)["jupyter-user.io/home"])
	assert.Contains(t, made.out, "subPath: home/a/alice")
	assert.Contains(t, command(t, alice, append(inject, "--home=/hpc/home/a/alice", "--explain")...).out, "home       home/a/alice on the share")
	assert.Contains(t, command(t, alice, append(inject, "--home=/hpc/home/b/bob")...).stderr, "is denied (HomeUnusable)")
	assert.Contains(t, command(t, alice, "inject", "-f", "-", config).stderr, "is denied (IdentityUnknown)")
	const says = "--home is the home field that comes with an identity"
	assert.Contains(t, command(t, alice, "inject", "-f", "-", config, "--home=/hpc/home/a/alice").stderr, says)
	assert.Contains(t, command(t, alice, "inject", "-f", "-", "--identity=5001:6001", "--home=/hpc/home/a/alice").stderr, says)
}

// TestInjectOutputsAgree tests that the outputs yaml, json and patch give the same Pod.
func TestInjectOutputsAgree(t *testing.T) {
	for name, input := range map[string]string{"YAML": alice, "JSON": aliceAsJSON} {
		t.Run(name, func(t *testing.T) {
			asYAML := command(t, input, "inject", "-f", "-", "-o", "yaml")
			asJSON := command(t, input, "inject", "-f", "-", "-o", "json")
			asPatch := command(t, input, "inject", "-f", "-", "-o", "patch")
			assert.Equal(t, [3]int{}, [3]int{asYAML.status, asJSON.status, asPatch.status})
			assert.True(t, json.Valid([]byte(asJSON.out)))
			assert.Equal(t, read(t, asYAML.out), read(t, asJSON.out))

			patch, err := jsonpatch.DecodePatch([]byte(asPatch.out))
			require.NoError(t, err)
			submitted, err := yaml.YAMLToJSON([]byte(input))
			require.NoError(t, err)
			admitted, err := patch.Apply(submitted)
			require.NoError(t, err)
			assert.Equal(t, read(t, asYAML.out), read(t, string(admitted)))
		})
	}
}

func TestInjectDiff(t *testing.T) {
	got := command(t, alice, "inject", "-f", "-", "-o", "diff")
	assert.Zero(t, got.status)
	assert.True(t, strings.HasPrefix(got.out, "--- pod/nb as submitted\n+++ pod/nb as admitted\n@@ -1,"), got.out)
	assert.Contains(t, got.out, "\n+    jupyter-user.io/user: alice\n")
	assert.Contains(t, got.out, "\n   name: nb\n")
	assert.Contains(t, got.out, "\n+    image: quay.io/jupyter/base-notebook\n", "which has moved behind the command")
	assert.NotContains(t, got.out, "\x1b", "this is no terminal")

	unchanged := command(t, strings.Replace(alice, "jupyter-user", "app", 1), "inject", "-f", "-", "-o", "diff")
	assert.Equal(t, outcome{}, unchanged)
}

func TestInjectIdentity(t *testing.T) {
	got := command(t, alice, "inject", "-f", "-", "--identity", "5001:6001:7001,7002")
	assert.Zero(t, got.status, got.stderr)
	assert.Equal(t, "AtAdmission", annotations(t, got.out)["jupyter-user.io/discovery"])
	assert.Equal(t, "5001:6001:7001,7002", annotations(t, got.out)["jupyter-user.io/identity"])

	for _, bad := range []string{"5001", "alice:users", "5001:6001:", "05001:6001", "-1:6001", "2147483648:6001"} {
		t.Run(bad, func(t *testing.T) {
			got := command(t, alice, "inject", "-f", "-", "--identity="+bad)
			assert.Equal(t, 2, got.status)
			assert.Empty(t, got.out)
			assert.Regexp(t, `\AError: --identity: .*\n\z`, got.stderr)
		})
	}
	root := command(t, alice, "inject", "-f", "-", "--identity", "0:0")
	assert.Equal(t, 1, root.status, "the webhook denies a number that is valid but reserved")
	assert.Contains(t, root.stderr, "pod/nb is denied (IdentityDenied): the user alice cannot run a notebook: UID 0 is root")
}

func TestInjectRestricted(t *testing.T) {
	got := command(t, alice, "inject", "-f", "-", "--restricted")
	assert.Equal(t, 1, got.status)
	assert.Empty(t, got.out)
	assert.Contains(t, got.stderr, "namespace default enforces the Pod Security Standard restricted")

	got = command(t, alice, "inject", "-f", "-", "--restricted", "-n", "science")
	assert.Contains(t, got.stderr, "namespace science enforces", "the namespace of -n")

	inScience := strings.Replace(alice, "  name: nb\n", "  name: nb\n  namespace: physics\n", 1)
	got = command(t, inScience, "inject", "-f", "-", "--restricted")
	assert.Contains(t, got.stderr, "namespace physics enforces", "the namespace of the Pod")

	got = command(t, alice, "inject", "-f", "-", "--restricted", "--identity", "5001:6001")
	assert.Zero(t, got.status, got.stderr)
}

func TestInjectConfig(t *testing.T) {
	const head = "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n"
	good := file(t, "config.yaml", head+"share:\n  claimName: our-share\n")
	got := command(t, alice, "inject", "-f", "-", "--config", good)
	assert.Zero(t, got.status, got.stderr)
	assert.Contains(t, got.out, "claimName: our-share\n")

	for name, c := range map[string]struct{ path, says string }{
		"missing":               {filepath.Join(t.TempDir(), "none.yaml"), "read the configuration: open "},
		"a directory":           {t.TempDir(), "is a directory"},
		"an unknown key":        {file(t, "c.yaml", head+"shares: {}\n"), "shares"},
		"an invalid value":      {file(t, "c.yaml", head+"user:\n  maxLength: 33\n"), "user.maxLength"},
		"of another kind":       {file(t, "c.yaml", alice), "jupyter-user.io/v1alpha1"},
		"no YAML":               {file(t, "c.yaml", "{"), "c.yaml"},
		"empty":                 {file(t, "c.yaml", ""), "c.yaml"},
		"a file of several MiB": {file(t, "c.yaml", head+strings.Repeat("# x\n", 1<<20)), "c.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, alice, "inject", "-f", "-", "--config", c.path)
			assert.Equal(t, 2, got.status)
			assert.Empty(t, got.out)
			assert.True(t, strings.HasPrefix(got.stderr, "Error: "), got.stderr)
			assert.Contains(t, got.stderr, c.says)
		})
	}
}

// TestInjectDenied tests that a denied Pod gives the denial on standard error, and nothing on standard output.
func TestInjectDenied(t *testing.T) {
	two := `apiVersion: v1
kind: Pod
metadata:
  generateName: nb-
  labels: {jupyter-user: root, hub.jupyter.org/username: x}
  annotations: {hub.jupyter.org/username: eve@evil.example}
spec: {containers: [{name: nb}]}
`
	for name, pod := range map[string]string{
		"one reason":     strings.Replace(alice, ": alice", ": root", 1),
		"two reasons":    two,
		"a broken pod":   strings.Replace(alice, "containers:", "containers: {}\n  volumes:", 1),
		"a pod of lists": "apiVersion: v1\nkind: Pod\nmetadata: []\n",
	} {
		for _, output := range []string{"yaml", "json", "patch", "diff"} {
			t.Run(name+" as "+output, func(t *testing.T) {
				raw, err := yaml.YAMLToJSON([]byte(pod))
				require.NoError(t, err)
				d := webhook.New(config.Default(), nil).Decide(context.Background(), webhook.Review{Pod: raw, Namespace: "default"})
				require.NotEmpty(t, d.Denials)

				got := command(t, pod, "inject", "-f", "-", "-o", output)
				assert.Equal(t, 1, got.status)
				assert.Empty(t, got.out)
				assert.True(t, strings.HasSuffix(got.stderr, " is denied ("+string(d.Denials[0].Reason)+"): "+denial.Join(d.Denials)+"\n"), got.stderr)
			})
		}
	}
	got := command(t, two, "inject", "-f", "-")
	assert.True(t, strings.HasPrefix(got.stderr, "pod/nb-* is denied (NameReserved): there are 2 problems:\n- metadata.labels"), got.stderr)
}

// TestInjectDeniedPodAmongOthers tests that one denied Pod prevents the output of all Pods, and that each denial is reported.
func TestInjectDeniedPodAmongOthers(t *testing.T) {
	denied := func(name string) string {
		return strings.NewReplacer("name: nb\n  labels", "name: "+name+"\n  labels", ": alice", ": root").Replace(alice)
	}
	got := command(t, alice+"---\n"+denied("first")+"---\n"+alice+"---\n"+denied("second"), "inject", "-f", "-")
	assert.Equal(t, 1, got.status)
	assert.Empty(t, got.out)
	assert.Equal(t, 2, strings.Count(got.stderr, "is denied"))
	assert.Contains(t, got.stderr, "pod/first is denied (NameReserved): ")
	assert.Contains(t, got.stderr, "pod/second is denied (NameReserved): ")
}

func TestInjectWarnings(t *testing.T) {
	got := command(t, alice+"  securityContext: {fsGroup: 100}\n  volumes: [{name: own, persistentVolumeClaim: {claimName: own}}]\n", "inject", "-f", "-")
	assert.Zero(t, got.status)
	assert.Regexp(t, `\AWarning: fsGroup 100 is removed.* own: .*\n\z`, got.stderr)
	assert.NotContains(t, got.out, "Warning")
}

func TestInjectUnreadableInput(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		args []string
		says string
	}{
		"a missing file":    {"", []string{"-f", filepath.Join(t.TempDir(), "none.yaml")}, "none.yaml: no such file or directory"},
		"a directory":       {"", []string{"-f", t.TempDir()}, "is a directory"},
		"an unknown output": {alice, []string{"-f", "-", "-o", "xml"}, `-o "xml" is none of yaml, json, patch, diff`},
		"an empty output":   {alice, []string{"-f", "-", "-o", ""}, `-o "" is none of yaml, json, patch, diff`},
		"no YAML":           {alice + "---\n  a: b\n c: d\n", []string{"-f", "-"}, "read -: document 2: "},
		"a key twice":       {alice + "kind: Pod\n", []string{"-f", "-"}, "read -: document 1: "},
		"no JSON":           {aliceAsJSON + "{", []string{"-f", "-"}, "read -: document 2: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, c.in, append([]string{"inject"}, c.args...)...)
			assert.Equal(t, 2, got.status)
			assert.Empty(t, got.out)
			assert.True(t, strings.HasPrefix(got.stderr, "Error: "), got.stderr)
			assert.Contains(t, got.stderr, c.says)
		})
	}
}

// TestInjectEscapesControlCharacters tests that the output and the denials contain no control characters of a Pod's name.
// Otherwise the author of the Pod could control the reader's terminal.
func TestInjectEscapesControlCharacters(t *testing.T) {
	evil := strings.Replace(alice, "name: nb\n  labels", `name: "nb\e]0;owned\a\n"`+"\n  labels", 1)
	for _, in := range []string{evil, strings.Replace(evil, ": alice", ": root", 1)} {
		for _, output := range []string{"yaml", "json", "patch", "diff"} {
			got := command(t, in, "inject", "-f", "-", "-o", output)
			assert.NotRegexp(t, `[\x00-\x09\x0b-\x1f\x7f]`, got.out+got.stderr)
		}
	}
}
