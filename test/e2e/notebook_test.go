package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// TestNotebook tests the promise of the project: an ordinary user runs kubectl run with the label jupyter-user, and JupyterLab
// runs as the owner of the home.
func TestNotebook(t *testing.T) {
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			p := run(t, discovery, "promise", "qiang.guo03", images.DockerStacks, withToken)
			owner := homeOf("qiang.guo03")
			jupyter := p.jupyter(t)

			t.Run("every process is the owner", func(t *testing.T) { assertOwned(t, p, owner) })
			t.Run("Jupyter knows the owner and the home", func(t *testing.T) {
				server := serverProcess(t, p.processes(t))
				environment := server.Environment()
				assert.Equal(t, "/home/qiang.guo03", environment["HOME"])
				assert.Equal(t, "qiang.guo03", environment["NB_USER"])
				assert.Equal(t, "5003", environment["NB_UID"])
				assert.Equal(t, "6003", environment["NB_GID"])
				assert.Equal(t, "/home/qiang.guo03", server.WorkingDir())
			})
			t.Run("a kernel runs as the owner", func(t *testing.T) {
				answer := jupyter.Kernel(t).Run(t, whoAmI)
				assert.JSONEq(t, `{"uid": 5003, "gid": 6003, "groups": [6003], "whoami": "qiang.guo03", "home": "/home/qiang.guo03",
					"expanded": "/home/qiang.guo03", "cwd": "/home/qiang.guo03"}`, answer)
			})
			t.Run("a notebook saved through the REST API belongs to the owner", func(t *testing.T) {
				name := discovery.namespace + ".ipynb"
				jupyter.Save(t, name)
				info, err := os.Stat(cluster.share.path("qiang.guo03", name))
				require.NoError(t, err)
				stat := info.Sys().(*syscall.Stat_t)
				assert.Equal(t, [2]uint32{5003, 6003}, [2]uint32{stat.Uid, stat.Gid})
			})
			t.Run("a browser opens the lab", func(t *testing.T) {
				picture := screenshot(t, jupyter.Base+"lab?token="+token)
				keepArtifact(t, "jupyterlab-"+discovery.namespace+".png", picture)
			})
		})
	}
}

// whoAmI is a Python script that prints the identity of a kernel.
const whoAmI = `
import json, os, subprocess
print(json.dumps({"uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "whoami": subprocess.run(["whoami"], capture_output=True, text=True).stdout.strip(), "home": os.environ["HOME"],
    "expanded": os.path.expanduser("~"), "cwd": os.getcwd()}))
`

// assertOwned asserts that every process of the notebook container has the UID and GID of owner, no other group, no
// capability, and NoNewPrivs. It does not check the bounding set of capabilities.
func assertOwned(t *testing.T, p pod, owner home) {
	t.Helper()
	uid, gid := int64(owner.uid), int64(owner.gid)
	for _, process := range p.processes(t) {
		command := strings.Join(process.Args, " ")
		assert.Equal(t, []int64{uid, uid, uid, uid}, process.UIDs, command)
		assert.Equal(t, []int64{gid, gid, gid, gid}, process.GIDs, command)
		for _, group := range process.Groups {
			assert.Equal(t, gid, group, command)
		}
		assert.Zero(t, process.Effective, command)
		assert.Zero(t, process.Permitted, command)
		assert.Zero(t, process.Inheritable, command)
		assert.Zero(t, process.Ambient, command)
		assert.True(t, process.NoNewPrivs, command)
	}
}

// serverProcess returns the process of Jupyter itself: the first Python process that is not a kernel.
func serverProcess(t *testing.T, processes []node.Process) node.Process {
	t.Helper()
	for _, process := range processes {
		if strings.Contains(process.Exe, "python") && !strings.Contains(strings.Join(process.Args, " "), "ipykernel") {
			return process
		}
	}
	require.Fail(t, "Jupyter does not run")
	return node.Process{}
}

// imageStart is an image with arguments for kubectl run. atStart asserts the result with discovery at start, and atAdmission
// with discovery at admission.
type imageStart struct {
	image                string
	arguments            []string
	atStart, atAdmission func(t *testing.T, p pod)
}

func imageStarts() map[string]imageStart {
	lab, labAtX, hello := assertServes(assertLabPage("")), assertServes(assertLabPage("x/")), assertServes(assertHelloPage)
	base := "--ServerApp.base_url=/x/"
	return map[string]imageStart{
		"docker-stacks, command": {images.DockerStacks, []string{"--command", "--", "jupyter", "lab", base}, labAtX, labAtX},
		"z2jh, default command":  {images.Z2JH, nil, lab, lab},
		"z2jh, arguments":        {images.Z2JH, []string{"--", "jupyter", "lab", base}, labAtX, labAtX},
		"z2jh, command":          {images.Z2JH, []string{"--command", "--", "jupyter", "lab", base}, labAtX, labAtX},
		"plain, default command": {images.Plain, []string{"--restart=Never"}, assertUnknownStart, assertSucceeded},
		"plain, arguments":       {images.Plain, []string{"--restart=Never", "--", "hello"}, assertUnknownStart, hello},
		"plain, command":         {images.Plain, []string{"--command", "--", "hello"}, hello, hello},
	}
}

// TestImages starts three images: with their default command, with arguments, or with a command. TestImageGenerations
// starts more images.
func TestImages(t *testing.T) {
	t.Parallel()
	i := 0
	for name, s := range imageStarts() {
		for _, discovery := range discoveries {
			i++
			name, podName := name+"/"+discovery.name, fmt.Sprintf("image-%d", i)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := run(t, discovery, podName, "alice", s.image, append([]string{withToken}, s.arguments...)...)
				if discovery == atStart {
					s.atStart(t, p)
				} else {
					s.atAdmission(t, p)
				}
			})
		}
	}
}

// assertServes returns a function that checks the page of the Pod with the function ask, and then asserts that the
// processes of the notebook container run as alice.
func assertServes(ask func(t *testing.T, p pod)) func(t *testing.T, p pod) {
	return func(t *testing.T, p pod) {
		ask(t, p)
		assertOwned(t, p, homeOf("alice"))
	}
}

// assertUnknownStart asserts that the notebook container ends with the error that its start command is unknown. With
// discovery at start the container runs jupyter-user-init in place of the image's own command, and jupyter-user-init does
// not know how this image starts.
func assertUnknownStart(t *testing.T, p pod) {
	got := p.await(t, readyLimit, "to report that the start is unknown", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodFailed
	})
	assert.Contains(t, got.Status.ContainerStatuses[0].State.Terminated.Message, "this image belongs to no known family "+
		"(docker-stacks, repo2docker, Zero to JupyterHub), so its start command is unknown: write a command in the pod, or "+
		"ask the admin to add the image to "+
		"notebook.starts")
}

// assertSucceeded waits until the Pod has succeeded: the image's own command runs, as without the webhook, and ends.
func assertSucceeded(t *testing.T, p pod) {
	p.await(t, readyLimit, "to succeed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
}

// assertLabPage returns a function that asserts that the Pod serves JupyterLab below the base URL.
func assertLabPage(base string) func(t *testing.T, p pod) {
	return func(t *testing.T, p pod) {
		page := p.jupyter(t).Call(t, http.MethodGet, base+"lab", nil, http.StatusOK)
		assert.Contains(t, string(page), "JupyterLab")
	}
}

// assertHelloPage asserts the page of the small server of the image Plain, which shows the identity of the server's process.
func assertHelloPage(t *testing.T, p pod) {
	answer := struct {
		UID, GID  int64
		User, Cwd string
	}{}
	// The Pod has no probes, so it is Ready before it serves.
	require.Eventually(t, func() bool {
		response, err := http.Get(p.jupyter(t).Base)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return json.NewDecoder(response.Body).Decode(&answer) == nil
	}, readyLimit, 100*time.Millisecond)
	assert.Equal(t, int64(5001), answer.UID)
	assert.Equal(t, int64(6001), answer.GID)
	assert.Equal(t, "alice", answer.User)
	assert.Equal(t, "/home/alice", answer.Cwd)
}

// keepArtifact writes a file to dist/e2e, where a developer can look at it after the run.
func keepArtifact(t *testing.T, name string, content []byte) {
	t.Helper()
	folder := filepath.Join("..", "..", "dist", "e2e")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	path := filepath.Join(folder, name)
	require.NoError(t, os.WriteFile(path, content, 0o644))
	t.Logf("kept dist/e2e/%s", name)
}
