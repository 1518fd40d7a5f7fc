package pages

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestCommandsOf has an example of each kind of command line, and of text that is no command line.
func TestCommandsOf(t *testing.T) {
	page := "Type `kubectl get pods -A`, `make test`, or, in a table, `kubectl get x \\| grep y`.\nNot: `kubectl exec`, `spec.x`, `helm test`.\n" +
		"\n   ```sh\n   helm install a b \\\n     --set c=d   # a comment\n   # another\n   a | \n     b\n   cat <<EOT\n   kubectl x y z\n   EOT\n" +
		"   ca=$(x)\n   for f in 1 2; do\n     echo $f\n   done\n   jq 'a\n     b' # c\n   ```\n\n```yaml\nkubectl: get pods now\n```\n"
	var found []string
	for _, c := range CommandsOf("page.md", page) {
		assert.Equal(t, "page.md", c.Page)
		found = append(found, c.Line())
	}
	assert.Equal(t, []string{"helm install a b --set c=d", "a | b", "cat <<EOT kubectl x y z EOT", "ca=$(x) for f in 1 2; do echo $f done", "jq 'a b'",
		"kubectl get pods -A", "make test", "kubectl get x | grep y"}, found)
}

func TestMatches(t *testing.T) {
	c := Command{Text: "helm get \\\n  values"}
	assert.True(t, c.Matches("helm get values"))
	assert.True(t, c.Matches("helm get…"))
	assert.False(t, c.Matches("helm get"))
	assert.False(t, c.Matches("helm list…"))
}
