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

// startedWith are environment variables of Jupyter that the image's start must have set.
type startedWith map[string]string

// hooksRunOnce has the variables with which Jupyter starts if start.sh has run the hooks of both directories once.
var hooksRunOnce = startedWith{"START_NOTEBOOK_HOOKS": "1", "BEFORE_NOTEBOOK_HOOKS": "1", "JUPYTER_CONFIG_PATH": "/config"}

// with returns a copy with other values.
func (p startedWith) with(changes startedWith) startedWith {
	all := maps.Clone(p)
	maps.Copy(all, changes)
	return all
}

// generation is a generation of docker-stacks, or another kind of image with Jupyter.
type generation struct {
	image     string
	arguments []string
	// base is the base URL in the arguments.
	base string
	// atStart and atAdmission are the variables that Jupyter starts with.
	atStart, atAdmission startedWith
}

func generations() map[string]generation {
	base := []string{"--ServerApp.base_url=/x/"}
	twice := hooksRunOnce.with(startedWith{"START_NOTEBOOK_HOOKS": "2", "BEFORE_NOTEBOOK_HOOKS": "2"})
	joined := startedWith{"JUPYTER_CONFIG_PATH": "/config:/jupyter"}
	after := func(words ...string) []string { return append(append([]string{"--"}, words...), base...) }
	return map[string]generation{
		"today as it is":            {images.DockerStacks, nil, "", hooksRunOnce, hooksRunOnce},
		"today, arguments":          {images.DockerStacks, after("start-notebook.py"), "x/", hooksRunOnce, hooksRunOnce},
		"today, start.sh by hand":   {images.DockerStacks, after("start.sh", "start-notebook.sh"), "x/", hooksRunOnce, hooksRunOnce},
		"late 2023 as it is":        {images.DockerStacksLate2023, nil, "", hooksRunOnce, hooksRunOnce},
		"late 2023, arguments":      {images.DockerStacksLate2023, after("start-notebook.sh"), "x/", hooksRunOnce, hooksRunOnce},
		"late 2023, start.sh twice": {images.DockerStacksLate2023, after("start.sh", "start-notebook.py"), "x/", twice, twice},
		"before as it is":           {images.DockerStacks2023, nil, "", hooksRunOnce, hooksRunOnce},
		"before, arguments":         {images.DockerStacks2023, after("start-notebook.sh"), "x/", hooksRunOnce, hooksRunOnce},
		"foundation, arguments":     {images.DockerStacksFoundation, after("jupyter", "lab"), "x/", hooksRunOnce, hooksRunOnce},
		"child of it as it is":      {images.DockerStacksChild, nil, "", hooksRunOnce.with(joined), hooksRunOnce},
		"repo2docker as it is":      {images.Repo2docker, nil, "", startedWith{"REPOSITORY_START": "1"}, startedWith{"REPOSITORY_START": "1"}},
		"an entrypoint of its own":  {images.Entrypoint, nil, "", nil, startedWith{"OWN_ENTRYPOINT": "1"}},
	}
}

// TestTheStartOfEachGeneration starts every generation of docker-stacks and similar images. What an image does before Jupyter
// starts is done exactly as often as without the webhook, which is once, or the Pod gets an error that it cannot be done.
func TestTheStartOfEachGeneration(t *testing.T) {
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
					saysNothingToRun(t, p)
					return
				}
				p := run(t, discovery, podName, "alice", g.image, append([]string{withToken, withProbes}, g.arguments...)...)
				askLab(g.base)(t, p)
				assertOwned(t, p, homeOf("alice"))
				got := serverProcess(t, p.processes(t)).Environment()
				for variable, value := range want {
					assert.Equal(t, value, got[variable], variable)
				}
			})
		}
	}
}

// TestAFoundationByItself tests that the foundation image starts a shell, as without the webhook, if the image's own entrypoint
// stays.
func TestAFoundationByItself(t *testing.T) {
	p := run(t, atAdmission, "foundation", "alice", images.DockerStacksFoundation, "--restart=Never")
	p.await(t, readyLimit, "to end well", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
}

// TestIPythonsHistoryIsOff in an image with the line of deploy/docs/pods.md, and on in another image.
func TestIPythonsHistoryIsOff(t *testing.T) {
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
