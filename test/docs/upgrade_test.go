package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestUpgradeTable tests that the upgrade table in CHANGELOG.md has each key of 0.1.0 that this release rejects, and names
// the same new key or value as the error message.
func TestUpgradeTable(t *testing.T) {
	_, table, found := strings.Cut(read(t, "CHANGELOG.md"), "### Upgrade from 0.1.0")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n### ")
	rejected := regexp.MustCompile(`(?m)^line \d+: (\w+)\.(\w+): (.*)$`).
		FindAllStringSubmatch(read(t, "webhook/config/testdata/invalid/all-of-the-release-before.errors"), -1)
	require.Len(t, rejected, 7)
	for _, line := range rejected {
		section, key, message := line[1], line[2], line[3]
		row := regexp.MustCompile("(?m)^\\| `" + section + `\.` + key + "[:`].*$").FindString(table)
		require.NotEmpty(t, row, "%s.%s", section, key)
		if now := regexp.MustCompile(`it is (\w+) now`).FindStringSubmatch(message); now != nil {
			assert.Contains(t, row, "`"+section+"."+now[1], "%s.%s", section, key)
			continue
		}
		value := regexp.MustCompile("\\| `(\\w+)` \\|").FindStringSubmatch(row)
		require.NotNil(t, value, "%s.%s", section, key)
		assert.Contains(t, message, `"`+value[1]+`"`, "%s.%s", section, key)
	}
}

// TestUpgradeNamesObjects tests that install.yaml has the objects of this release that the upgrade table names, and no
// object that only 0.1.0 had. The test has a copy of the names, and does not read the table.
func TestUpgradeNamesObjects(t *testing.T) {
	installed := read(t, "deploy/install.yaml")
	for _, name := range []string{"00-jupyter-user-webhook", "net.jupyter-user.io", "share.jupyter-user.io", "access.jupyter-user.io",
		"node.jupyter-user.io", "afterwards.jupyter-user.io"} {
		assert.Contains(t, installed, "\n  name: "+name+"\n")
	}
	for _, name := range []string{"injected.jupyter-user.io", "parameters.jupyter-user.io", "roads.jupyter-user.io", "jupyter-user-policy"} {
		assert.NotContains(t, installed, "\n  name: "+name+"\n")
	}
	assert.NotRegexp(t, `kind: MutatingWebhookConfiguration\nmetadata:\n  name: jupyter-user-webhook`, installed)
}
