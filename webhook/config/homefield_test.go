package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

func TestHomeFields(t *testing.T) {
	const upwards, root = `must not contain ".."`, "must not be directly in the root of the share, where the init container would see the whole share"
	share := config.Default().Share
	share.HomePrefix = "/hpc"
	share.Directories = []config.Directory{
		{SubPath: "projects", MountPath: "/data/hpc/projects"}, {SubPath: "data/sets", MountPath: "/data/hpc/x"},
		{ClaimName: "scratch", SubPath: "home/a", MountPath: "/scratch"}, {SubPath: "work/{user}", MountPath: "/work/{user}"},
	}
	for _, c := range []struct{ field, home, why string }{
		{"/hpc/home/alice", "home/alice", ""},
		{"/hpc/home/a/alice", "home/a/alice", ""},
		{"/hpc/home.2/staff/alice", "home.2/staff/alice", ""},
		{"/hpc/data/alice", "data/alice", ""},
		{"", "", "is empty"},
		{"/", "", "must be below /hpc (share.homePrefix)"},
		{"/hpc", "", "must be below /hpc (share.homePrefix)"},
		{"/home/alice", "", "must be below /hpc (share.homePrefix)"},
		{"/hpc2/home/alice", "", "must be below /hpc (share.homePrefix)"},
		{"hpc/home/alice", "", "must be below /hpc (share.homePrefix)"},
		{"/hpc/", "", "must be written in its shortest form, /hpc"},
		{"/hpc/alice", "", root},
		{"/hpc/home/bob", "", "must end with the user's name"},
		{"/hpc/home/Alice", "", "must end with the user's name"},
		{"/hpc/home/alice/x", "", "must end with the user's name"},
		{"/hpc/home/malice", "", "must end with the user's name"},
		{"/hpc/home/../../etc/alice", "", upwards},
		{"/hpc/home/bob/../alice", "", upwards},
		{"/hpc/home/..", "", upwards},
		{"/hpc//home/alice", "", "must be written in its shortest form, /hpc/home/alice"},
		{"/hpc/home/./alice", "", "must be written in its shortest form, /hpc/home/alice"},
		{"/hpc/home/alice/", "", "must be written in its shortest form, /hpc/home/alice"},
		{"/hpc/home/a\nb/alice", "", "must not contain control characters"},
		{"/hpc/home/\xff/alice", "", "must be UTF-8: a patch cannot have other bytes"},
		{"/hpc/home:x/alice", "", `must not contain ":", which neither a mount path nor a line of passwd can have`},
		{"/hpc/$(X)/alice", "", `must not contain "$(", which Kubernetes takes for a variable`},
		{"/hpc/projects/alice", "", "must lie apart from /data/hpc/projects of share.directories"},
		{"/hpc/Projects/a/alice", "", "must lie apart from /data/hpc/projects of share.directories"},
		{"/hpc/data/sets/alice", "", "must lie apart from /data/hpc/x of share.directories"},
		{"/hpc/x/alice", "", "must lie apart from /data/hpc/x of share.directories"},
		{"/hpc/work/alice", "", "must lie apart from /work/{user} of share.directories"},
		{"/hpc/Work/bob/alice", "", "must lie apart from /work/{user} of share.directories"},
		{"/hpc/home/.snapshot/alice", "", "must not lead into .snapshot, which has old versions of all homes"},
		{"/hpc/" + strings.Repeat("x", 1020) + "/alice", "", "is longer than 1024 bytes"},
	} {
		home, why := share.HomeOf("alice", c.field)
		assert.Equal(t, c.home, home, c.field)
		assert.Equal(t, c.why, why, c.field)
	}
	share.HomePrefix = "/"
	home, why := share.HomeOf("alice", "/home/alice")
	assert.Equal(t, "home/alice", home)
	assert.Empty(t, why)
	_, why = share.HomeOf("alice", "/alice")
	assert.Equal(t, root, why)
	share.HomePrefix = "/hpc"
	share.Directories = []config.Directory{{SubPath: "home/a/alice/shared", MountPath: "/shared"}}
	_, why = share.HomeOf("alice", "/hpc/home/a/alice")
	assert.Equal(t, "must lie apart from /shared of share.directories", why)
}
