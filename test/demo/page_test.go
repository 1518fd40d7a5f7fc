package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPage tests that the page has each line of both Pods once and marks added and removed lines. Text of a Pod is escaped.
func TestPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dist", "demo.html")
	require.NoError(t, writePage(path, "run nb", "kind: Pod\nname: <b>\n", "kind: Pod\nname: nb\n  uid: 5003\n"))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, want := range []string{
		"<code>kubectl run nb</code>",
		`<tr class=""><td class="left">kind: Pod</td><td class="right">kind: Pod</td></tr>`,
		`<tr class="removed"><td class="left">name: &lt;b&gt;</td><td class="right"></td></tr>`,
		`<tr class="added"><td class="left"></td><td class="right">name: nb</td></tr>`,
		`<td class="right">  uid: 5003</td>`,
	} {
		assert.Contains(t, string(page), want)
	}
}
