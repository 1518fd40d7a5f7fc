package server_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// mark is the secret text in the Pods.
const mark = "s3cr3t-MARK"

// TestLogHasNoSecrets puts the mark into fields of a Pod that can have a secret or private data. The log must not have the mark
// at any level, for Pods that are injected, denied or unreadable.
func TestLogHasNoSecrets(t *testing.T) {
	secretive := `"serviceAccountName":"MARK","nodeName":"MARK","hostname":"MARK","future":"MARK",
		"imagePullSecrets":[{"name":"MARK"}],"schedulerName":"MARK","nodeSelector":{"MARK":"MARK"},
		"volumes":[{"name":"MARK","secret":{"secretName":"MARK"}},{"name":"MARK2","projected":{"sources":[{"serviceAccountToken":
		{"audience":"MARK","path":"MARK"}}]}},{"name":"MARK3","csi":{"driver":"MARK","volumeAttributes":{"password":"MARK"}}}],
		"initContainers":[{"name":"MARK","image":"MARK","command":["MARK"],"env":[{"name":"MARK","value":"MARK"}]}],
		"containers":[{"name":"nb","image":"MARK","workingDir":"/MARK","command":["sh","-c","MARK"],"args":["--token=MARK"],
		"ports":[{"name":"MARK","containerPort":1}],"envFrom":[{"secretRef":{"name":"MARK"}}],
		"env":[{"name":"JUPYTER_TOKEN","value":"MARK"},{"name":"JUPYTERHUB_API_TOKEN","value":"MARK"},{"name":"HOME","value":"/MARK"},
		{"name":"NB_USER","value":"MARK"},{"name":"MARK","valueFrom":{"secretKeyRef":{"name":"MARK","key":"MARK"}}}],
		"lifecycle":{"preStop":{"exec":{"command":["MARK"]}}},"readinessProbe":{"exec":{"command":["MARK"]}},
		"volumeMounts":[{"name":"MARK","mountPath":"/MARK"}]}]`
	metadata := `,"labels":{"jupyter-user":"qiang.guo03","team":"MARK"},"annotations":{"note":"MARK","jupyter-user.io/MARK":"MARK",
		"hub.jupyter.org/token":"MARK"},"ownerReferences":[{"name":"MARK"}]`
	kind := `{"group":"","version":"v1","kind":"Pod"}`

	for name, c := range map[string]struct{ body, outcome string }{
		"injected":        {review(document(metadata, secretive)), "injected"},
		"unclaimed":       {review(document(`,"labels":{"team":"MARK"}`, secretive)), "ignored"},
		"updated":         {reviewOf("UPDATE", "", kind, document(metadata, secretive)), "ignored"},
		"of another kind": {reviewOf("CREATE", "", `{"group":"","version":"v1","kind":"Secret"}`, `{"kind":"Secret","data":{"x":"MARK"}}`), "denied"},
		"denied": {review(document(metadata, secretive[:len(secretive)-2]+`,"volumeDevices":[{"name":"hpc-shared-volume","devicePath":"/MARK"}]}],
			"securityContext":{"supplementalGroups":[5]}`)), "denied"},
		"with a value that is a number": {review(document(metadata, `"containers":[{"name":"nb","env":[{"name":"a","value":815008150815}]}]`)), "denied"},
		"with a number out of range":    {review(document(metadata, `"containers":[{"name":"nb","ports":[{"containerPort":815008150815}]}]`)), "denied"},
		"with a value that is a list":   {review(document(metadata, `"containers":[{"name":"nb","env":["MARK"]}]`)), "denied"},
		"text in place of the Pod":      {review(`"MARK"`), "denied"},
		"incomplete review":             {strings.SplitAfter(review(document(metadata, secretive)), `"--token=MARK"`)[0], ""},
		"invalid JSON":                  {review(`{"a":MARK}`), ""},
		"in a review of another type":   {`{"kind":"MARK","apiVersion":"MARK","request":["MARK"]}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdgeAt(t, slog.LevelDebug-8, nil)
			_, r := e.post(t, "/mutate", strings.ReplaceAll(c.body, "MARK", mark))
			assert.Equal(t, c.outcome == "injected" || c.outcome == "ignored", r.Response.Allowed, r.Response.Status.Message)
			assert.NotContains(t, e.log.String(), mark)
			assert.NotContains(t, e.log.String(), "815008150815")
			if c.outcome != "" {
				lines := e.log.Lines(t, "admission")
				require.Len(t, lines, 1)
				assert.Equal(t, c.outcome, lines[0]["outcome"])
			}
		})
	}
}

func newEdgeAt(t *testing.T, level slog.Level, identities webhook.Identities) *edge {
	t.Helper()
	e := &edge{log: &journal.Journal{}, registry: prometheus.NewRegistry()}
	metrics, err := server.NewMetrics(e.registry)
	require.NoError(t, err)
	log := slog.New(slog.NewJSONHandler(e.log, &slog.HandlerOptions{Level: level}))
	e.Handler = server.NewHandler(webhook.New(config.Default(), identities), log, metrics, nil)
	return e
}

// TestLogOfHostileName tests names with JSON and long names: a mutating webhook gets a Pod before its name is validated.
func TestLogOfHostileName(t *testing.T) {
	forged := `nb\"}\n{\"msg\":\"admission\",\"outcome\":\"injected\",\"user\":\"bob\"}\n\u001b[31m`
	e := newEdge(t, nil)
	_, r := e.post(t, "/mutate", strings.Replace(review(notebook), `"name":"nb","namespace":"science","operation"`,
		`"name":"`+forged+`","namespace":"science","operation"`, 1))
	assert.True(t, r.Response.Allowed)
	lines := e.log.Lines(t, "")
	require.Len(t, lines, 1)
	assert.Equal(t, "qiang.guo03", lines[0]["user"])
	assert.NotContains(t, e.log.String(), "\x1b")

	e = newEdge(t, nil)
	long := strings.Repeat("x", 1<<20)
	e.post(t, "/mutate", strings.Replace(review(notebook), `"name":"nb","namespace":"science","operation"`,
		`"name":"`+long+`","namespace":"science","operation"`, 1))
	assert.Less(t, len(e.log.String()), 1500)
	assert.Len(t, e.log.Lines(t, "admission"), 1)
}

// TestDenialsQuoteNames tests that names from the Pod in a denial have no line breaks and are shortened.
func TestDenialsQuoteNames(t *testing.T) {
	evil := `x\n- all is well\u001b[2J\u202e` + strings.Repeat("y", 500)
	for name, body := range map[string]string{
		"a label":       document(`,"labels":{"jupyter-user":"`+evil+`"}`, oneContainer),
		"an annotation": document(`,"labels":{"hub.jupyter.org/username":"x","component":"singleuser-server"},"annotations":{"hub.jupyter.org/username":"`+evil+`"}`, oneContainer),
		"a container": document(forQiang+`,"annotations":{"jupyter-user.io/container":"none"}`,
			`"containers":[{"name":"`+evil+`"}]`),
		"a requested container": document(forQiang+`,"annotations":{"jupyter-user.io/container":"`+evil+`"}`, oneContainer),
		"a switch":              document(forQiang+`,"annotations":{"jupyter-user.io/probes":"`+evil+`"}`, oneContainer),
		"a mount path": document(forQiang, `"containers":[{"name":"nb","volumeMounts":[{"name":"hpc-shared-volume","mountPath":"/`+
			evil+`"}]}]`),
		"an apiVersion":   `{"apiVersion":"` + evil + `","kind":"Pod"}`,
		"a duplicate key": document(forQiang+`,"annotations":{"`+evil+`":"1","`+evil+`":"2"}`, oneContainer),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			_, r := e.post(t, "/mutate", review(body))
			assert.False(t, r.Response.Allowed)
			message := r.Response.Status.Message
			assert.NotRegexp(t, `[\x00-\x1f\x7f]`, message)
			assert.NotContains(t, message, "\u202e")
			assert.Less(t, len(message), 700)
		})
	}
}

func TestWarningsQuoteNames(t *testing.T) {
	evil := `x\ny\u001b[2J\u202e` + strings.Repeat("z", 500)
	e := newEdge(t, nil)
	_, r := e.post(t, "/mutate", review(document(forQiang+`,"annotations":{"jupyter-user.io/`+evil+`":""}`, oneContainer+
		`,"securityContext":{"fsGroup":100},"volumes":[{"name":"`+evil+`","persistentVolumeClaim":{"claimName":"own"}}]`)))
	assert.True(t, r.Response.Allowed)
	require.Len(t, r.Response.Warnings, 2)
	for _, warning := range r.Response.Warnings {
		assert.NotRegexp(t, `[\x00-\x1f\x7f]`, warning)
		assert.NotContains(t, warning, "\u202e")
		assert.Less(t, len(warning), 400)
	}
}

// TestResponseIsShort tests that Pods with very many faults or elements give short responses and log lines, and at most
// 1,000 operations.
func TestResponseIsShort(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ","+format, i)
		}
		return b.String()[1:]
	}
	for name, c := range map[string]struct {
		pod     string
		allowed bool
		want    string
	}{
		"foreign mounts": {document(forQiang, `"containers":[{"name":"nb","volumeMounts":[`+
			many(900, `{"name":"uid-gid-config","mountPath":"/%d"}`)+`]}]`), false, "there are 900 problems:"},
		"more mounts than the limit": {document(forQiang, `"containers":[{"name":"nb","volumeMounts":[`+
			many(30_000, `{"name":"uid-gid-config","mountPath":"/%d"}`)+`]}]`), false, "there are 30000, and a notebook has at most 1000"},
		"homes":               {document(forQiang, `"containers":[{"name":"nb","env":[`+many(5_000, `{"name":"HOME","value":"%d"}`)+`]}]`), false, "changes"},
		"unknown annotations": {document(forQiang+`,"annotations":{`+many(15_000, `"jupyter-user.io/x%d":""`)+`}`, oneContainer), true, ""},
		"containers": {document(forQiang+`,"annotations":{"jupyter-user.io/container":"none"}`, `"containers":[`+many(200, `{"name":"c%d"}`)+`]`),
			false, "c7 and 192 more"},
		"arguments": {document(forQiang, `"containers":[{"name":"nb","args":[`+many(10_000, `"%d"`)+`]}]`), true, ""},
		"variables": {document(forQiang, `"containers":[{"name":"nb","env":[`+many(10_000, `{"name":"X%d","value":"y"}`)+`]}]`), true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			_, r := e.post(t, "/mutate", review(c.pod))
			assert.Equal(t, c.allowed, r.Response.Allowed)
			assert.Contains(t, r.Response.Status.Message, c.want)
			assert.Less(t, len(r.Response.Status.Message), 20_000)
			assert.LessOrEqual(t, len(r.Response.Status.Details.Causes), 50)
			assert.LessOrEqual(t, len(r.Response.Warnings), 51)
			assert.LessOrEqual(t, len(r.operations(t)), 1000)
			assert.Len(t, e.log.Lines(t, "admission"), 1)
			assert.Less(t, len(e.log.String()), 20_000)
		})
	}
}
