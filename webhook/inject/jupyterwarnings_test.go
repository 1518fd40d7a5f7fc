package inject

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// TestOpensInImagesHome tests which Pods get a warning because Jupyter opens in the image's own home, by an argument without a flag
// or by cd in a script.
func TestOpensInImagesHome(t *testing.T) {
	for line, opens := range map[string]bool{
		"jupyter lab /home/jovyan/work":                                  true,
		"jupyter lab --port 9999 --no-browser /home/jovyan":              true,
		"start.sh jupyter lab /home/jovyan/a.ipynb":                      true,
		"start-notebook.py /home/jovyan":                                 true,
		"python3 -m jupyterlab /home/jovyan":                             true,
		"python3 /home/jovyan/.local/bin/jupyter-lab":                    false,
		"/home/jovyan/bin/jupyter lab":                                   false,
		"jupyter lab --ServerApp.cookie_secret_file /home/jovyan/secret": false, // the value of a flag
		"jupyter lab --ServerApp.root_dir=/srv /home/jovyan":             false,
		"jupyter lab /srv/courses":                                       false,
		"train.sh /home/jovyan":                                          false,
		`bash -c "cd /home/jovyan/work; jupyter lab"`:                    true,
		`bash -c "cd /home/jovyan && cd /srv && jupyter lab"`:            false,
		`bash -c "cd /home/jovyan && cd .. && jupyter lab"`:              false,
		`bash -c "cd /home/jovyan; jupyter lab --notebook-dir=/srv"`:     false,
		`bash -c "cd /home/jovyan; jupyter lab /srv"`:                    false,
		`bash -c "cd /home/jovyan; sleep 1"`:                             false,
	} {
		argv, ok := splitWords(line)
		assert.True(t, ok, line)
		in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{}, home: "/home/alice", notebook: &pod.Container{Args: argv}}
		warnings := in.findServer(switches{}).warnings
		assert.Equal(t, opens, slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "is told to open in") }), line)
	}
}

// TestPortAssumed tests that probes which the annotation turns on, for a script that cannot be read, come with a warning that names
// their port.
func TestPortAssumed(t *testing.T) {
	for _, c := range []struct {
		line, probes string
		env          []pod.EnvVar
		assumed      bool
	}{
		{`bash -c "jupyter lab --port=9000 | tee log"`, "on", nil, true},
		{`bash -c "jupyter lab --port=9000 | tee log"`, "on", []pod.EnvVar{{Name: "JUPYTER_PORT", Value: "9000"}}, false},
		{`bash -c "jupyter lab --port=9000 | tee log"`, "", nil, false},
		{`bash -c "jupyter lab --port=9000"`, "on", nil, false},
		{"/app/run", "on", nil, false},
	} {
		argv, ok := splitWords(c.line)
		assert.True(t, ok, c.line)
		in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{}, notebook: &pod.Container{Name: "nb", Args: argv, Env: c.env}}
		warnings := in.findServer(switches{probes: c.probes}).warnings
		assert.Equal(t, c.assumed, slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "so the probes are for port 8888") }), c)
	}
}

// TestWithoutToken tests which Pods get a warning because everyone who can connect to them is the user.
func TestWithoutToken(t *testing.T) {
	for args, without := range map[string]bool{
		"jupyter lab":                                                                        false,
		"jupyter lab --ServerApp.token=":                                                     true,
		"jupyter lab --ServerApp.token=secret":                                               false,
		"jupyter lab --NotebookApp.token=''":                                                 true,
		`jupyter lab --IdentityProvider.token=""`:                                            true,
		"jupyter lab --ServerApp.token= --ServerApp.password=":                               true,
		"jupyter lab --ServerApp.token= --ServerApp.password=argon2:x":                       false,
		"jupyter lab --ServerApp.token= --PasswordIdentityProvider.hashed_password=argon2:x": false,
		"jupyter lab --ServerApp.password=":                                                  false,
		"jupyter lab --ServerApp.token= --ServerApp.token=secret":                            false,
		"start-notebook.py --ServerApp.token=":                                               true,
		"--ServerApp.token=":                                                                 true,
		"sleep --token=":                                                                     false,
		"jupyter lab --token=":                                                               false, // no flag of Jupyter
		"jupyter lab --ServerApp.token= --ip=127.0.0.1":                                      false,
		"jupyter lab --ServerApp.token= --ServerApp.sock=/tmp/s":                             false,
		"train.sh --ServerApp.token=":                                                        false,
	} {
		in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{},
			notebook: &pod.Container{Args: strings.Fields(args), Image: new("quay.io/jupyter/minimal-notebook")}}
		warnings := in.findServer(switches{}).warnings
		assert.Equal(t, without, slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "asks for no token") }), args)
	}
	for args, without := range map[string]bool{"": true, "--debug": true, "papermill a.ipynb b.ipynb": false, "/work/train.sh": false, "jupyter lab": false} {
		in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{}, discovery: config.DiscoveryAtAdmission,
			notebook: &pod.Container{Args: strings.Fields(args), Image: new("ghcr.io/kubeflow/kubeflow/notebook-servers/jupyter-scipy:v1.11.0")}}
		assert.Equal(t, without, len(in.findServer(switches{}).warnings) > 0, "Kubeflow's image without Kubeflow, %q", args)
		in.discovery = config.DiscoveryAtStart
		assert.Empty(t, in.findServer(switches{}).warnings, "at start the image's own start does not run")
	}
	proxy := pod.Container{Name: "oauth-proxy", Image: new("mirror.example.com/proxy:1")}
	sidecar := proxy
	sidecar.RestartPolicy = new("Always")
	for name, c := range map[string]struct {
		spec  pod.Spec
		where string
	}{
		"a container":                {pod.Spec{Containers: []pod.Container{proxy}}, "beside the login proxy"},
		"a native sidecar":           {pod.Spec{InitContainers: []pod.Container{sidecar}}, "beside the login proxy"},
		"a container that has ended": {pod.Spec{InitContainers: []pod.Container{proxy}}, "leave the empty token out"},
	} {
		in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{Spec: c.spec},
			notebook: &pod.Container{Args: []string{"jupyter", "lab", "--ServerApp.token="}}}
		warnings := in.findServer(switches{}).warnings
		if assert.Len(t, warnings, 1, name) {
			assert.Contains(t, warnings[0], c.where, "a login proxy in %s", name)
		}
	}
	for name, env := range map[string][]pod.EnvVar{
		"a hub":                                 {{Name: "JUPYTERHUB_SERVICE_URL", Value: "http://0.0.0.0:8888/"}},
		"Kubeflow":                              {{Name: "NB_PREFIX", Value: "/notebook/alice/lab"}},
		"Kubeflow, with a prefix from a source": {{Name: "NB_PREFIX", ValueFrom: &pod.ValueFrom{}}},
	} {
		in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{}, notebook: &pod.Container{Env: env,
			Args: []string{"--ServerApp.token="}, Image: new("ghcr.io/kubeflow/kubeflow/notebook-servers/jupyter-scipy:v1.11.0")}}
		assert.Empty(t, in.findServer(switches{}).warnings, "%s authenticates the clients", name)
	}
	alone := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{}, notebook: &pod.Container{Env: []pod.EnvVar{{Name: "NB_PREFIX", Value: "/"}},
		Args: []string{"jupyter", "lab", "--ServerApp.token="}}}
	assert.NotEmpty(t, alone.findServer(switches{}).warnings, "Kubeflow's images run without Kubeflow with this prefix")
}
