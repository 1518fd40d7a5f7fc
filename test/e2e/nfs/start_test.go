package nfs

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/uml"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

//go:embed start.sh
var startScript string

// mounts are the exports, with the options for mounting them without a kubelet. With NFS version 4 the path of an export
// begins below /srv: /mapped is the export /srv/mapped. On /srv/open the server accepts root as root, and on /srv/mapped it maps
// every user to root. On /srv/hpc and /srv/read it maps root to nobody.
var mounts = map[string]struct{ export, options string }{
	"v3":           {"/srv/hpc", "vers=3,nolock,proto=tcp,hard,retry=0"},
	"v4":           {"/hpc", "vers=4.2,hard,retry=0"},
	"v3-trusted":   {"/srv/open", "vers=3,nolock,proto=tcp,hard,retry=0"},
	"v4-read-only": {"/read", "vers=4.2,hard,retry=0"},
	"v3-mapped":    {"/srv/mapped", "vers=3,nolock,proto=tcp,hard,retry=0"},
	"v4-mapped":    {"/mapped", "vers=4.2,hard,retry=0"},
}

// mount mounts an export on the node nfs until the test ends, and returns the mount point.
func mount(t *testing.T, name string) string {
	t.Helper()
	m, at := mounts[name], "/mnt/"+name
	_, err := cluster.server.Script(t.Context(), "mkdir -p $3; mount -t nfs -o $1 "+serverAddress+":$2 $3", m.options, m.export, at)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = cluster.server.Do(contextOf(t), uml.Command{Args: []string{"umount", "-f", "-l", at}}) })
	return at
}

// startCase is a kind of home, with the expected result of the function start: the exit status (1 for any failure), and a
// part of the output.
type startCase struct {
	// home is a line of bash that makes the home at the path $1. The last element of the path is the name of the user.
	home string
	code int
	want string
}

// printOwner is a command that prints the owner and the group of a file that it makes, and then the UID, the GID and the
// groups with which it runs.
const printOwner = `touch made && stat --format=%u:%g made && id -u && id -g && id -G`

// startCases returns the kinds of home, by the name of a user with such a home.
func startCases() map[string]startCase {
	return map[string]startCase{
		"mode0700":         {`mkdir $1; chown 5101:6101 $1; chmod 0700 $1`, 0, "5101:6101\n5101\n6101\n6101\n"},
		"mode0750":         {`mkdir $1; chown 5102:6102 $1; chmod 0750 $1`, 0, "5102:6102\n5102\n6102\n6102\n"},
		"mode0755":         {`mkdir $1; chown 5103:6103 $1; chmod 0755 $1`, 0, "5103:6103\n5103\n6103\n6103\n"},
		"mode0300":         {`mkdir $1; chown 5104:6104 $1; chmod 0300 $1`, 0, "5104:6104\n5104\n6104\n6104\n"},
		"setgid":           {`mkdir $1; chown 5105:6105 $1; chmod 2770 $1`, 0, "5105:6105\n5105\n6105\n6105\n"},
		"missing":          {`true`, 1, "has no home"},
		"root-owned":       {`mkdir $1; chmod 0700 $1`, 1, "UID 0 is root"},
		"nobody-owned":     {`mkdir $1; chown 65534:65534 $1; chmod 0700 $1`, 1, "UID 65534 is nobody"},
		"old-nobody-owned": {`mkdir $1; chown 4294967294:6106 $1`, 1, "is nobody"},
		"low-uid":          {`mkdir $1; chown 500:6107 $1; chmod 0700 $1`, 1, "UID 500 is below 1000"},
		"system-group":     {`mkdir $1; chown 5108:50 $1; chmod 0700 $1`, 1, "GID 50 is below 1000"},
		"link":             {`mkdir $1.d; chown 5109:6109 $1.d; ln -s $1.d $1`, 1, "is a symbolic link"},
		"a-file":           {`touch $1; chown 5110:6110 $1`, 1, "is no directory"},
		"mode0000":         {`mkdir $1; chown 5111:6111 $1; chmod 0000 $1`, 1, "may not enter /home/mode0000"},
	}
}

// TestStartInHomes runs jupyter-user-init with each kind of home. The result is the same for each export, whether the
// server maps root to nobody or not.
func TestStartInHomes(t *testing.T) {
	needNFS(t)
	mountProgram(t)
	for name, server := range map[string]string{"v3": "hpc", "v4": "hpc", "v3-trusted": "open"} {
		t.Run(name, func(t *testing.T) {
			homes := mount(t, name) + "/home"
			for user, c := range startCases() {
				t.Run(user, func(t *testing.T) {
					makeHome(t, c.home, "/srv/"+server+"/home/"+user)
					result := start(t, homes, user, printOwner)
					assert.Equal(t, c.code, min(result.Code, 1), result.Output)
					assert.Contains(t, result.Output, c.want)
				})
			}
		})
	}
}

// start runs start.sh on the node nfs: jupyter-user-init finds the owner of the directory homes/user, and runs command as
// this owner.
func start(t *testing.T, homes, user, command string) uml.Result {
	t.Helper()
	result, err := cluster.server.Do(t.Context(), uml.Command{
		Args: []string{"bash", "-euo", "pipefail", "-s", "--", homes, user, command}, Stdin: startScript,
	})
	require.NoError(t, err)
	require.Empty(t, result.Error)
	return result
}

// contextOf returns a context for the cleanup of a test, which does not end with the test.
func contextOf(t *testing.T) context.Context { return context.WithoutCancel(t.Context()) }

// makeHome runs a line of bash on the server, with path as $1. When the test ends, it removes path and path.d, which a line
// may use for a second directory.
func makeHome(t *testing.T, line, path string) {
	t.Helper()
	_, err := cluster.server.Script(t.Context(), line, path)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := cluster.server.Must(contextOf(t), "rm", "-rf", path, path+".d")
		assert.NoError(t, err)
	})
}

// mountProgram mounts the image of the webhook, which contains jupyter-user-init.
func mountProgram(t *testing.T) {
	t.Helper()
	require.NoError(t, cluster.server.MountImage(t.Context(), images.Webhook, "/mnt/webhook"))
}

// TestClosedDirectoryOfHomes tests a server that maps root to nobody, and a directory of homes whose mode lets no other
// user pass through. No notebook can start, and the error must have the reason.
func TestClosedDirectoryOfHomes(t *testing.T) {
	needNFS(t)
	mountProgram(t)
	makeHome(t, "mkdir -p $1/home/carla; chown 5120:6120 $1/home/carla; chmod 0750 $1/home", "/srv/hpc/closed")
	for _, name := range []string{"v3", "v4"} {
		result := start(t, mount(t, name)+"/closed/home", "carla", "true")
		assert.NotZero(t, result.Code)
		assert.Contains(t, result.Output, "the share does not let others pass through")
	}
}

// TestFifteenGroups tests how many of twenty files a user can read. Each file is in a directory of its own, which has a group
// of its own, and only members of this group can enter the directory. The client sends at most sixteen groups to the server.
// With the option manage-gids, the server ignores these groups, and looks up the groups of the user itself.
func TestFifteenGroups(t *testing.T) {
	needNFS(t)
	makeHome(t, `mkdir $1; for g in $(seq 9001 9020); do mkdir $1/$g; chgrp $g $1/$g; chmod 0750 $1/$g; echo $g >$1/$g/file; done`,
		"/srv/hpc/projects")
	t.Run("groups of the client", func(t *testing.T) {
		for _, name := range []string{"v3", "v4"} {
			assert.Equal(t, 15, countOpened(t, mount(t, name), 15), name)
		}
	})
	t.Run("twenty groups of the client", func(t *testing.T) {
		for _, name := range []string{"v3", "v4"} {
			assert.Equal(t, 16, countOpened(t, mount(t, name), 20), name)
		}
	})
	t.Run("with manage-gids", func(t *testing.T) {
		manageGIDs(t)
		t.Run("user unknown to the server", func(t *testing.T) {
			for _, name := range []string{"v3", "v4"} {
				assert.Zero(t, countOpened(t, mount(t, name), 15), name)
			}
		})
		t.Run("user known to the server", func(t *testing.T) {
			addAccount(t)
			for _, name := range []string{"v3", "v4"} {
				assert.Equal(t, 20, countOpened(t, mount(t, name), 1), name)
			}
		})
	})
}

// countOpened returns how many of the twenty files of TestFifteenGroups the user with UID 5003 can read, in a process with
// this number of groups.
func countOpened(t *testing.T, share string, groups int) int {
	t.Helper()
	output, err := cluster.server.Script(t.Context(), `
		setpriv --reuid 5003 --regid 6003 --groups $(seq -s, 9001 $((9000 + $2))) sh -c '
			for g in $(seq 9001 9020); do cat $1/projects/$g/file 2>/dev/null; done; true' - $1`, share, fmt.Sprint(groups))
	require.NoError(t, err)
	return len(strings.Fields(output))
}

// addAccount adds a user with the UID 5003 and twenty groups to the server's accounts, until the test ends.
func addAccount(t *testing.T) {
	t.Helper()
	_, err := cluster.server.Script(t.Context(), `
		cp /etc/passwd /etc/passwd.before; cp /etc/group /etc/group.before
		echo known:x:5003:6003::/:/bin/sh >>/etc/passwd
		for g in $(seq 9001 9020); do echo "g$g:x:$g:known"; done >>/etc/group
		# The server forgets the groups that it has looked up before.
		ip netns exec srv sh -c 'date +%s >/proc/net/rpc/auth.unix.gid/flush'`)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := cluster.server.Script(contextOf(t), "mv /etc/passwd.before /etc/passwd; mv /etc/group.before /etc/group")
		assert.NoError(t, err)
	})
}

// endDaemon has a bash function that ends a daemon, by its name, and waits until the daemon has ended.
const endDaemon = `
		end() {
			for process in /proc/[0-9]*; do
				[ "$(cat $process/comm 2>/dev/null)" = "$1" ] || continue
				kill "${process#/proc/}"
				while [ -e "$process" ]; do sleep 0.1; done
			done
		}`

// manageGIDs makes the server look up the groups of a user itself, as in Debian's own configuration, until the test ends.
func manageGIDs(t *testing.T) {
	t.Helper()
	const restart = endDaemon + `
		end rpc.mountd
		ip netns exec srv sh -euc 'mount -t nfsd nfsd /proc/fs/nfsd; rpc.mountd -p 20048 ${1-}
			date +%s >/proc/net/rpc/auth.unix.gid/flush; exportfs -f' - ${1-}`
	_, err := cluster.server.Script(t.Context(), restart, "--manage-gids")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := cluster.server.Script(contextOf(t), restart, "")
		assert.NoError(t, err)
		awaitServer(t)
	})
}

// awaitServer waits until the server responds to a new client. Without --manage-gids, rpc.mountd does not answer the kernel's
// questions about the groups of a user. For half a minute after an rpc.mountd with --manage-gids has ended, the kernel still
// asks, and drops the requests of clients. awaitServer repeats soft mounts, which fail after seconds; a hard mount repeats a
// dropped request only after a minute.
func awaitServer(t *testing.T) {
	t.Helper()
	assert.NoError(t, await(contextOf(t), machine.Patience, func(ctx context.Context) (bool, error) {
		result, err := cluster.server.Do(ctx, uml.Command{Args: []string{"bash", "-euo", "pipefail", "-s"}, Stdin: `
			mkdir -p /mnt/asked
			timeout 10 mount -t nfs -o vers=3,nolock,proto=tcp,soft,timeo=10,retrans=1,retry=0 ` + serverAddress + `:/srv/hpc /mnt/asked
			umount -f -l /mnt/asked`})
		return err == nil && result.Code == 0, err
	}))
}

// unmapped is the init container's message if NFS shows nobody as the owner.
const unmapped = "UID 65534 is nobody, which is what NFS shows for an owner that it cannot map (idmapd) or squashes"

// mapOwners makes the server send owners as names, as NFS 4 was designed, until the test ends. It adds the given users to
// the accounts of the node nfs, which is also a client. NFS 4 then shows every owner without an account as nobody.
func mapOwners(t *testing.T, known []home) {
	t.Helper()
	var accounts strings.Builder
	for _, h := range known {
		fmt.Fprintf(&accounts, "%s %d %d\n", h.name, h.uid, h.gid)
	}
	_, err := cluster.server.Script(t.Context(), `
		cp /etc/passwd /etc/passwd.before; cp /etc/group /etc/group.before
		while read -r name uid gid; do
			[ -n "$name" ] || continue
			echo "$name:x:$uid:$gid::/:/bin/sh" >>/etc/passwd
			echo "$name:x:$gid:" >>/etc/group
		done <<<"$1"
		printf '[General]\nDomain = lab.test\n[Mapping]\nNobody-User = nobody\nNobody-Group = nogroup\n[Translation]\nMethod = nsswitch\n' \
			>/etc/idmapd.conf
		echo N >/sys/module/nfsd/parameters/nfs4_disable_idmapping
		ip netns exec srv sh -c 'mkdir -p /run/rpc_pipefs; mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
			rpc.idmapd -S -c /etc/idmapd.conf -p /run/rpc_pipefs'`, strings.TrimSpace(accounts.String()))
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := cluster.server.Script(contextOf(t), endDaemon+`
			end rpc.idmapd
			echo Y >/sys/module/nfsd/parameters/nfs4_disable_idmapping
			mv /etc/passwd.before /etc/passwd; mv /etc/group.before /etc/group`)
		assert.NoError(t, err)
	})
}

// TestUnmappedOwners tests a server whose ID mapper knows no user. With NFS 4 the owner of a home is shown as nobody, so
// jupyter-user-init fails. NFS 3 sends numbers, so the command runs.
func TestUnmappedOwners(t *testing.T) {
	needNFS(t)
	mountProgram(t)
	makeHome(t, "mkdir $1; chown 5130:6130 $1; chmod 0700 $1", "/srv/hpc/home/unmapped")
	mapOwners(t, nil)
	result := start(t, mount(t, "v4")+"/home", "unmapped", "true")
	assert.NotZero(t, result.Code)
	assert.Contains(t, result.Output, unmapped)
	result = start(t, mount(t, "v3")+"/home", "unmapped", "id -u")
	assert.Zero(t, result.Code, result.Output)
	assert.Contains(t, result.Output, "5130\n")
}

// fill writes to the home own-fs, which is a file system of its own, until it is full. The file is removed when the test
// ends.
func fill(t *testing.T) {
	t.Helper()
	_, err := cluster.server.Script(t.Context(), "dd if=/dev/zero of=/srv/hpc/home/own-fs/filler bs=1M status=none || true; sync")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := cluster.server.Must(contextOf(t), "rm", "-f", "/srv/hpc/home/own-fs/filler")
		assert.NoError(t, err)
	})
}

// TestFullAndReadOnlyShare tests that the notebook starts in a full home and on a read-only export. A command in the
// notebook that writes gets the error of the kernel.
func TestFullAndReadOnlyShare(t *testing.T) {
	needNFS(t)
	mountProgram(t)
	t.Run("full", func(t *testing.T) {
		fill(t)
		for _, name := range []string{"v3", "v4"} {
			result := start(t, mount(t, name)+"/home", "own-fs", "id -u; head -c 1M /dev/zero >more")
			assert.NotZero(t, result.Code)
			assert.Contains(t, result.Output, "5007\n")
			assert.Contains(t, result.Output, "No space left on device")
		}
	})
	t.Run("read-only", func(t *testing.T) {
		makeHome(t, "mkdir $1; chown 5131:6131 $1; chmod 0700 $1", "/srv/read/home/reader")
		result := start(t, mount(t, "v4-read-only")+"/home", "reader", "id -u; touch made")
		assert.NotZero(t, result.Code)
		assert.Contains(t, result.Output, "5131\n")
		assert.Contains(t, result.Output, "Read-only file system")
	})
}

// findKnown is a script that runs jupyter-user-init as the init container does with discovery at admission: as the user, with
// a read-only mount of the directory of homes ($1).
const findKnown = `
rm -rf /tmp/scratch
mkdir -m 777 /tmp/scratch
unshare --mount bash -euc '
	mount --bind "$1" /mnt
	mount -o remount,bind,ro /mnt
	exec setpriv --reuid 5140 --regid 6140 --clear-groups --bounding-set=-all --no-new-privs "$2" discover --user=mapped --homes=/mnt \
		--scratch=/tmp/scratch --home=/home/mapped --min-uid=1000 --min-gid=1000 --uid=5140 --gid=6140
' - "$1" /tmp/jupyter-user-init`

// TestServerMapsUsers tests a server that maps every user to root, so that each notebook could read all homes. The init
// container fails with discovery at admission, and the notebook container with discovery at start.
func TestServerMapsUsers(t *testing.T) {
	needNFS(t)
	mountProgram(t)
	_, err := cluster.server.Must(t.Context(), "cp", "/mnt/webhook/jupyter-user-init", "/tmp/jupyter-user-init")
	require.NoError(t, err)
	for _, server := range []string{"hpc", "mapped"} {
		makeHome(t, "mkdir $1; chown 5140:6140 $1; chmod 0700 $1", "/srv/"+server+"/home/mapped")
	}
	for name, isMapped := range map[string]bool{"v3": false, "v4": false, "v3-mapped": true, "v4-mapped": true} {
		t.Run(name, func(t *testing.T) {
			homes := mount(t, name) + "/home"
			found, err := cluster.server.Do(t.Context(), uml.Command{Args: []string{"bash", "-euo", "pipefail", "-s", "--", homes}, Stdin: findKnown})
			require.NoError(t, err)
			started := start(t, homes, "mapped", "id -u")
			if !isMapped {
				assert.Zero(t, found.Code, found.Output)
				assert.Zero(t, started.Code, started.Output)
				return
			}
			assert.NotZero(t, found.Code)
			assert.Contains(t, found.Output, "the server lets mapped (5140) write in /mnt, which contains the homes or directories of users")
			assert.NotZero(t, started.Code)
			assert.Contains(t, started.Output, "gives new files in the home /home/mapped to UID 0, and not to mapped (5140)")
		})
	}
}
