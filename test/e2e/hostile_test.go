package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// hostilePod is a Pod that runs an attacker's image, with a hook.
const hostilePod = `
apiVersion: v1
kind: Pod
metadata:
  name: hostile
  labels: {jupyter-user: alice}
  annotations: {jupyter-user.io/probes: "on"}
spec:
  containers:
  - name: nb
    image: ` + images.Hostile + `
    command: [tini, -g, --, start.sh, start-notebook.py]
    lifecycle: {postStart: {exec: {command: [sh, -c, "true"]}}}
`

// preparedPod is a Pod with a harmless image. The Pod itself mounts the attacker's programs, and sets the environment
// variables (PATH, BASH_ENV, LD_PRELOAD) that make the attacker's code run.
const preparedPod = `
apiVersion: v1
kind: Pod
metadata:
  name: prepared
  labels: {jupyter-user: alice}
  annotations: {jupyter-user.io/probes: "on"}
spec:
  volumes: [{name: bin, configMap: {name: attack, defaultMode: 0755}}, {name: ran, emptyDir: {}}]
  containers:
  - name: nb
    image: ` + images.Plain + `
    command: [tini, -g, --, start.sh, start-notebook.py]
    env:
    - {name: PATH, value: "/attack/bin:/usr/local/bin:/usr/bin:/bin"}
    - {name: BASH_ENV, value: /attack/bin/bash-env}
    - {name: LD_PRELOAD, value: libmemusage.so}
    - {name: MEMUSAGE_OUTPUT, value: /attack/ran/preloaded}
    lifecycle: {postStart: {exec: {command: [sh, -c, "true"]}}}
    volumeMounts: [{name: bin, mountPath: /attack/bin}, {name: ran, mountPath: /attack/ran}]
`

// attackPrograms returns the programs of the attacker's image, except jupyter, for the ConfigMap of preparedPod. Each
// program creates a file whose name begins with the name of the program (see programUIDs).
func attackPrograms(t *testing.T) map[string]string {
	t.Helper()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join("images", "hostile", name))
		require.NoError(t, err)
		return string(data)
	}
	programs := map[string]string{"bash-env": read("bash-env")}
	for _, name := range []string{"tini", "start.sh", "start-notebook.py", "sh"} {
		programs[name] = read("tell")
	}
	return programs
}

func makeConfigMap(t *testing.T, namespace, name string, data map[string]string) {
	t.Helper()
	maps := cluster.Client.CoreV1().ConfigMaps(namespace)
	_, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, maps.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}))
	})
}

// programUIDs returns the UID with which each of the attacker's programs ran in a container, by the name of the program. If
// a program ran several times, programUIDs returns the lowest UID, so that a run as root is not missed. The UIDs are the
// owners of the files that the programs created, which programUIDs reads on the node.
func (p pod) programUIDs(t *testing.T) map[string]uint32 {
	t.Helper()
	folder := filepath.Join("/proc", strconv.Itoa(firstProcess(t, p).PID), "root", "attack", "ran")
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	found := map[string]uint32{}
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		name, uid := strings.TrimRight(entry.Name(), ".0123456789"), info.Sys().(*syscall.Stat_t).Uid
		if before, seen := found[name]; !seen || uid < before {
			found[name] = uid
		}
	}
	return found
}

// wantUIDs returns the expected result of programUIDs if the attacker's usual programs, and those in names, all ran with
// the given UID.
func wantUIDs(uid uint32, names ...string) map[string]uint32 {
	uids := map[string]uint32{}
	for _, name := range append(names, "tini", "start.sh", "start-notebook.py", "bash-env", "preloaded") {
		uids[name] = uid
	}
	return uids
}

// TestAttackersProgramsNotRoot tests that an attacker's programs run as the user and never as root. Some of these programs
// have the names of the programs that start a notebook, or of the shell of a hook. The others are loaded by BASH_ENV and
// LD_PRELOAD.
func TestAttackersProgramsNotRoot(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		makeConfigMap(t, discovery.namespace, "attack", attackPrograms(t))
		for name, manifest := range map[string]string{"hostile": hostilePod, "prepared": preparedPod} {
			t.Run(name+"/"+discovery.name, func(t *testing.T) {
				t.Parallel()
				p := create(t, discovery, name, manifest)
				p.ready(t)
				assert.Equal(t, wantUIDs(5001, "sh"), p.programUIDs(t))
				assertOwned(t, p, homeOf("alice"))
			})
		}
	}
	t.Run("without the webhook", func(t *testing.T) {
		t.Parallel()
		// This subtest proves that programUIDs finds a program that ran as root.
		require.NoError(t, cluster.apply(t.Context(), `
apiVersion: v1
kind: Pod
metadata: {name: hostile, namespace: default}
spec:
  containers:
  - name: nb
    image: `+images.Hostile+`
    command: [tini, -g, --, start.sh, start-notebook.py]
    securityContext: {runAsUser: 0}
    readinessProbe: {httpGet: {path: /, port: 8888}, periodSeconds: 1}
`))
		p := removeAtEnd(t, "default", "hostile")
		p.ready(t)
		assert.Equal(t, wantUIDs(0), p.programUIDs(t))
	})
}

// TestImageAddsNoGroups runs an image whose /etc/group adds alice and root to bob's group and to another group. Without the
// webhook, the container runtime adds these groups to the processes. The webhook must prevent that.
func TestImageAddsNoGroups(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			p := run(t, discovery, "grouped", "alice", images.Hostile, withProbes, "--env=LD_PRELOAD=", "--command", "--", "hello")
			p.ready(t)
			assertOwned(t, p, homeOf("alice"))
			// With discovery at start, the shell of kubectl exec is root, without groups of the image.
			want := discovery.choose("0\n", "6001\n")
			assert.Equal(t, want, p.exec(t, "/usr/bin/id", "-G").Stdout)
		})
	}
	t.Run("without supplementalGroupsPolicy Strict", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, cluster.apply(t.Context(), `
apiVersion: v1
kind: Pod
metadata: {name: grouped, namespace: default}
spec:
  containers: [{name: nb, image: `+images.Hostile+`, command: [hello], securityContext: {runAsUser: 5001, runAsGroup: 6001}}]
`))
		p := removeAtEnd(t, "default", "grouped")
		p.ready(t)
		assert.ElementsMatch(t, []int64{6001, 6002, 7777}, p.processes(t)[0].Groups)
	})
}

// mountThroughImageLink is a Pod that mounts an attacker's program. A symbolic link in the image leads from the mount path
// to the directory of jupyter-user-init, the program that the webhook injects.
const mountThroughImageLink = `
apiVersion: v1
kind: Pod
metadata:
  name: around
  labels: {jupyter-user: alice}
spec:
  restartPolicy: Never
  volumes: [{name: fake, configMap: {name: fake, defaultMode: 0755}}]
  containers:
  - name: nb
    image: ` + images.Hostile + `
    command: [hello]
    env: [{name: LD_PRELOAD, value: ""}]
    volumeMounts: [{name: fake, mountPath: /around/config}]
`

// TestHostileImageReplacesOurProgram tests what an attacker gains by replacing jupyter-user-init in the notebook container.
// With discovery at start, the attacker's program runs as root with two capabilities, and still cannot reach the files of
// other users. With discovery at admission, it runs as the user.
func TestHostileImageReplacesOurProgram(t *testing.T) {
	t.Parallel()
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			t.Parallel()
			program := "#!/usr/bin/python3 -I\nimport os\nprint('as', os.getuid())" + attackWithPath(t)
			makeConfigMap(t, discovery.namespace, "fake", map[string]string{"jupyter-user-init": program})
			manifest := mountThroughImageLink
			if discovery == atAdmission {
				manifest = strings.Replace(manifest, "[hello]", "[/config/jupyter-user-init]", 1)
			}
			p := create(t, discovery, "around", manifest)
			p.await(t, readyLimit, "to end", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
			want := discovery.choose("as 0\ndone\n", "as 5001\ndone\n")
			assert.Equal(t, want, kubectl(t, "logs", p.name, "-n", p.namespace).Stdout)
		})
	}
}
