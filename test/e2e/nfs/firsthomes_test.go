package nfs

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/uml"
)

// firstHomesScript runs the command jupyter-user-webhook homes with the rights of the chart's CronJob. $1 is the mount
// point of the share, and $2 the content of the passwd file.
const firstHomesScript = `
printf 'apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n' >/tmp/homes.yaml
echo "$2" >/tmp/accounts
mkdir -p /tmp/skeleton
echo "a first line" >/tmp/skeleton/profile
ln -sfn profile /tmp/skeleton/link
setpriv --bounding-set=-all,+chown,+dac_override --no-new-privs /mnt/webhook/jupyter-user-webhook homes --config=/tmp/homes.yaml \
	--share="$1" --passwd=/tmp/accounts --skeleton=/tmp/skeleton 2>&1`

// makeFirstHome runs the homes command for one user on a node, and returns its result.
func makeFirstHome(t *testing.T, on *node.Extra, share string, h home) uml.Result {
	t.Helper()
	require.NoError(t, on.MountImage(t.Context(), images.Webhook, "/mnt/webhook"))
	account := fmt.Sprintf("%s:x:%d:%d::/:/bin/sh", h.name, h.uid, h.gid)
	result, err := on.Do(t.Context(), uml.Command{
		Args: []string{"bash", "-euo", "pipefail", "-s", "--", share, account}, Stdin: firstHomesScript,
	})
	require.NoError(t, err)
	require.Empty(t, result.Error)
	return result
}

// trustClientNode makes the NFS server accept root of the node nfs-2 as root, until the test ends. It adds an export with
// no_root_squash, which deploy/docs/homes.md requires, for the addresses of additional nodes. The node nfs itself connects
// to the server from another address.
func trustClientNode(t *testing.T) {
	t.Helper()
	const exports = `ip netns exec srv sh -euc 'mount -t nfsd nfsd /proc/fs/nfsd; exportfs "$@"' - `
	_, err := cluster.server.Script(t.Context(),
		exports+"-o rw,sync,no_subtree_check,no_root_squash,fsid=1,crossmnt 192.0.2.0/24:/srv/hpc")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := cluster.server.Script(contextOf(t), exports+"-u 192.0.2.0/24:/srv/hpc")
		assert.NoError(t, err)
	})
}

// TestFirstHomesOnNFS tests that if the server maps root of the client to nobody, the homes command reports an error and
// creates nothing. If the server accepts root of the client as root, the command creates the home. The first notebook of
// the new user then runs in this home on another client.
func TestFirstHomesOnNFS(t *testing.T) {
	needNFS(t)
	trustClientNode(t)
	cases := []struct {
		mount string
		in    nfsNamespace
		home  home
	}{
		{"v3", start3, home{"newcomer3", 5113, 6113, "0700"}},
		{"v4", start4, home{"newcomer4", 5114, 6114, "0700"}},
	}
	running := map[string]pod{}
	for _, c := range cases {
		makeHome(t, "true", "/srv/hpc/home/"+c.home.name)
		t.Run(c.mount, func(t *testing.T) {
			const names = "ls -A /srv/hpc/home"
			before, err := cluster.server.Script(t.Context(), names)
			require.NoError(t, err)

			denied := makeFirstHome(t, cluster.server, mount(t, c.mount), c.home)
			assert.Equal(t, 1, denied.Code, denied.Output)
			assert.Contains(t, denied.Output, "failed: make home/"+c.home.name+": the share does not let this process (UID 0) make "+
				"directories and give them to users: ")
			after, err := cluster.server.Script(t.Context(), names)
			require.NoError(t, err)
			assert.Equal(t, before, after, "nothing is left behind")

			made := makeFirstHome(t, cluster.client, mountOnClientNode(t, c.mount), c.home)
			assert.Zero(t, made.Code, made.Output)
			assert.Equal(t, fmt.Sprintf("made: home/%s, for %d:%d\n1 made, 0 there, 0 skipped, 0 failed\n", c.home.name, c.home.uid, c.home.gid),
				made.Output)
			again := makeFirstHome(t, cluster.client, "/mnt/third-"+c.mount, c.home)
			assert.Equal(t, "0 made, 1 there, 0 skipped, 0 failed\n", again.Output)
			assertMade(t, c.home, before)
		})
		running[c.mount] = run(t, c.in, "first", c.home.name, writeFileCommand...)
	}
	for _, c := range cases {
		assertOwnerServes(t, running[c.mount], c.home)
	}
	removeAll(t, running)
}

// mountOnClientNode mounts an export on the node nfs-2 until the test ends, and returns the mount point.
func mountOnClientNode(t *testing.T, name string) string {
	t.Helper()
	m, at := mounts[name], "/mnt/third-"+name
	_, err := cluster.client.Script(t.Context(), "mkdir -p $3; mount -t nfs -o $1 "+serverAddress+":$2 $3", m.options, m.export, at)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = cluster.client.Do(contextOf(t), uml.Command{Args: []string{"umount", "-f", "-l", at}}) })
	return at
}

// assertMade asserts that the new home on the server's disk belongs to the user and has the files of the skeleton, and that
// except for the new home, the directory of homes has the same content as before.
func assertMade(t *testing.T, h home, before string) {
	t.Helper()
	output, err := cluster.server.Script(t.Context(),
		"cd /srv/hpc/home; stat --format=%n:%u:%g:%a $1 $1/profile; readlink $1/link; ls -A | grep -vx $1", h.name)
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("%[1]s:%[2]d:%[3]d:700\n%[1]s/profile:%[2]d:%[3]d:644\nprofile\n", h.name, h.uid, h.gid)+before, output)
}

// TestProjectDirectoriesOnNFS tests that new files in a setgid directory of one of the user's groups belong to this group,
// with each version of NFS. The user can neither write to nor list the directory of another group.
func TestProjectDirectoriesOnNFS(t *testing.T) {
	needNFS(t)
	emptyProjects(t)
	for _, name := range []string{"v3", "v4"} {
		t.Run(name, func(t *testing.T) {
			output, err := cluster.server.Script(t.Context(), `
				setpriv --reuid 5003 --regid 6003 --groups 9101 --bounding-set=-all --no-new-privs sh -c '
					cd $1/groups; umask 022
					touch physics/$2; mkdir physics/$2.d; touch physics/$2.d/below
					touch chemistry/$2 && echo wrote; ls chemistry && echo listed; true' - $1 $2 2>&1
				cd /srv/hpc/groups; stat --format=%u:%g:%a physics/$2 physics/$2.d physics/$2.d/below; ls chemistry`, mount(t, name), name)
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprintf("touch: cannot touch 'chemistry/%s': Permission denied\n"+
				"ls: cannot open directory 'chemistry': Permission denied\n5003:9101:644\n5003:9101:2755\n5003:9101:644\n", name), output)
		})
	}
}

// emptyProjects removes the content of the project directories when the test ends.
func emptyProjects(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		_, err := cluster.server.Script(contextOf(t), "rm -rf /srv/hpc/groups/*/*")
		assert.NoError(t, err)
	})
}

// TestPodsWithProjectDirectories tests with Pods what TestProjectDirectoriesOnNFS tests without a kubelet.
func TestPodsWithProjectDirectories(t *testing.T) {
	needNFS(t)
	needRelease(t)
	emptyProjects(t)
	const command = `umask 022; cd /groups; id -G; touch physics/$0; mkdir physics/$0.d; touch physics/$0.d/below
		touch chemistry/$0 && echo wrote; ls chemistry && echo listed; exec hello`
	running := map[string]pod{}
	for on, in := range map[string]nfsNamespace{serverNode: admission3, clientNode: admission4} {
		running[in.name] = runOn(t, on, in, "project", "lena", images.Plain, "--command", "--", "sh", "-c", command, in.name)
	}
	for name, p := range running {
		p.ready(t)
		assert.Contains(t, p.logs(t), fmt.Sprintf("6015 9101\ntouch: cannot touch 'chemistry/%s': Permission denied\n"+
			"ls: cannot open directory 'chemistry': Permission denied\n", name))
		output, err := cluster.server.Script(t.Context(), "cd /srv/hpc/groups; stat --format=%u:%g:%a physics/$1 physics/$1.d physics/$1.d/below; "+
			"ls chemistry", name)
		require.NoError(t, err)
		assert.Equal(t, "5015:9101:644\n5015:9101:2755\n5015:9101:644\n", output)
	}
	removeAll(t, running)
}
