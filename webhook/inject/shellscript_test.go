package inject

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// TestReadRedirections tests that redirections are skipped. A script with a here-document or a process substitution is
// runsUnclear as a whole.
func TestReadRedirections(t *testing.T) {
	for script, want := range map[string]programKind{
		"cat <<EOF >a\nexec jupyter lab\nEOF\nid":    runsUnclear,
		"cat 2>&1<<-'EOF'\nid\nEOF\njupyter lab":     runsUnclear,
		"jupyter lab <<EOF\ny\nEOF\n":                runsUnclear,
		"cat <(id); jupyter lab":                     runsUnclear,
		"cat <<<EOF; jupyter lab":                    runsJupyter,
		"cat <a >>b 2>|c <>d 2>&1; jupyter lab":      runsJupyter,
		"echo '<<EOF' \"<<EOF\" \\<\\<; jupyter lab": runsJupyter,
	} {
		assert.Equal(t, want, readCommand([]string{"bash", "-c", script}, nil).kind, script)
	}
}

// TestReadEndedExports tests that a script which ends the export of a variable is runsUnclear as a whole.
func TestReadEndedExports(t *testing.T) {
	for _, script := range []string{
		"set -a; set +a; JUPYTER_PORT=1; exec jupyter lab",
		"set +o allexport; JUPYTER_PORT=1; exec jupyter lab",
		"export JUPYTER_PORT=1; export -n JUPYTER_PORT; exec jupyter lab",
		"export JUPYTER_PORT=1; declare +x JUPYTER_PORT; exec jupyter lab",
		"export JUPYTER_PORT=1; unset JUPYTER_PORT; exec jupyter lab",
	} {
		assert.Equal(t, runsUnclear, readCommand([]string{"bash", "-c", script}, nil).kind, script)
	}
}

func TestFindServerInScript(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		env    []pod.EnvVar
		port   int32
	}{
		"value with several words":          {"jupyter lab $A", []pod.EnvVar{{Name: "A", Value: "--no-browser --port=9999"}}, 9999},
		"value with several lines":          {"jupyter lab $A", []pod.EnvVar{{Name: "A", Value: "--no-browser\n--port\n9999\n"}}, 9999},
		"value in quotes":                   {`jupyter lab "$A"`, []pod.EnvVar{{Name: "A", Value: "--no-browser --port=9999"}}, 8888},
		"value that is the command":         {"exec $A --port=9999", []pod.EnvVar{{Name: "A", Value: "jupyter lab"}}, 9999},
		"empty value":                       {"$A jupyter $A lab $A --port $A 9999", []pod.EnvVar{{Name: "A"}}, 9999},
		"value of several words, assigned":  {"NOTEBOOK_ARGS=$A start-notebook.py", []pod.EnvVar{{Name: "A", Value: "--debug --port=9999"}}, 9999},
		"unknown value":                     {"jupyter lab $A", nil, 0},
		"unknown value in quotes":           {`jupyter lab --notebook-dir="$A" --IdentityProvider.token "$A"`, nil, 8888},
		"variable of the script":            {"P=9999; jupyter lab --port=$P", []pod.EnvVar{{Name: "P", Value: "7"}}, 9999},
		"Kubernetes' notation":              {"P=9999; jupyter lab --port=$(P)", []pod.EnvVar{{Name: "P", Value: "7"}}, 7},
		"variable for one command":          {"P=9999 true; jupyter lab --port=$P", []pod.EnvVar{{Name: "P", Value: "7"}}, 7},
		"exported variable":                 {"export X=1 NOTEBOOK_ARGS='--debug --port=9999'\nexec start-notebook.py", nil, 9999},
		"exported twice":                    {"export JUPYTER_PORT=1; JUPYTER_PORT=2; exec jupyter lab", nil, 2},
		"exported, and set for Jupyter":     {"export JUPYTER_PORT=1; JUPYTER_PORT=2 jupyter lab", nil, 2},
		"exported, of an unknown variable":  {"export JUPYTER_PORT=$P; exec jupyter lab", nil, 0},
		"exported after it is set":          {"JUPYTER_PORT=1; export JUPYTER_PORT; exec jupyter lab", nil, 1},
		"exported before it is set":         {"export JUPYTER_PORT; JUPYTER_PORT=1; exec jupyter lab", nil, 1},
		"exported by declare":               {"declare -rx JUPYTER_PORT=1; exec jupyter lab", nil, 1},
		"declared, not exported":            {"declare JUPYTER_PORT=1; exec jupyter lab", nil, 8888},
		"exported by set -a":                {"set -ea; JUPYTER_PORT=1; exec jupyter lab", nil, 1},
		"exported by set -o allexport":      {"set -o allexport; JUPYTER_PORT=1; exec jupyter lab", nil, 1},
		"operand of set":                    {"set -- -a; JUPYTER_PORT=1; exec jupyter lab", nil, 8888},
		"another option":                    {"set -e +x; JUPYTER_PORT=1; exec jupyter lab", nil, 8888},
		"unset, of no meaning here":         {"unset A; export JUPYTER_PORT=1; exec jupyter lab", nil, 1},
		"read-only, then exported":          {"readonly JUPYTER_PORT=1; export JUPYTER_PORT; exec jupyter lab", nil, 1},
		"exported, set in a further shell":  {"export JUPYTER_PORT=1; exec bash -c 'JUPYTER_PORT=2; exec jupyter lab'", nil, 2},
		"exported, used in a further shell": {"export P=1; exec bash -c 'exec jupyter lab --port=$P'", nil, 1},
		"variable of the Pod, set again":    {"JUPYTER_PORT=1; exec jupyter lab", []pod.EnvVar{{Name: "JUPYTER_PORT", Value: "7"}}, 1},
		"not exported":                      {"JUPYTER_PORT=1; exec jupyter lab", nil, 8888},
		"set after the command":             {"jupyter lab; JUPYTER_PORT=1", nil, 8888},
		"NOTEBOOK_ARGS that nothing reads":  {"exec jupyter lab", []pod.EnvVar{{Name: "NOTEBOOK_ARGS", ValueFrom: &pod.ValueFrom{}}}, 8888},
		"NOTEBOOK_ARGS of jupyter lab":      {"exec jupyter lab", []pod.EnvVar{{Name: "NOTEBOOK_ARGS", Value: "--port=9999"}}, 8888},
		"NOTEBOOK_ARGS of python":           {"exec python -Im jupyterlab", []pod.EnvVar{{Name: "NOTEBOOK_ARGS", Value: "--port=9999"}}, 8888},
		"NOTEBOOK_ARGS of Jupyter's script": {"exec python -u /opt/conda/bin/jupyter lab", []pod.EnvVar{{Name: "NOTEBOOK_ARGS", Value: "--port=9999"}}, 8888},
		"NOTEBOOK_ARGS of a script":         {"exec python /usr/local/bin/start-notebook.py", []pod.EnvVar{{Name: "NOTEBOOK_ARGS", Value: "--port=9999"}}, 9999},
		"settings in a hub": {"export JUPYTER_CONFIG_PATH=/x; exec jupyterhub-singleuser",
			[]pod.EnvVar{{Name: "JUPYTERHUB_SERVICE_URL", Value: "http://0.0.0.0:8889/"}}, 8889},
		"exported JUPYTER_CONFIG_PATH": {"export JUPYTER_CONFIG_PATH=/x && jupyter lab", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			in := planning{planner: NewPlanner(config.Default()), pod: &pod.Pod{},
				notebook: &pod.Container{Command: []string{"bash", "-c", c.script}, Env: c.env}}
			found := in.findServer(switches{})
			assert.Equal(t, runsJupyter, found.kind)
			assert.Equal(t, c.port, found.port, found.why)
		})
	}
}
