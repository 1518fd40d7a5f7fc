package inject

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

func TestStartsJupyter(t *testing.T) {
	for line, want := range map[string]bool{
		"":                                        true, // the image's own start
		"start-notebook.py":                       true,
		"start-notebook.sh --foo":                 true,
		"/usr/local/bin/start-notebook.sh":        true,
		"start-singleuser.sh":                     true,
		"jupyterhub-singleuser":                   true,
		"jupyter lab --port 9999":                 true,
		"jupyter notebook":                        true,
		"jupyter server":                          true,
		"jupyter-lab":                             true,
		"tini -g -- start.sh start-notebook.py":   true,
		"tini -g -- start.sh":                     true, // what start.sh does without a word
		"/usr/bin/tini -- jupyter lab":            true,
		"python3 -m jupyterlab":                   true,
		"python3.11 -m jupyter lab":               true,
		"python -m jupyterhub.singleuser --debug": true,
		"sleep 1000":                              false,
		"jupyter":                                 false,
		"jupyter kernelspec list":                 false,
		"jupyter nbconvert --execute lab":         false,
		"tini -- sleep 1000":                      false,
		"start.sh sleep 1000":                     false,
		"bash":                                    false,
		"sh -c jupyter":                           false,
		"python train.py":                         false,
		"python -m http.server":                   false,
		"pythonic -m jupyterlab":                  false,
		"--debug":                                 false, // arguments of an entrypoint that cannot be seen
		"echo jupyter lab":                        false,
		"my-jupyter-lab":                          false,
	} {
		assert.Equal(t, want, startsJupyter(strings.Fields(line)), line)
	}
}

func TestWhereJupyterListens(t *testing.T) {
	for name, c := range map[string]struct {
		args  string
		env   []pod.EnvVar
		ports []pod.Port
		port  int32
		base  string
	}{
		"by default":                      {port: 8888, base: "/"},
		"--port 9999":                     {args: "lab --port 9999", port: 9999, base: "/"},
		"--port=9999":                     {args: "lab --port=9999", port: 9999, base: "/"},
		"--ServerApp.port=9999":           {args: "lab --ServerApp.port=9999", port: 9999, base: "/"},
		"the last one counts":             {args: "lab --port=1 --NotebookApp.port 2", port: 2, base: "/"},
		"a flag without a value":          {args: "lab --port", port: 8888, base: "/"},
		"no number":                       {args: "lab --port=$(PORT)", port: 0, base: "/"},
		"too high":                        {args: "lab --port=65536", port: 0, base: "/"},
		"zero":                            {args: "lab --port=0", port: 0, base: "/"},
		"a base URL":                      {args: "lab --ServerApp.base_url=x/y", port: 8888, base: "/x/y/"},
		"a base URL with a variable":      {args: "lab --ServerApp.base_url=/$(X)", port: 0, base: ""},
		"--ServerApp.sock":                {args: "lab --ServerApp.sock=/x", port: 0, base: "/"},
		"JUPYTER_PORT":                    {env: []pod.EnvVar{{Name: "JUPYTER_PORT", Value: "7777"}}, port: 7777, base: "/"},
		"the hub's URL":                   {env: []pod.EnvVar{{Name: "JUPYTERHUB_SERVICE_URL", Value: "http://0.0.0.0:8889/user/a/"}}, port: 8889, base: "/"},
		"the hub's prefix beats the args": {args: "--ServerApp.base_url=/x", env: []pod.EnvVar{{Name: "JUPYTERHUB_SERVICE_PREFIX", Value: "/user/a%40b/"}}, port: 8888, base: "/user/a%40b/"},
		"a port by name":                  {ports: []pod.Port{{Name: "metrics", ContainerPort: 1}, {Name: "notebook-port", ContainerPort: 5}}, port: 5, base: "/"},
		"a port without a name":           {ports: []pod.Port{{ContainerPort: 5}}, port: 8888, base: "/"},
	} {
		t.Run(name, func(t *testing.T) {
			in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{},
				notebook: &pod.Container{Args: strings.Fields(c.args), Env: c.env, Ports: c.ports}}
			found := in.findServer(switches{})
			assert.Equal(t, c.port, found.port, found.why)
			assert.Equal(t, c.base, found.base)
			assert.Equal(t, c.port == 0, found.why != "", "what cannot be told is said why")
		})
	}
}

func TestFieldIsWrittenAsKubernetesWritesIt(t *testing.T) {
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

func TestMatchesImage(t *testing.T) {
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
