package pages

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestMessagesOf tests which texts in a page are messages. Commands, flags, keys with values and single words are no
// messages.
func TestMessagesOf(t *testing.T) {
	page := "`failed calling\nwebhook`, `x509: certificate has expired`, `denied request:`\n\n```sh\nkubectl `a b` c\n```\n" +
		"Not: `kubectl get pods`, `make test`, `kubectl run`, `--set a=b`, `-o json`, `mode: Warn`, `jupyter-user.io/inject: \"false\"`, `word`."
	assert.Equal(t, []string{"failed calling webhook", "x509: certificate has expired", "denied request:"}, messagesOf(page))
}
