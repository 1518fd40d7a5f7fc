package user_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// FuzzFromPod tests any label with any annotation: either the Pod is denied, or label and annotation name the returned user.
func FuzzFromPod(f *testing.F) {
	f.Add("alice", "alice", true, true, "")
	f.Add("alice", "alice@corp.example", true, true, "corp.example")
	f.Add("alice-s---a303d5d1", "alice_s", true, true, "")
	f.Add("", "Alice", false, true, "")
	f.Add("root", "", true, false, "")
	f.Fuzz(func(t *testing.T, label, annotation string, hasLabel, hasAnnotation bool, domain string) {
		rules := config.Default().User
		rules.Domains = []string{domain}
		labels, annotations := map[string]string{"hub.jupyter.org/username": "x"}, map[string]string{}
		if hasLabel {
			labels["jupyter-user"] = label
		}
		if hasAnnotation {
			annotations["hub.jupyter.org/username"] = annotation
		}
		name, denials := user.FromPod(labels, annotations, rules)
		if len(denials) > 0 {
			assert.Empty(t, name.String(), "no user")
			return
		}
		for _, source := range []struct {
			text   string
			exists bool
		}{{label, hasLabel}, {annotation, hasAnnotation}} {
			if source.exists {
				assertSafe(t, source.text, name.String(), rules)
				assert.Contains(t, []string{name.String(), name.String() + "@" + domain}, source.text)
			}
		}
	})
}
