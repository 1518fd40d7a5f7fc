package e2e

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// jupyterEnv are environment variables that Jupyter's process must have. The start of the image sets all of them except
// JUPYTER_CONFIG_PATH. With discovery at admission the webhook sets JUPYTER_CONFIG_PATH in the Pod, in place of the image's
// value. With discovery at start jupyter-user-init puts /config before the image's value.
type jupyterEnv map[string]string

// hooksRunOnce are the expected variables if start.sh has run the hooks of start-notebook.d and before-notebook.d once.
var hooksRunOnce = jupyterEnv{"START_NOTEBOOK_HOOKS": "1", "BEFORE_NOTEBOOK_HOOKS": "1", "JUPYTER_CONFIG_PATH": "/config"}

func (e jupyterEnv) with(changes jupyterEnv) jupyterEnv {
	all := maps.Clone(e)
	maps.Copy(all, changes)
	return all
}

// generation is an image of one generation of docker-stacks, or of another family, and the arguments of its Pod.
type generation struct {
	image     string
	arguments []string
	// base is the base URL that the arguments set, without the first slash.
	base string
	// atStart and atAdmission are the expected variables with each discovery, or nil if Jupyter must not start.
	atStart, atAdmission jupyterEnv
}

func generations() map[string]generation {
	base := []string{"--ServerApp.base_url=/x/"}
	twice := hooksRunOnce.with(jupyterEnv{"START_NOTEBOOK_HOOKS": "2", "BEFORE_NOTEBOOK_HOOKS": "2"})
	joined := jupyterEnv{"JUPYTER_CONFIG_PATH": "/config:/jupyter"}
	after := func(words ...string) []string { return append(append([]string{"--"}, words...), base...) }
	return map[string]generation{
		"today, default":              {images.DockerStacks, nil, "", hooksRunOnce, hooksRunOnce},
		"today, arguments":            {images.DockerStacks, after("start-notebook.py"), "x/", hooksRunOnce, hooksRunOnce},
		"today, start.sh arguments":   {images.DockerStacks, after("start.sh", "start-notebook.sh"), "x/", hooksRunOnce, hooksRunOnce},
		"late 2023, default":          {images.DockerStacksLate2023, nil, "", hooksRunOnce, hooksRunOnce},
		"late 2023, arguments":        {images.DockerStacksLate2023, after("start-notebook.sh"), "x/", hooksRunOnce, hooksRunOnce},
		"late 2023, start.sh twice":   {images.DockerStacksLate2023, after("start.sh", "start-notebook.py"), "x/", twice, twice},
		"2023, default":               {images.DockerStacks2023, nil, "", hooksRunOnce, hooksRunOnce},
		"2023, arguments":             {images.DockerStacks2023, after("start-notebook.sh"), "x/", hooksRunOnce, hooksRunOnce},
		"foundation, arguments":       {images.DockerStacksFoundation, after("jupyter", "lab"), "x/", hooksRunOnce, hooksRunOnce},
		"foundation's child, default": {images.DockerStacksChild, nil, "", hooksRunOnce.with(joined), hooksRunOnce},
		"repo2docker, default":        {images.Repo2docker, nil, "", jupyterEnv{"REPOSITORY_START": "1"}, jupyterEnv{"REPOSITORY_START": "1"}},
		"own entrypoint":              {images.Entrypoint, nil, "", nil, jupyterEnv{"OWN_ENTRYPOINT": "1"}},
	}
}

// TestImageGenerations starts images of each generation of docker-stacks, and similar images. The hooks of an image must
// run as often as without the webhook: once, or in the image of late 2023 twice if the arguments start start.sh again. With
// discovery at start, the image Entrypoint, which belongs to no family that jupyter-user-init knows, must end with the error
// that its start command is unknown.
func TestImageGenerations(t *testing.T) {
	t.Parallel()
	i := 0
	for name, g := range generations() {
		for _, discovery := range discoveries {
			i++
			name, podName := name+"/"+discovery.name, fmt.Sprintf("generation-%d", i)
			want := g.atAdmission
			if discovery == atStart {
				want = g.atStart
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if want == nil {
					p := run(t, discovery, podName, "alice", g.image, "--restart=Never", withToken)
					assertUnknownStart(t, p)
					return
				}
				p := run(t, discovery, podName, "alice", g.image, append([]string{withToken, withProbes}, g.arguments...)...)
				assertLabPage(g.base)(t, p)
				assertOwned(t, p, homeOf("alice"))
				got := serverProcess(t, p.processes(t)).Environment()
				for variable, value := range want {
					assert.Equal(t, value, got[variable], variable)
				}
			})
		}
	}
}

// TestFoundationImageStartsShell tests that the foundation image ends without an error with discovery at admission, which
// keeps the image's entrypoint. Without arguments this image starts a shell.
func TestFoundationImageStartsShell(t *testing.T) {
	p := run(t, atAdmission, "foundation", "alice", images.DockerStacksFoundation, "--restart=Never")
	p.await(t, readyLimit, "to succeed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
}

// TestIPythonHistory tests that IPython's history is off in an image with the configuration line that deploy/docs/pods.md
// gives, and on in an image without this line.
func TestIPythonHistory(t *testing.T) {
	t.Parallel()
	line, err := os.ReadFile("images/docker-stacks-child/ipython_config.py")
	require.NoError(t, err)
	page, err := os.ReadFile("../../deploy/docs/pods.md")
	require.NoError(t, err)
	assert.Contains(t, string(page), "`"+strings.TrimSpace(string(line))+"` in `/etc/ipython/ipython_config.py`")
	for image, want := range map[string]string{images.DockerStacksChild: "False\n", images.DockerStacksFoundation: "True\n"} {
		p := run(t, atStart, "history", "alice", image, withToken, "--", "jupyter", "lab")
		assert.Equal(t, want, p.jupyter(t).Kernel(t).Run(t, "print(get_ipython().history_manager.enabled)"), image)
		require.NoError(t, p.remove(t.Context()))
	}
}
