package inject

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

func TestReadCommand(t *testing.T) {
	for line, want := range map[string]programKind{
		"":                                      runsUnknown, // the image decides
		"start-notebook.py":                     runsJupyter,
		"start-notebook.sh --foo":               runsJupyter,
		"/usr/local/bin/start-notebook.sh":      runsJupyter,
		"start-singleuser.sh":                   runsJupyter,
		"jupyterhub-singleuser":                 runsJupyter,
		"/opt/conda/bin/jupyterhub-singleuser":  runsJupyter,
		"jupyter lab --port 9999":               runsJupyter,
		"jupyter notebook":                      runsJupyter,
		"jupyter server":                        runsJupyter,
		"jupyter-lab":                           runsJupyter,
		"jupyter-lab --version":                 runsOther,
		"tini -g -- start.sh start-notebook.py": runsJupyter,
		"tini -g -- start.sh":                   runsUnclear, // Jupyter's start.sh starts a shell; a site's own can start anything
		"env":                                   runsOther,
		"/app/start.sh":                         runsUnclear,
		"tini -- /app/start.sh":                 runsUnclear,
		"/app/start.sh tini":                    runsUnclear,
		"env A=1":                               runsOther,
		"timeout 60":                            runsOther,
		"conda run -n sci":                      runsOther,
		"/usr/bin/tini -- jupyter lab":          runsJupyter,
		"tini -p SIGTERM -- jupyter lab":        runsJupyter,
		"env A=1 B='x y' jupyter lab":           runsJupyter,
		"env -u HOME A=1 jupyter lab":           runsJupyter,
		"nice -n 5 jupyter lab":                 runsJupyter,
		"timeout -k 5 3600 jupyter lab":         runsJupyter,
		"nohup setsid jupyter lab":              runsJupyter,
		"conda run -n sci --no-capture-output jupyter lab": runsJupyter,
		"mamba run -p /opt/env jupyter lab":                runsJupyter,
		"micromamba run -n base jupyter lab":               runsJupyter,
		"uv run --with jupyterlab jupyter lab":             runsJupyter,
		"pixi run -e dev jupyter lab":                      runsJupyter,
		"pixi run lab":                                     runsUnclear,
		"conda list":                                       runsUnclear,
		"/opt/nvidia/nvidia_entrypoint.sh jupyter lab":     runsJupyter,
		"python3 -m jupyterlab":                            runsJupyter,
		"python -u -m jupyterlab":                          runsJupyter,
		"python -um jupyterlab":                            runsJupyter,
		"python -W ignore -m jupyter lab":                  runsJupyter,
		"python3.11 -m jupyter lab":                        runsJupyter,
		"python -m jupyterhub.singleuser --debug":          runsJupyter,
		"python /opt/conda/bin/jupyter-lab":                runsJupyter,
		`bash -c "jupyter lab --port=9999"`:                runsJupyter,
		`bash -lc "exec jupyter lab"`:                      runsJupyter,
		`bash -l -c "jupyter lab"`:                         runsJupyter,
		`bash -euo pipefail -c "jupyter lab"`:              runsJupyter,
		`bash -o pipefail -c "jupyter lab"`:                runsJupyter,
		`bash -c -- "jupyter lab --port=9999"`:             runsJupyter,
		`bash -c -l -o pipefail - "jupyter lab"`:           runsJupyter,
		`bash -c -- "while true; do sleep 30; done;"`:      runsUnclear,
		"bash -c --":                                                  runsUnclear,
		"bash -c -o":                                                  runsUnclear,
		`bash -- -c "jupyter lab"`:                                    runsUnclear,
		`bash -c "--debug"`:                                           runsUnclear, // the shell, not the image, decides what runs
		`bash -c "env -- --debug"`:                                    runsUnclear,
		`bash -c "cp -n a b; exec jupyter lab"`:                       runsJupyter,
		`bash -c "cd /srv && jupyter lab"`:                            runsJupyter,
		`bash -c "A=1 jupyter lab 2>&1 >/tmp/x"`:                      runsJupyter,
		`bash -c "_a9= exec jupyter lab"`:                             runsJupyter,
		`bash -c "9a=1 jupyter lab"`:                                  runsUnclear,
		`bash -c "=1 jupyter lab"`:                                    runsUnclear,
		`bash -c "a-b=1 jupyter lab"`:                                 runsUnclear,
		`sh -c "exec sleep 1; jupyter lab"`:                           runsOther,
		`bash -c "jupyter lab; sleep infinity"`:                       runsJupyter, // sleep runs when Jupyter has ended
		`bash -c "jupyter lab && tail -f x"`:                          runsJupyter,
		`sh -c "start-notebook.sh; echo done"`:                        runsJupyter,
		`sh -c "env A=1 nice jupyter lab; sleep"`:                     runsJupyter,
		`sh -c "jupyter lab build; sleep 1"`:                          runsOther,
		`sh -c "jupyter server list; jupyter lab --version; sleep 1"`: runsOther,
		`sh -c "[ -n x ] && jupyter lab; sleep infinity"`:             runsUnclear,
		`sh -c "test -f x && exec python x.py; exec jupyter lab"`:     runsUnclear,
		`sh -c "[ -f x ] && . x; exec jupyter lab"`:                   runsJupyter,
		`bash -c "jupyter lab | tee log"`:                             runsUnclear,
		`bash -c "jupyter lab & sleep 1"`:                             runsUnclear,
		`bash -c "if true; then jupyter lab; fi"`:                     runsUnclear,
		`bash -c "$(cat start)"`:                                      runsUnclear,
		"bash /start.sh":                                              runsUnclear,
		"sleep 1000":                                                  runsOther,
		"jupyter":                                                     runsOther,
		"jupyter kernelspec list":                                     runsOther,
		"jupyter nbconvert --execute lab":                             runsOther,
		"tini -- sleep 1000":                                          runsOther,
		"start.sh sleep 1000":                                         runsOther,
		"bash":                                                        runsOther,
		"sh -c jupyter":                                               runsOther,
		"python train.py":                                             runsOther,
		"python -m http.server":                                       runsOther,
		"pythonic -m jupyterlab":                                      runsUnclear,
		"--debug":                                                     runsUnknown, // arguments of an unknown entrypoint
		"echo jupyter lab":                                            runsOther,
		"my-jupyter-lab":                                              runsUnclear,
		"jhsingle-native-proxy -- code-server":                        runsUnclear,
	} {
		argv, ok := splitWords(line)
		assert.True(t, ok, line)
		assert.Equal(t, want, readCommand(argv, func(string) (string, bool) { return "", false }).kind, line)
	}
}

// TestReadStart tests that the image does not decide what runs if the Pod has a command: Kubernetes then ignores the image's
// CMD.
func TestReadStart(t *testing.T) {
	in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{}}
	for _, c := range []struct {
		command, args []string
		want          programKind
	}{
		{nil, nil, runsUnknown},
		{nil, []string{"--debug"}, runsUnknown},
		{[]string{"--debug"}, nil, runsUnclear},
		{[]string{"/bin/bash", "-c", "--"}, []string{"while true; do sleep 30; done;"}, runsUnclear},
		{[]string{"/bin/bash", "-c", "--"}, []string{"exec jupyter lab"}, runsJupyter},
		{[]string{"/config/jupyter-user-init", "exec", "--user=a", "--home=/h", "--scratch=/config", "--image-start", "--"}, nil, runsUnknown},
	} {
		container := &pod.Container{Command: c.command, Args: c.args}
		assert.Equal(t, c.want, in.readStart(container, nil).kind, "%q %q", c.command, c.args)
	}
}

// TestReadStartOfHub tests that readStart finds the command of a hub's server behind a wrapper that the webhook does not know.
func TestReadStartOfHub(t *testing.T) {
	for line, want := range map[string]programKind{
		"/mnt/ghsa/check-patch-run jupyterhub-singleuser --port=9999":              runsJupyter,
		"python3 -c code https://x/ /opt/conda/bin/jupyterhub-singleuser --port=1": runsJupyter,
		"bash /srv/start start-singleuser.sh":                                      runsJupyter,
		"wrap start-singleuser.py":                                                 runsJupyter,
		"wrap jupyter-labhub":                                                      runsJupyter,
		"wrap jupyterhub-singleuser --version":                                     runsOther,
		"wrap jupyter lab":                                                         runsUnclear,
		"python3 /srv/wrap.py jupyterhub-singleuser":                               runsJupyter,
		"python3 /srv/train.py":                                                    runsOther,
		"sleep 1 jupyterhub-singleuser":                                            runsOther,
	} {
		argv, ok := splitWords(line)
		assert.True(t, ok, line)
		in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{}, notebook: &pod.Container{Args: argv}}
		assert.NotEqual(t, runsJupyter, in.readStart(in.notebook, nil).kind, line)
		in.pod.Metadata.Labels = map[string]string{"hub.jupyter.org/username": "alice"}
		assert.Equal(t, want, in.readStart(in.notebook, nil).kind, line)
	}
	in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{}, notebook: &pod.Container{
		Args: []string{"wrap", "--port=1", "jupyterhub-singleuser", "--port=9999", "--config"},
	}}
	in.pod.Metadata.Labels = map[string]string{"hub.jupyter.org/username": "alice"}
	assert.EqualValues(t, 9999, in.findServer(switches{}).port)
}

// TestReadCommandLimits tests that a command line with many launchers, or with a long script, is runsUnclear.
func TestReadCommandLimits(t *testing.T) {
	argv := append(slices.Repeat([]string{"exec"}, 9000), "jupyter", "lab")
	assert.Equal(t, runsUnclear, readCommand(argv, nil).kind)
	long := "jupyter lab " + strings.Repeat("x", 1<<20)
	assert.Equal(t, runsUnclear, readCommand([]string{"sh", "-c", long}, nil).kind)
}

func TestKindOfImage(t *testing.T) {
	for image, want := range map[string]programKind{
		"quay.io/jupyter/base-notebook:2025-01-01":       runsJupyter,
		"jupyter/minimal-notebook":                       runsJupyter,
		"quay.io/jupyterhub/k8s-singleuser-sample:4.4.0": runsJupyter,
		"kubeflownotebookswg/jupyter-scipy:v1.9":         runsJupyter,
		"tensorflow/tensorflow:latest-jupyter":           runsJupyter,
		"registry.example:5000/x/jupyterlab@sha256:0123": runsJupyter,
		"kubeflownotebookswg/codeserver-python:v1.9":     runsOther,
		"codercom/code-server:4.96.4":                    runsOther,
		"rocker/rstudio:4":                               runsOther,
		"rocker/shiny":                                   runsOther,
		"quay.io/jupyter/docker-stacks-foundation":       runsOther,
		"registry.example/sci:1":                         runsUnknown,
		"jupyter.example/sci:1":                          runsUnknown,
	} {
		assert.Equal(t, want, kindOfImage(&image), image)
	}
	assert.Equal(t, runsUnknown, kindOfImage(nil))
}

func TestOpenedByImage(t *testing.T) {
	for image, want := range map[string]string{
		"tensorflow/tensorflow:latest-jupyter":                         "/tf",
		"registry.example:5000/tensorflow/tensorflow:2.15.0-jupyter":   "/tf",
		"docker.io/tensorflow/tensorflow:2.15.0-gpu-jupyter@sha256:01": "/tf",
		"tensorflow/tensorflow:latest":                                 "",
		"tensorflow/tensorflow":                                        "",
		"mytensorflow/tensorflow:latest-jupyter":                       "",
		"tensorflow/tensorflow-jupyter":                                "",
		"quay.io/jupyter/tensorflow-notebook:2025-01-01":               "",
	} {
		assert.Equal(t, want, openedByImage(&image), image)
	}
	assert.Empty(t, openedByImage(nil))
}

// TestRelativePathIsNotImagesHome tests that a path without a slash at its beginning stays: Jupyter takes it as a path in its working
// directory, which is the user's home.
func TestRelativePathIsNotImagesHome(t *testing.T) {
	argv := strings.Fields("jupyter lab --ServerApp.root_dir=home/jovyan --ServerApp.root_dir home/jovyan")
	replaced, indices := withUserHome(argv, "/home/alice")
	assert.Equal(t, argv, replaced)
	assert.Empty(t, indices)
	replaced, indices = withUserHome(strings.Fields("--ServerApp.root_dir=/home/jovyan/../jovyan"), "/home/alice")
	assert.Equal(t, []string{"--ServerApp.root_dir=/home/alice"}, replaced)
	assert.Equal(t, []int{0}, indices)
}

func TestFindServer(t *testing.T) {
	fromSource := func(name string) []pod.EnvVar { return []pod.EnvVar{{Name: name, ValueFrom: &pod.ValueFrom{}}} }
	for name, c := range map[string]struct {
		args  string
		env   []pod.EnvVar
		ports []pod.Port
		port  int32
		base  string
	}{
		"defaults":                          {port: 8888, base: "/"},
		"--port 9999":                       {args: "lab --port 9999", port: 9999, base: "/"},
		"--port=9999":                       {args: "lab --port=9999", port: 9999, base: "/"},
		"--ServerApp.port=9999":             {args: "lab --ServerApp.port=9999", port: 9999, base: "/"},
		"--ServerApp2.port=9999":            {args: "lab --ServerApp2.port=9999", port: 9999, base: "/"},
		"no class before the dot":           {args: "lab --Server\x7fApp.port=9999", port: 8888, base: "/"},
		"the last flag is used":             {args: "lab --port=1 --NotebookApp.port 2", port: 2, base: "/"},
		"flag without a value":              {args: "lab --port", port: 8888, base: "/"},
		"port from a variable":              {args: "lab --port=$(P)", env: []pod.EnvVar{{Name: "P", Value: "9090"}}, port: 9090, base: "/"},
		"unknown variable":                  {args: "lab --port=$(PORT)", port: 0, base: "/"},
		"variable set by env":               {args: "env JUPYTER_PORT=7 jupyter lab", port: 7, base: "/"},
		"base URL in quotes":                {args: "lab --ServerApp.base_url='/nb/'", port: 8888, base: "/nb/"},
		"base URL in the next argument":     {args: `lab --ServerApp.base_url "/nb/"`, port: 8888, base: "/nb/"},
		"base URL with one quote":           {args: "lab --ServerApp.base_url='/nb/", port: 8888, base: "/'/nb/"},
		"port in quotes":                    {args: "lab --port='9000'", port: 0, base: "/"},
		"address in quotes":                 {args: "lab --ip='127.0.0.1'", port: 0, base: "/"},
		"no Unix socket":                    {args: "lab --ServerApp.sock=''", port: 8888, base: "/"},
		"no file of settings":               {args: `lab --config=""`, port: 8888, base: "/"},
		"NOTEBOOK_ARGS in quotes":           {env: []pod.EnvVar{{Name: "NOTEBOOK_ARGS", Value: "--ServerApp.base_url='/x y/'"}}, port: 8888, base: "/x y/"},
		"NOTEBOOK_ARGS with an open quote":  {env: []pod.EnvVar{{Name: "NOTEBOOK_ARGS", Value: "--port='1"}}, port: 0, base: "/"},
		"NOTEBOOK_ARGS from a source":       {env: fromSource("NOTEBOOK_ARGS"), port: 0, base: "/"},
		"JUPYTER_NO_CONFIG from a source":   {env: fromSource("JUPYTER_NO_CONFIG"), port: 0, base: "/"},
		"JUPYTER_CONFIG_PATH from a source": {env: fromSource("JUPYTER_CONFIG_PATH"), port: 0, base: "/"},
		"JUPYTER_CONFIG_PATH set by env":    {args: "env JUPYTER_CONFIG_PATH=/x jupyter lab", port: 0, base: "/"},
		"JUPYTER_PORT from a source":        {env: fromSource("JUPYTER_PORT"), port: 0, base: "/"},
		"argument from a source":            {args: "lab $(ARGS)", env: fromSource("ARGS"), port: 0, base: "/"},
		"argument from a literal value":     {args: "lab $(ARGS)", env: []pod.EnvVar{{Name: "ARGS", Value: "--port=9999"}}, port: 0, base: "/"},
		"flag whose name is a variable":     {args: "lab --$(TRAIT)=9999", port: 0, base: "/"},
		"value that is a variable":          {args: "lab --IdentityProvider.token $(TOKEN)", port: 8888, base: "/"},
		"value in an argument":              {args: "lab --IdentityProvider.token=$(TOKEN)", port: 8888, base: "/"},
		"value of a flag without a dot":     {args: "lab --gateway-url $(URL) --no-browser", port: 8888, base: "/"},
		"argument after --debug":            {args: "lab --debug $(ARGS)", port: 0, base: "/"},
		"port that is a variable":           {args: "lab --port $(P)", env: []pod.EnvVar{{Name: "P", Value: "9090"}}, port: 9090, base: "/"},
		"NOTEBOOK_ARGS with a variable":     {env: []pod.EnvVar{{Name: "NOTEBOOK_ARGS", Value: "--debug $(ARGS)"}}, port: 0, base: "/"},
		"NOTEBOOK_ARGS, an unknown script":  {args: "/opt/app-root/bin/run", env: []pod.EnvVar{{Name: "NOTEBOOK_ARGS", Value: "--port=9999"}}, port: 9999, base: "/"},
		"--config":                          {args: "lab --config=/etc/x.py", port: 0, base: "/"},
		"--config, port and base URL":       {args: "lab --config=/etc/x.py --port=1 --ServerApp.base_url=/y", port: 0, base: "/y/"},
		"--config, and where it listens":    {args: "lab --config=/etc/x.py --port=1 --ServerApp.base_url=/y --ip=0.0.0.0", port: 1, base: "/y/"},
		"port named http is not used":       {ports: []pod.Port{{Name: "http", ContainerPort: 8080}}, port: 8888, base: "/"},
		"notebook-port before http":         {ports: []pod.Port{{Name: "http", ContainerPort: 1}, {Name: "notebook-port", ContainerPort: 5}}, port: 5, base: "/"},
		"port above 65535":                  {args: "lab --port=65536", port: 0, base: "/"},
		"port 0":                            {args: "lab --port=0", port: 0, base: "/"},
		"base URL":                          {args: "lab --ServerApp.base_url=x/y", port: 8888, base: "/x/y/"},
		"base URL with an unknown variable": {args: "lab --ServerApp.base_url=/$(X)", port: 0, base: ""},
		"where kernels listen":              {args: "lab --KernelManager.ip=127.0.0.1 --MyApp.KernelManager.port 1", port: 8888, base: "/"},
		"certificate for the hub":           {args: "lab --HubAuth.client_ca=/x --HubOAuth.sock=/y", port: 8888, base: "/"},
		"--ServerApp.sock":                  {args: "lab --ServerApp.sock=/x", port: 0, base: "/"},
		"JUPYTER_PORT":                      {env: []pod.EnvVar{{Name: "JUPYTER_PORT", Value: "7777"}}, port: 7777, base: "/"},
		"hub's URL":                         {env: []pod.EnvVar{{Name: "JUPYTERHUB_SERVICE_URL", Value: "http://0.0.0.0:8889/user/a/"}}, port: 8889, base: "/"},
		"hub's URL with a variable":         {env: []pod.EnvVar{{Name: "JUPYTERHUB_SERVICE_URL", Value: "$(HUB_URL)"}}, port: 0, base: "/"},
		"hub's URL with a variable host":    {env: []pod.EnvVar{{Name: "JUPYTERHUB_SERVICE_URL", Value: "http://$(IP):8889/"}}, port: 8889, base: "/"},
		"hub's URL with a variable port":    {env: []pod.EnvVar{{Name: "JUPYTERHUB_SERVICE_URL", Value: "http://0.0.0.0:$(P)/"}}, port: 0, base: "/"},
		"hub's URL without a port":          {env: []pod.EnvVar{{Name: "JUPYTERHUB_SERVICE_URL", Value: "http://0.0.0.0/"}}, port: 0, base: "/"},
		"hub's prefix before the args":      {args: "--ServerApp.base_url=/x", env: []pod.EnvVar{{Name: "JUPYTERHUB_SERVICE_PREFIX", Value: "/user/a%40b/"}}, port: 8888, base: "/user/a%40b/"},
		"port by its name":                  {ports: []pod.Port{{Name: "metrics", ContainerPort: 1}, {Name: "notebook-port", ContainerPort: 5}}, port: 5, base: "/"},
		"port without a name":               {ports: []pod.Port{{ContainerPort: 5}}, port: 8888, base: "/"},
	} {
		t.Run(name, func(t *testing.T) {
			in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{},
				notebook: &pod.Container{Args: strings.Fields(c.args), Env: c.env, Ports: c.ports}}
			found := in.findServer(switches{})
			assert.Equal(t, c.port, found.port, found.why)
			assert.Equal(t, c.base, found.base)
			assert.Equal(t, c.port == 0, found.why != "", "an unknown port has a reason")
		})
	}
}

// TestCertificateInQuotes tests that an empty certificate in quotes, which Jupyter removes, leaves HTTPS off.
func TestCertificateInQuotes(t *testing.T) {
	for args, tls := range map[string]bool{"lab --certfile=''": false, `lab --ServerApp.certfile ""`: false, "lab --certfile='/x'": true} {
		in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{}, notebook: &pod.Container{Args: strings.Fields("jupyter " + args)}}
		assert.Equal(t, tls, in.findServer(switches{}).tls, args)
	}
}

// TestReadCommandOfConfiguration tests that a script of notebook.starts can refer to a variable, whose value is not known.
func TestReadCommandOfConfiguration(t *testing.T) {
	assert.Equal(t, runsJupyter, readCommand([]string{"bash", "-c", "exec jupyter lab --port=$PORT"}, nil).kind)
}

func TestPointerField(t *testing.T) {
	for at, want := range map[pod.Pointer]string{
		pod.SpecPath.Child("containers").Index(0).Child("image"):    "spec.containers[0].image",
		pod.AnnotationsPath.Child("jupyter-user.io/user"):           "metadata.annotations[jupyter-user.io/user]",
		pod.AnnotationsPath.Child("a~b"):                            "metadata.annotations[a~b]",
		pod.SpecPath.Child("securityContext"):                       "spec.securityContext",
		pod.SpecPath.Child("containers").Index(1) + "/volumeMounts": "spec.containers[1].volumeMounts",
	} {
		assert.Equal(t, want, at.Field())
	}
	assert.Equal(t, pod.Pointer("/metadata/annotations/jupyter-user.io~1user"), pod.AnnotationsPath.Child("jupyter-user.io/user"))
}

func TestImageStartMatches(t *testing.T) {
	for pattern, images := range map[string]map[string]bool{
		"quay.io/jupyter/*": {"quay.io/jupyter/x:1": true, "quay.io/jupyter/": true, "evil/quay.io/jupyter/x": false},
		"*":                 {"anything": true},
		"a.b":               {"a.b": true, "axb": false, "a.bc": false},
	} {
		for image, want := range images {
			assert.Equal(t, want, imageStarts([]config.Start{{Image: pattern}})[0].matches(&image), "%s, %s", pattern, image)
		}
	}
	assert.False(t, imageStarts([]config.Start{{Image: "*"}})[0].matches(nil), "a pod without an image")
}
