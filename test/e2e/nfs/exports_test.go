package nfs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// needRelease skips a test whose Pods take minutes, except before a release.
func needRelease(t *testing.T) {
	t.Helper()
	if !release() {
		t.Skip("left out: its pods take minutes. Run it with make release-check")
	}
}

// TestPodsOnExports tests with Pods what TestFullAndReadOnlyShare and TestClosedDirectoryOfHomes test without a kubelet.
func TestPodsOnExports(t *testing.T) {
	needNFS(t)
	needRelease(t)
	fill(t)
	makeHome(t, "mkdir $1; chown 5131:6131 $1; chmod 0700 $1", "/srv/read/home/reader")
	makeHome(t, "mkdir -p $1/home/carla; chown 5120:6120 $1/home/carla; chmod 0750 $1/home", "/srv/hpc/closed")
	serves := func(script string) []string {
		return []string{"--command", "--", "sh", "-c", script + "; exec hello"}
	}
	running := map[string]pod{
		"full 3":    run(t, start3, "full", "own-fs", serves("id -u; head -c 1M /dev/zero >more")...),
		"full 4":    runOn(t, clientNode, start4, "full", "own-fs", images.Plain, serves("id -u; head -c 1M /dev/zero >more")...),
		"read-only": runOn(t, clientNode, read4, "reader", "reader", images.Plain, serves("id -u; touch made")...),
		"closed":    run(t, closed3, "closed", "carla", serves("true")...),
	}
	for name, want := range map[string][2]string{
		"full 3":    {"5007\n", "No space left on device"},
		"full 4":    {"5007\n", "No space left on device"},
		"read-only": {"5131\n", "Read-only file system"},
	} {
		t.Run(name, func(t *testing.T) {
			running[name].ready(t)
			output := running[name].logs(t)
			assert.Contains(t, output, want[0])
			assert.Contains(t, output, want[1])
		})
	}
	t.Run("closed", func(t *testing.T) {
		got := running["closed"].await(t, "to fail", func(pod *corev1.Pod) bool { return failure(pod) != "" })
		assert.Contains(t, failure(got), "the share does not let others pass through")
	})
	removeAll(t, running)
}

// TestPodsWithFifteenGroups tests with Pods what TestFifteenGroups tests without a kubelet. A user is in fifteen groups,
// and each group has a file that only the group can read. The user can read all these files. With the option manage-gids,
// the NFS server itself looks up the groups of a user. A user whom the server does not know can then read none of the
// files.
func TestPodsWithFifteenGroups(t *testing.T) {
	needNFS(t)
	needRelease(t)
	_, err := cluster.server.Script(t.Context(), `for g in $(seq $2 $3); do
		mkdir $1/$g; chgrp $g $1/$g; chmod 0750 $1/$g; echo $g >$1/$g/file; done`,
		"/srv/hpc/home/grouped", fmt.Sprint(firstGroup), fmt.Sprint(firstGroup+groupCount-1))
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := cluster.server.Script(contextOf(t), "rm -rf /srv/hpc/home/grouped/*")
		assert.NoError(t, err)
	})
	open := func(t *testing.T, name string) map[string]int {
		t.Helper()
		pods, opened := map[string]pod{}, map[string]int{}
		for on, in := range map[string]nfsNamespace{serverNode: admission3, clientNode: admission4} {
			pods[in.name] = runOn(t, on, in, name, "grouped", images.Plain, "--command", "--", "sh", "-c",
				"id -u; id -G; cat 9*/file; exec hello")
		}
		for in, p := range pods {
			p.ready(t)
			lines := strings.Split(p.logs(t), "\n")
			require.Equal(t, "5013", lines[0])
			require.Len(t, strings.Fields(lines[1]), 1+groupCount, "the primary group and the supplementary groups")
			for _, line := range lines[2:] {
				if len(line) == len("9001") {
					opened[in]++
				}
			}
		}
		removeAll(t, pods)
		return opened
	}
	t.Run("groups of the client", func(t *testing.T) {
		assert.Equal(t, map[string]int{admission3.name: 15, admission4.name: 15}, open(t, "fifteen"))
	})
	t.Run("with manage-gids", func(t *testing.T) {
		manageGIDs(t)
		assert.Empty(t, open(t, "none"), "the server does not know the user")
	})
}
