package docs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// TestPresetsOfThePage tests that deploy/docs/directory-services.md has the filters and attributes of each LDAP preset.
func TestPresetsOfThePage(t *testing.T) {
	_, table, found := strings.Cut(read(t, "deploy/docs/directory-services.md"), "## What a preset means")
	require.True(t, found)
	shown := map[string][]string{}
	for line := range strings.Lines(table) {
		// In a cell of a Markdown table, a | is written as \|.
		if cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|"); len(cells) == 6 && strings.Contains(cells[1], ".") {
			for _, cell := range cells[2:5] {
				key := strings.Trim(cells[1], " `")
				shown[key] = append(shown[key], strings.ReplaceAll(strings.Trim(cell, " `"), "\x00", "|"))
			}
		}
	}
	want := map[string][]string{}
	for _, preset := range []config.LDAPPreset{"rfc2307", "rfc2307bis", "ad"} {
		configured := config.Default()
		configured.Identity.LDAP.Preset, configured.Share.HomePrefix = preset, "/hpc"
		l := configured.DirectoryService()
		for key, value := range map[string]string{
			"users.filter": l.Users.Filter, "users.name": l.Users.Name, "users.uid": l.Users.UID, "users.gid": l.Users.GID,
			"users.home": l.Users.Home, "groups.filter": l.Groups.Filter, "groups.member": l.Groups.Member,
			"groups.memberIs": string(l.Groups.MemberIs), "groups.gid": l.Groups.GID,
		} {
			want[key] = append(want[key], value)
		}
	}
	assert.Equal(t, want, shown)
}
