package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// TestNotebook is the promise: an ordinary user types kubectl run with the label, and JupyterLab runs as the owner of the home.
func TestNotebook(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			p := run(t, way, "promise", "qiang.guo03", images.DockerStacks, withToken)
			owner := homeOf("qiang.guo03")
			jupyter := p.jupyter(t)

			t.Run("every process is the owner", func(t *testing.T) { assertOwned(t, p, owner) })
			t.Run("Jupyter knows the owner and the home", func(t *testing.T) {
				server := theServer(t, p.processes(t))
				environment := server.Environment()
				assert.Equal(t, "/home/qiang.guo03", environment["HOME"])
				assert.Equal(t, "qiang.guo03", environment["NB_USER"])
				assert.Equal(t, "5003", environment["NB_UID"])
				assert.Equal(t, "6003", environment["NB_GID"])
				assert.Equal(t, "/home/qiang.guo03", server.WorkingDir())
			})
			t.Run("a kernel runs as the owner", func(t *testing.T) {
				answer := jupyter.kernel(t).run(t, whoAmI)
				assert.JSONEq(t, `{"uid": 5003, "gid": 6003, "groups": [6003], "whoami": "qiang.guo03", "home": "/home/qiang.guo03",
					"expanded": "/home/qiang.guo03", "cwd": "/home/qiang.guo03"}`, answer)
			})
			t.Run("a notebook saved through the REST API lands in the home as the owner's", func(t *testing.T) {
				name := way.namespace + ".ipynb"
				jupyter.save(t, name)
				info, err := os.Stat(world.share.path("qiang.guo03", name))
				require.NoError(t, err)
				stat := info.Sys().(*syscall.Stat_t)
				assert.Equal(t, [2]uint32{5003, 6003}, [2]uint32{stat.Uid, stat.Gid})
			})
			t.Run("a browser opens the lab", func(t *testing.T) {
				picture := screenshot(t, jupyter.base+"lab?token="+token)
				keepArtifact(t, "jupyterlab-"+way.namespace+".png", picture)
			})
		})
	}
}

// whoAmI is what a person would ask in a notebook.
const whoAmI = `
import json, os, subprocess
print(json.dumps({"uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
    "whoami": subprocess.run(["whoami"], capture_output=True, text=True).stdout.strip(), "home": os.environ["HOME"],
    "expanded": os.path.expanduser("~"), "cwd": os.getcwd()}))
`

// assertOwned holds every process of the notebook container to the owner: that UID, that GID, those groups, nothing else.
func assertOwned(t *testing.T, p pod, owner home) {
	t.Helper()
	uid, gid := int64(owner.uid), int64(owner.gid)
	for _, process := range p.processes(t) {
		what := strings.Join(process.Args, " ")
		assert.Equal(t, []int64{uid, uid, uid, uid}, process.UIDs, what)
		assert.Equal(t, []int64{gid, gid, gid, gid}, process.GIDs, what)
		for _, group := range process.Groups {
			assert.Equal(t, gid, group, what)
		}
		assert.Zero(t, process.Effective, what)
		assert.Zero(t, process.Permitted, what)
		assert.Zero(t, process.Inheritable, what)
		assert.Zero(t, process.Ambient, what)
		assert.True(t, process.NoNewPrivs, what)
	}
}

// theServer is the process of Jupyter itself.
func theServer(t *testing.T, processes []node.Process) node.Process {
	t.Helper()
	for _, process := range processes {
		if strings.Contains(process.Exe, "python") && !strings.Contains(strings.Join(process.Args, " "), "ipykernel") {
			return process
		}
	}
	require.Fail(t, "Jupyter does not run")
	return node.Process{}
}

// A start is how a person starts an image, and what that must end in.
type start struct {
	image string
	// args follow the -- of kubectl run.
	args []string
	// in are those of the ways in which it runs; in the others, refused is what the init or notebook container says.
	serves func(t *testing.T, p pod)
}

func starts() map[string]start {
	return map[string]start{
		"docker-stacks as it is":      {image: images.DockerStacks, serves: servesLab},
		"docker-stacks, arguments":    {image: images.DockerStacks, args: []string{"start-notebook.py", "--ServerApp.base_url=/x/"}, serves: servesLabAt("x/")},
		"docker-stacks 2023 as it is": {image: images.DockerStacks2023, serves: servesLab},
		"docker-stacks 2023, arguments": {image: images.DockerStacks2023,
			args: []string{"start-notebook.sh", "--ServerApp.base_url=/x/"}, serves: servesLabAt("x/")},
		"z2jh as it is":    {image: images.Z2JH, serves: servesLab},
		"z2jh, arguments":  {image: images.Z2JH, args: []string{"jupyter", "lab", "--ip=0.0.0.0", "--ServerApp.base_url=/x/"}, serves: servesLabAt("x/")},
		"plain, arguments": {image: images.Plain, args: []string{"hello"}, serves: servesHello},
		"plain, command":   {image: images.Plain, args: []string{"--command", "hello"}, serves: servesHello},
	}
}

// TestImages starts every image with and without arguments.
func TestImages(t *testing.T) {
	for name, s := range starts() {
		for _, way := range ways {
			t.Run(name+"/"+way.name, func(t *testing.T) {
				arguments := []string{withToken}
				if len(s.args) > 0 && s.args[0] == "--command" {
					arguments, s.args = append(arguments, "--command"), s.args[1:]
				}
				if len(s.args) > 0 {
					arguments = append(append(arguments, "--"), s.args...)
				}
				p := run(t, way, "image", "alice", s.image, arguments...)
				s.serves(t, p)
				assertOwned(t, p, homeOf("alice"))
			})
		}
	}
}

func servesLab(t *testing.T, p pod) { servesLabAt("")(t, p) }

// servesLabAt asks for the lab's page below a base URL.
func servesLabAt(base string) func(t *testing.T, p pod) {
	return func(t *testing.T, p pod) {
		page := p.jupyter(t).call(t, http.MethodGet, base+"lab", nil, http.StatusOK)
		assert.Contains(t, string(page), "JupyterLab")
	}
}

// servesHello asks the small server of the image that knows nothing of Jupyter.
func servesHello(t *testing.T, p pod) {
	answer := struct {
		UID, GID  int64
		User, Cwd string
	}{}
	// It has no probes: Ready is not yet serving.
	require.Eventually(t, func() bool {
		response, err := http.Get(p.jupyter(t).base)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return json.NewDecoder(response.Body).Decode(&answer) == nil
	}, readyLimit, 100*1e6)
	assert.Equal(t, int64(5001), answer.UID)
	assert.Equal(t, int64(6001), answer.GID)
	assert.Equal(t, "alice", answer.User)
	assert.Equal(t, "/home/alice", answer.Cwd)
}

// keepArtifact keeps a file of the run for a person to look at.
func keepArtifact(t *testing.T, name string, content []byte) {
	t.Helper()
	folder := filepath.Join("..", "..", "dist", "e2e")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	path := filepath.Join(folder, name)
	require.NoError(t, os.WriteFile(path, content, 0o644))
	t.Logf("kept dist/e2e/%s", name)
}
