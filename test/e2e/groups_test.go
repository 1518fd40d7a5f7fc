package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// TestGroupsOfPasswd tests that a user in fifteen groups of the group file has these groups in the notebook: id lists them,
// and the user can write to a directory that only one of these groups can write to.
func TestGroupsOfPasswd(t *testing.T) {
	shared := cluster.share.path("grouped", "project")
	require.NoError(t, os.Mkdir(shared, 0o770))
	require.NoError(t, os.Chown(shared, 0, firstGroup+maxGroups-1))
	require.NoError(t, os.Chmod(shared, 0o770))
	p := run(t, atAdmission, "grouped", "grouped", images.DockerStacks, "--command", "--", "sleep", "infinity")
	p.ready(t)
	want := []string{"6009"}
	for i := range maxGroups {
		want = append(want, fmt.Sprint(firstGroup+i))
	}
	assert.ElementsMatch(t, want, strings.Fields(p.exec(t, "id", "-G").Stdout))
	assert.Zero(t, p.exec(t, "touch", "/home/grouped/project/mine").ExitCode)
	assert.Contains(t, p.exec(t, "id", "-Gn").Stdout, "grouped")
}
