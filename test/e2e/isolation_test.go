package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// attackScript is an attack in Python that runs in a container of a notebook Pod, for example from a kernel or with kubectl
// exec. It tries many ways to read bob's secret and the rest of the share, to write into bob's home, to mount, and to make
// a device. It prints what succeeded. With the capability SETUID it tries the same as alice, as bob and as root.
const attackScript = `
import ctypes, glob, json, os, sys
found = []
places = ["/data/hpc/home/bob", "/data/hpc/home/../home/bob", "/home/bob", "/home/alice/../bob", "/data/hpc/home/alice/../bob",
          "/home/alice/relative", "/home/alice/absolute", "/home/alice/of-the-node", "bob", "../bob", NODE + "/home/bob", NODE,
          "/data/hpc", "/data"]
for process in glob.glob("/proc/[0-9]*") + ["/proc/self", "/proc/thread-self"]:
    for road in ["root", "cwd"]:
        places += [f"{process}/{road}{rest}" for rest in
                   ["/data/hpc/home/bob", "/home/bob", "/data/hpc", "/../bob", "/../../home/bob", NODE, NODE + "/home/bob"]]
    places += glob.glob(f"{process}/fd/*")

def attempt(who):
    for place in places:
        for name in [place + "/secret", place + "/home/bob/secret"]:
            try:
                with open(name) as file:
                    found.append(f"{who} read {name}: {file.read()[:40]}")
            except OSError:
                pass
        for folder in [place, place + "/home"]:
            try:
                others = set(os.listdir(folder)) & {"bob", "many-files", "qiang.guo03", "secret", "user1"}
                if others:
                    found.append(f"{who} listed {folder}: {sorted(others)}")
            except OSError:
                pass
        try:
            if "bob" in place:
                with open(place + "/planted", "x"):
                    found.append(f"{who} wrote to {place}")
        except OSError:
            pass
    # These attempts need no path of the share: open a file by its handle, mount, make a mount namespace or a device.
    libc = ctypes.CDLL(None, use_errno=True)
    handle = (ctypes.c_char * 16)(8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0)
    mount = os.open("/", os.O_RDONLY)
    if libc.open_by_handle_at(mount, handle, os.O_RDONLY) >= 0:
        found.append(f"{who} opened by handle")
    if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0:
        found.append(f"{who} mounted")
    if libc.unshare(0x00020000) == 0:
        found.append(f"{who} has a mount namespace")
    try:
        os.mknod("/tmp/disk", 0o060600, os.makedev(254, 0))
        found.append(f"{who} made a device")
    except OSError:
        pass

attempt(f"uid {os.getuid()}")
for uid, gid in [(5001, 6001), (5002, 6002), (0, 0)]:
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([gid]); os.setresgid(gid, gid, gid); os.setresuid(uid, uid, uid)
        except OSError:
            os._exit(0)
        found.clear()
        attempt(f"uid {uid} after setuid")
        os.write(1, "".join(line + "\n" for line in found).encode())
        os._exit(0)
    os.waitpid(child, 0)
print("".join(line + "\n" for line in found), end="")
print("done")
`

// attackWithPath returns attackScript with the path of the share on the node, which an attacker may know.
func attackWithPath(t *testing.T) string {
	t.Helper()
	node, err := json.Marshal(cluster.share.root)
	require.NoError(t, err)
	return strings.ReplaceAll(attackScript, "NODE", string(node))
}

// TestOtherHomesUnreachable tests that attackScript finds nothing, from a kernel and from kubectl exec, and that the notebook
// container shows only the user's own home.
func TestOtherHomesUnreachable(t *testing.T) {
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			p := run(t, discovery, "attacker", "alice", images.DockerStacks, withToken)
			code, jupyter := attackWithPath(t), p.jupyter(t)

			t.Run("from the notebook", func(t *testing.T) {
				assert.Equal(t, "done\n", jupyter.Kernel(t).Run(t, code))
			})
			t.Run("from kubectl exec", func(t *testing.T) {
				result := p.exec(t, "python3", "-c", code)
				require.Zero(t, result.ExitCode, result.Stderr)
				assert.Equal(t, "done\n", result.Stdout)
			})
			t.Run("no other home is visible", func(t *testing.T) {
				for _, folder := range []string{"/data/hpc", "/data/hpc/home"} {
					result := p.exec(t, "ls", "-A", folder)
					assert.Equal(t, map[string]string{"/data/hpc": "home\n", "/data/hpc/home": "alice\n"}[folder], result.Stdout, folder)
				}
			})
			t.Run("the user's own home is complete", func(t *testing.T) {
				answer := jupyter.Kernel(t).Run(t, "import os; print(sorted(n for n in os.listdir('/home/alice') if not n.startswith('.'))[:3])")
				assert.Equal(t, "['absolute', 'of-the-node', 'relative']\n", answer)
			})
			if discovery == atStart {
				t.Run("root in the container cannot list the user's home", func(t *testing.T) {
					result := p.exec(t, "ls", "/home/alice")
					assert.NotZero(t, result.ExitCode)
					assert.Contains(t, result.Stderr, "Permission denied")
				})
			}
			assert.NoFileExists(t, cluster.share.path("bob", "planted"))
		})
	}
}

// TestAttackScriptFindsSecret proves that attackScript finds a secret if there is one, in a Pod that mounts the whole share.
func TestAttackScriptFindsSecret(t *testing.T) {
	require.NoError(t, cluster.apply(t.Context(), `
apiVersion: v1
kind: Pod
metadata: {name: exposed, namespace: default}
spec:
  containers:
  - name: nb
    image: `+images.Plain+`
    command: ["sleep", "1000"]
    volumeMounts: [{name: share, mountPath: /data/hpc}]
  volumes: [{name: share, hostPath: {path: `+cluster.share.root+`}}]
`))
	p := removeAtEnd(t, "default", "exposed")
	p.ready(t)
	code := strings.ReplaceAll(attackScript, "NODE", `"/nowhere"`)
	result, err := cluster.Admin.Kubectl(t.Context(), "exec", "exposed", "--", "python3", "-c", code)
	require.NoError(t, err)
	assert.Contains(t, result.Stdout, "uid 0 read /data/hpc/home/bob/secret: bob's secret", result.Stderr)
	assert.Contains(t, result.Stdout, "uid 5002 after setuid read /data/hpc/home/bob/secret")
	assert.Contains(t, result.Stdout, "listed /data/hpc/home")
	assert.Contains(t, result.Stdout, "wrote to /data/hpc/home/bob")
	assert.Contains(t, result.Stdout, "made a device")
	require.NoError(t, os.Remove(cluster.share.path("bob", "planted")))
}
