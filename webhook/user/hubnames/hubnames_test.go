package hubnames_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/user/hubnames"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestFromHub(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names")
	write(t, path, "# hub-name unix-name\n\nalice@corp.example  alice\n\t20201234\tbob \r\nAlice@corp.example carol\n")
	f, err := hubnames.Open(path, config.Default().User, prometheus.NewRegistry(), nil)
	require.NoError(t, err)
	for hubName, want := range map[string]string{
		"alice@corp.example": "alice", "20201234": "bob", "Alice@corp.example": "carol", "alice": "", "#": "", "": "", "alice@corp.example ": "",
	} {
		name, err := f.FromHub(t.Context(), hubName)
		require.NoError(t, err)
		assert.Equal(t, want, name, "%q", hubName)
	}
}

// invalidFiles maps the content of invalid files to the beginning of the error.
var invalidFiles = map[string]string{
	"":                          "it is empty: the file is being written, or its program failed; a map without names has a comment",
	"a alice\nb bob\na carol\n": `line 3: the hub name "a" is there a second time`,
	"a alice\na alice\n":        `line 2: the hub name "a" is there a second time`,
	"a\n":                       "line 1: it has 1 words, but must have a hub name and a user's name",
	"a alice smith\n":           "line 1: it has 3 words",
	"a alice # comment\n":       "line 1: it has 4 words",
	"\n\na root\n":              `line 3: "root" is reserved`,
	"a Alice\n":                 `line 1: "Alice" cannot be a user here: names are lower case here (user.allowUpperCase is off)`,
	"a 2020\n":                  `line 1: "2020" cannot be a user here: a name begins with a to z or _ here (user.allowLeadingDigit is off)`,
	"a alice@corp.example\n":    `line 1: "alice@corp.example" has a domain`,
	"a ../bob\n":                `line 1: "../bob" cannot be a user here`,
	"\xff alice\n":              "line 1: it is not UTF-8",
	"a alice":                   "the last line has no line break",
}

// TestInvalidFileAtStart tests the errors of Open. A user's name with a domain is an error, also if the domain is
// configured (user.domains): the map must have Unix names.
func TestInvalidFileAtStart(t *testing.T) {
	rules := config.Default().User
	rules.Domains = []string{"corp.example"}
	for text, want := range invalidFiles {
		path := filepath.Join(t.TempDir(), "names")
		write(t, path, text)
		_, err := hubnames.Open(path, rules, nil, nil)
		assert.ErrorContains(t, err, "the map of hub names "+path+": "+want, "%q", text)
	}
	_, err := hubnames.Open("/nowhere/names", rules, nil, nil)
	assert.ErrorContains(t, err, "open /nowhere/names: no such file")
	path := filepath.Join(t.TempDir(), "names")
	write(t, path, strings.Repeat("#", 16<<20)+"\n")
	_, err = hubnames.Open(path, rules, nil, nil)
	assert.ErrorContains(t, err, "it is larger than 16 MiB")
}

// TestInvalidFileLater tests that the names of the previous file stay in use, and that the metric is 1.
func TestInvalidFileLater(t *testing.T) {
	path, registry := filepath.Join(t.TempDir(), "names"), prometheus.NewRegistry()
	write(t, path, "a alice\n")
	f, err := hubnames.Open(path, config.Default().User, registry, nil)
	require.NoError(t, err)
	assertBroken := func(want string) {
		t.Helper()
		assert.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader("# HELP jupyter_user_hub_names_broken 1 while the file of hub "+
			"names has a fault, and the one that was read before is in use.\n# TYPE jupyter_user_hub_names_broken gauge\n"+
			"jupyter_user_hub_names_broken "+want+"\n"), "jupyter_user_hub_names_broken"))
	}
	userOf := func(hubName string) string {
		t.Helper()
		name, err := f.FromHubUncached(t.Context(), hubName)
		require.NoError(t, err)
		return name
	}
	for text := range invalidFiles {
		write(t, path, text)
		assert.Equal(t, "alice", userOf("a"), "%q", text)
		assertBroken("1")
	}
	require.NoError(t, os.Remove(path))
	assert.Equal(t, "alice", userOf("a"))
	assertBroken("1")
	write(t, path, "a bob\n")
	assert.Equal(t, "bob", userOf("a"))
	assertBroken("0")
}
