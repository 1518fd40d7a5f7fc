package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const others = `# the namespace comes first
apiVersion: v1
kind: Namespace
metadata: {name: science}   # flow style
--- # a comment at the separator
apiVersion: v1
kind: ConfigMap
metadata:
    name:   odd-spacing
data:
  number: "012"
  script: |
    # no comment
    echo "a --- b"
     ---
`

func TestOtherDocumentsAreUnchanged(t *testing.T) {
	for name, in := range map[string]string{
		"several kinds":           others,
		"nothing":                 "",
		"a comment":               "# nothing here\n",
		"a separator":             "---\n",
		"separators":              "---\n---\n\n---\n",
		"no end of line":          strings.TrimSuffix(others, "\n"),
		"CRLF":                    strings.ReplaceAll(others, "\n", "\r\n"),
		"a separator in front":    "---\n" + others,
		"a pod without our label": strings.Replace(alice, "jupyter-user", "app", 1) + "# behind\n",
		"a pod of another group":  strings.Replace(alice, "apiVersion: v1", "apiVersion: example.com/v1", 1),
		"a Deployment with the label": "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels: {jupyter-user: alice}\n" +
			"spec: {template: {metadata: {labels: {jupyter-user: alice}}}}\n",
		"KIND in upper case":             "apiVersion: v1\nkind: ConfigMap\nKIND: Pod\nmetadata: {labels: {jupyter-user: alice}}\n",
		"a kind that is a number":        "apiVersion: v1\nkind: 5\n",
		"a list":                         "- a\n- b\n",
		"text":                           "--- |\n  text\n",
		"content at a separator":         "--- {a: b}\n--- [c]\n",
		"an empty List":                  "apiVersion: v1\nkind: List\nitems: []\n",
		"a List without items":           "apiVersion: v1\nkind: List\n",
		"a List whose items are no list": "apiVersion: v1\nkind: List\nitems: {a: b}\n",
		"a List of others":               "apiVersion: v1\nkind: List\nitems: # of others\n- {apiVersion: v1, kind: Secret}\n- null\n- text\n- 5\n",
		"long lines":                     "a: " + strings.Repeat("x ", 1<<20) + "\n",
		"numbers of YAML":                "a: 0x1F\nb: 1_000\nc: 2.50\nd: 12345678901234567890123\ne: 1e3\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := command(t, in, "inject", "-f", "-")
			assert.Equal(t, outcome{out: in}, got)
		})
	}
}

// TestDocumentsNextToPod tests that the documents around a Pod are written byte for byte as they were.
func TestDocumentsNextToPod(t *testing.T) {
	admitted := command(t, alice, "inject", "-f", "-").out
	for name, c := range map[string][2]string{
		"the pod in between":      {others + "---\n" + alice + "---\n" + others, others + "---\n" + admitted + "---\n" + others},
		"the pod first":           {alice + "---\n" + others, admitted + "---\n" + others},
		"the pod last":            {others + "---\n" + alice, others + "---\n" + admitted},
		"a separator and the pod": {"---\n" + alice + "---\n", "---\n" + admitted + "---\n"},
		"two pods":                {alice + "---\n" + alice, admitted + "---\n" + admitted},
		"no end of line":          {others + "---\n" + strings.TrimSuffix(alice, "\n"), others + "---\n" + admitted},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, outcome{out: c[1]}, command(t, c[0], "inject", "-f", "-"))
		})
	}
}

func TestContentAfterDocument(t *testing.T) {
	for _, behind := range []string{"...\n" + others, "...\napiVersion: v1\n", " a: b\nc: d\n", "]\n"} {
		got := command(t, "---\n  a: b\n"+behind, "inject", "-f", "-")
		assert.Equal(t, 2, got.status)
		assert.Contains(t, got.stderr, "document 1: ")
	}
}

func TestLists(t *testing.T) {
	item := func(name, label string) string {
		return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"` + name + `","labels":{"` + label + `":"alice"}},"spec":{"containers":[{"name":"nb"}]}}`
	}
	config := `{"apiVersion":"v1","kind":"ConfigMap","data":{"<&>":"2.50"},"immutable":true}`
	bare := strings.Replace(item("bare", "jupyter-user"), `"apiVersion":"v1","kind":"Pod",`, "", 1)
	for name, c := range map[string]struct {
		list  string
		users []string
	}{
		"a List": {`{"apiVersion":"v1","kind":"List","items":[` + item("a", "jupyter-user") + "," + config + "," + item("b", "app") + "," +
			item("c", "jupyter-user") + `],"metadata":{"resourceVersion":"1"}}`, []string{"alice", "", "", "alice"}},
		"a PodList": {`{"kind":"PodList","apiVersion":"v1","items":[` + item("a", "app") + "," + item("b", "jupyter-user") + `]}`,
			[]string{"", "alice"}},
		"a PodList whose items have no kind": {`{"kind":"PodList","apiVersion":"v1","items":[` + bare + `]}`, []string{"alice"}},
		"a List whose items have no kind":    {`{"kind":"List","apiVersion":"v1","items":[` + bare + `]}`, []string{""}},
		"a List in a List": {`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[` + item("a", "jupyter-user") +
			`]},` + item("b", "jupyter-user") + `]}`, []string{"", "alice"}},
	} {
		for _, output := range []string{"yaml", "json"} {
			t.Run(name+" as "+output, func(t *testing.T) {
				got := command(t, c.list, "inject", "-f", "-", "-o", output)
				require.Zero(t, got.status, got.stderr)
				var list, before struct {
					Metadata map[string]any `json:"metadata"`
					Items    []map[string]any
				}
				require.NoError(t, yaml.Unmarshal([]byte(got.out), &list))
				require.NoError(t, yaml.Unmarshal([]byte(c.list), &before))
				assert.Equal(t, before.Metadata, list.Metadata)
				require.Len(t, list.Items, len(c.users))
				for i, want := range c.users {
					metadata, _ := list.Items[i]["metadata"].(map[string]any)
					annotations, _ := metadata["annotations"].(map[string]any)
					if want == "" {
						assert.Nil(t, annotations)
						if list.Items[i]["kind"] != "List" {
							assert.Equal(t, before.Items[i], list.Items[i])
						}
						continue
					}
					assert.Equal(t, want, annotations["jupyter-user.io/user"])
				}
			})
		}
	}

	nested := command(t, `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[`+item("a", "jupyter-user")+`]}]}`,
		"inject", "-f", "-", "-o", "patch")
	assert.Equal(t, 1, strings.Count(nested.out, `"path": "/metadata/annotations"`), "the inner list has a Pod")

	denied := command(t, `{"apiVersion":"v1","kind":"PodList","items":[`+strings.Replace(bare, "alice", "root", 1)+`]}`, "inject", "-f", "-")
	assert.Equal(t, 1, denied.status)
	assert.Empty(t, denied.out)
	assert.Contains(t, denied.stderr, "pod/bare is denied (NameReserved)")
}

func TestJSONStream(t *testing.T) {
	config := `{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"<&>"}}`
	stream := aliceAsJSON + "\n" + config + " " + aliceAsJSON
	one := command(t, aliceAsJSON, "inject", "-f", "-")
	got := command(t, stream, "inject", "-f", "-")
	assert.Equal(t, outcome{out: one.out + "---\napiVersion: v1\ndata:\n  a: <&>\nkind: ConfigMap\n---\n" + one.out}, got)

	got = command(t, stream, "inject", "-f", "-", "-o", "json")
	decoder := json.NewDecoder(strings.NewReader(got.out))
	var kinds []any
	for decoder.More() {
		var object map[string]any
		require.NoError(t, decoder.Decode(&object))
		kinds = append(kinds, object["kind"])
	}
	assert.Equal(t, []any{"Pod", "ConfigMap", "Pod"}, kinds)

	comments := command(t, "# only this\n---\n"+alice+"---\n# and this\n", "inject", "-f", "-", "-o", "json")
	assert.Equal(t, command(t, aliceAsJSON, "inject", "-f", "-", "-o", "json").out, sorted(t, comments.out), "comments are no documents")
}

// sorted asserts that text is the injected Pod of alice, with keys in any order, and returns the Pod with the keys in the
// order of aliceAsJSON.
func sorted(t *testing.T, text string) string {
	t.Helper()
	var got, want map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	reference := command(t, aliceAsJSON, "inject", "-f", "-", "-o", "json").out
	require.NoError(t, json.Unmarshal([]byte(reference), &want))
	require.Equal(t, want, got)
	return reference
}

// TestNumbersKeepDigits tests that numbers in unknown fields keep their digits, although Go or YAML would round them.
func TestNumbersKeepDigits(t *testing.T) {
	numbers := []string{
		"12345678901234567890", "-12345678901234567890", "123456789012345678901234567890", "2.50", "1e3", "1E400", "-0", "0.1000",
		"9007199254740993", "1.0",
	}
	pod := strings.Replace(aliceAsJSON, `"name":"nb"}]`, `"name":"nb","future":[`+strings.Join(numbers, ",")+`]}],"later":2.50`, 1)
	asJSON := command(t, pod, "inject", "-f", "-", "-o", "json")
	require.Zero(t, asJSON.status, asJSON.stderr)
	asYAML := command(t, pod, "inject", "-f", "-", "-o", "yaml")
	require.Zero(t, asYAML.status, asYAML.stderr)
	for _, number := range numbers {
		assert.Contains(t, asJSON.out, "  "+number)
		assert.Contains(t, asYAML.out, "    - "+number+"\n")
	}
	assert.Contains(t, asYAML.out, "  later: 2.50\n")

	inYAML := command(t, alice+"  later: 12345678901234567890\n", "inject", "-f", "-")
	assert.Contains(t, inYAML.out, "  later: 12345678901234567890\n")
}

// TestNoHTMLEscapes tests that <, > and &, which are frequent in commands, are not escaped.
func TestNoHTMLEscapes(t *testing.T) {
	const script = `a < b && c > d \u003c \\u003c`
	inYAML := alice + "    command: [sh, -c, 'a < b && c > d \\u003c \\\\u003c']\n    stdin: false\n"
	inJSON := strings.Replace(aliceAsJSON, `"name":"nb"}]`, `"name":"nb","command":["sh","-c","a < b && c > d \\u003c \\\\u003c"]}]`, 1)
	list := `{"apiVersion":"v1","kind":"List","items":[` + inJSON + `,{"kind":"<&>"}]}`
	for name, in := range map[string]string{"YAML": inYAML, "JSON": inJSON, "a List": list} {
		for _, output := range []string{"yaml", "json", "patch", "diff"} {
			for _, identity := range []string{"", "--identity=5001:6001"} {
				t.Run(strings.TrimSpace(name+" as "+output+" "+identity), func(t *testing.T) {
					args := []string{"inject", "-f", "-", "-o", output}
					if identity != "" {
						args = append(args, identity)
					}
					got := command(t, in, args...)
					require.Zero(t, got.status, got.stderr)
					if identity != "" && (output == "patch" || output == "diff") {
						return // the output has only changed fields, and the command is not changed
					}
					want := script
					if output == "json" || output == "patch" {
						want = strings.ReplaceAll(script, `\`, `\\`)
					}
					assert.Contains(t, got.out, want)
				})
			}
		}
	}
}

// TestJSONEscapes tests JSON with surrogate pairs, escaped slashes and control characters, as other programs write it.
func TestJSONEscapes(t *testing.T) {
	pod := strings.Replace(aliceAsJSON, `"labels"`, `"annotations":{"note":"\ud83d\ude00 \/ \u0000 \u001b \u0085 \u2028 \ufeff `+"\u007f\u0085"+`"},"labels"`, 1)
	got := command(t, pod, "inject", "-f", "-")
	require.Zero(t, got.status, got.stderr)
	assert.Equal(t, "😀 / \x00 \x1b \u0085 \u2028 \ufeff \u007f\u0085", annotations(t, got.out)["note"])
}
