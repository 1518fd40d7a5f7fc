package integration

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/monitoring"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// TestWarnMode tests mode Warn of the webhook and of the policies. Pods are created unchanged, even if the requester has no
// right to a home or the namespace has no Pod Security level. The requester gets warnings. After the change to mode
// Enforce, these Pods can still be changed and deleted, and the rules apply to new Pods.
func TestWarnMode(t *testing.T) {
	t.Parallel()
	c := startUnserved(t, controlplane.Options{})
	c.serveInMode(t, config.ModeWarn)
	require.NoError(t, c.Namespace(t.Context(), "before", nil))
	require.NoError(t, c.Allow(t.Context(), "before", c.carol, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get", "list", "patch", "update", "delete"},
	}))

	for name, warned := range warnedPods {
		t.Run(name, func(t *testing.T) {
			// The stored Pod is as without the webhook.
			made := c.create(t, "before", warned.pod)
			require.Zero(t, made.ExitCode, made.Stderr)
			stored := decode(t, made.Stdout)
			assert.Empty(t, stored.Spec.InitContainers)
			assert.Len(t, stored.Spec.Volumes, warned.volumes+1, "the Pod's own volumes and the ServiceAccount's token")
			assert.Empty(t, stored.Spec.Containers[0].Env)
			for key := range stored.Annotations {
				assert.False(t, strings.HasPrefix(key, "jupyter-user.io/"), key)
			}
			for _, warning := range warned.warnings {
				assert.Contains(t, made.Stderr, "Warning: "+warning)
			}
			if len(warned.warnings) == 0 {
				assert.Empty(t, made.Stderr, "there is no warning about a Pod that is no notebook")
			}
		})
	}
	t.Run("the webhook is down", c.admitsWhileDown)
	t.Run("metrics of the API server", c.exposesQueriedMetrics)

	c.stop()
	c.serveInMode(t, config.ModeEnforce)
	for name := range warnedPods {
		changed := c.kubectl(t, "annotate", "pod", "-n", "before", name, "note=goes on")
		assert.Zero(t, changed.ExitCode, changed.Stderr)
		gone := c.kubectl(t, "delete", "pod", "-n", "before", name, "--wait=false")
		assert.Zero(t, gone.ExitCode, gone.Stderr)
	}
	denied := c.create(t, "before", strings.Replace(warnedPods["labelled"].pod, "name: labelled", "name: next-day", 1))
	assert.NotZero(t, denied.ExitCode)
	assert.Contains(t, denied.Stderr, "denied request: ")
	// Two policies deny the Pod, and the API server returns the message of one.
	assert.Regexp(t, "may not use the home of qiang.guo03|namespace before has no label with the Pod Security Standard", denied.Stderr)
}

// warnedPods has Pods like those in a cluster without the webhook, by name. For each, it has the number of the Pod's own
// volumes, and the warnings that are expected when the Pod is created in mode Warn.
var warnedPods = map[string]struct {
	pod      string
	volumes  int
	warnings []string
}{
	"labelled": {"{apiVersion: v1, kind: Pod, metadata: {name: labelled, labels: {jupyter-user: qiang.guo03}}, " +
		"spec: {containers: [{name: nb, image: quay.io/jupyter/minimal-notebook}]}}", 0,
		[]string{"would become a notebook of qiang.guo03 (AtStart): the webhook is in mode Warn and leaves the pod as it is"}},
	"of-nobody": {"{apiVersion: v1, kind: Pod, metadata: {name: of-nobody, labels: {jupyter-user: root}}, " +
		"spec: {containers: [{name: nb, image: quay.io/jupyter/minimal-notebook}]}}", 0, []string{"would be denied: NameReserved: "}},
	"by-hand": {"{apiVersion: v1, kind: Pod, metadata: {name: by-hand, labels: {jupyter-user: alice}}, spec: {containers: [{name: nb, " +
		"image: quay.io/jupyter/minimal-notebook, volumeMounts: [{name: data, mountPath: /data}]}], volumes: [{name: data, persistentVolumeClaim: {claimName: " +
		"hpc-shared-pvc}}]}}", 1, []string{"would be denied: ShareAgain: "}},
	"of-others": {"{apiVersion: v1, kind: Pod, metadata: {name: of-others}, spec: {containers: [{name: app, image: x}]}}", 0, nil},
	"with-the-share": {"{apiVersion: v1, kind: Pod, metadata: {name: with-the-share}, spec: {containers: [{name: app, image: x}], " +
		"volumes: [{name: data, persistentVolumeClaim: {claimName: hpc-shared-pvc}}]}}", 1,
		[]string{"Validation failed for ValidatingAdmissionPolicy "}},
}

// serveInMode starts the webhook in a mode, and gives the policies' bindings the actions of this mode, like the chart.
func (c *cluster) serveInMode(t *testing.T, mode config.Mode) {
	t.Helper()
	configured := config.Default()
	configured.Mode = mode
	mux := http.NewServeMux()
	mux.Handle("/", c.replica(t, configured))
	mux.Handle("/second", secondWebhook())
	_, c.stop = c.listen(t, c.calledAddress(), mux)
	actions := `["Deny"]`
	if mode == config.ModeWarn {
		actions = `["Warn","Audit"]`
	}
	bindings, err := c.Admin.Kubectl(t.Context(), "get", "validatingadmissionpolicybindings", "-o", "name",
		"-l", "app.kubernetes.io/name=jupyter-user-webhook")
	require.NoError(t, err)
	names := strings.Fields(bindings.Stdout)
	require.NotEmpty(t, names, bindings.Stderr)
	require.NoError(t, c.Admin.Do(t.Context(), "", append([]string{"patch", "--type=merge",
		`--patch={"spec":{"validationActions":` + actions + `}}`}, names...)...))
	require.NoError(t, c.AwaitPolicies(t.Context()))
}

// admitsWhileDown tests that with failurePolicy Ignore, which the chart sets in mode Warn, Pods are admitted while the
// webhook is down. With Fail they are denied.
func (c *cluster) admitsWhileDown(t *testing.T) {
	c.stop()
	labelled := func(name string) controlplane.Result {
		return c.create(t, "before", strings.Replace(warnedPods["labelled"].pod, "name: labelled", "name: "+name, 1))
	}
	denied := labelled("while-it-fails")
	assert.NotZero(t, denied.ExitCode)
	assert.Contains(t, denied.Stderr, "failed calling webhook")
	for _, configuration := range []string{"mutatingwebhookconfiguration/00-jupyter-user-webhook",
		"validatingwebhookconfiguration/jupyter-user-webhook"} {
		c.setFailurePolicy(t, configuration, "Ignore")
	}
	require.Eventually(t, func() bool { return labelled("while-it-is-ignored").ExitCode == 0 }, wait, 100*time.Millisecond)
}

// setFailurePolicy sets failurePolicy in each webhook of a MutatingWebhookConfiguration or ValidatingWebhookConfiguration.
func (c *cluster) setFailurePolicy(t *testing.T, configuration, policy string) {
	t.Helper()
	entries, err := c.Admin.Kubectl(t.Context(), "get", configuration, "-o", "jsonpath={.webhooks[*].name}")
	require.NoError(t, err)
	var patch []string
	for i := range strings.Fields(entries.Stdout) {
		patch = append(patch, `{"op":"replace","path":"/webhooks/`+strconv.Itoa(i)+`/failurePolicy","value":"`+policy+`"}`)
	}
	require.NotEmpty(t, patch, entries.Stderr)
	require.NoError(t, c.Admin.Do(t.Context(), "", "patch", configuration, "--type=json",
		"--patch=["+strings.Join(patch, ",")+"]"))
}

// exposesQueriedMetrics tests the API server's metrics after the requests of TestWarnMode. Each metric of the API server
// that the dashboard or an alert queries must exist, with the queried labels.
func (c *cluster) exposesQueriedMetrics(t *testing.T) {
	raw, err := c.Admin.Kubectl(t.Context(), "get", "--raw", "/metrics")
	require.NoError(t, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	exposed, err := parser.TextToMetricFamilies(strings.NewReader(raw.Stdout))
	require.NoError(t, err)
	queries, err := monitoring.Queries(t.Context())
	require.NoError(t, err)
	used := 0
	for _, query := range queries {
		for _, series := range query.Series {
			if !strings.HasPrefix(series.Name, "apiserver_") {
				continue
			}
			used++
			assert.True(t, hasSeries(t, series, exposed[series.Name]), "%s uses a metric that the API server does not expose: %s", query.Where, query.Expr)
			for _, label := range query.Labels {
				assert.Contains(t, labelsOf(exposed[series.Name]), label, "%s: %s", query.Where, query.Expr)
			}
		}
	}
	assert.Positive(t, used)
}

// hasSeries reports whether the family has a series with all labels that are wanted, and with matching values.
func hasSeries(t *testing.T, wanted monitoring.Series, family *dto.MetricFamily) bool {
	t.Helper()
	for _, series := range family.GetMetric() {
		values := map[string]string{}
		for _, label := range series.GetLabel() {
			values[label.GetName()] = label.GetValue()
		}
		all := true
		for _, matcher := range wanted.Matchers {
			value, operator := values[matcher[0]], matcher[1]
			matched := value == matcher[2]
			if strings.HasSuffix(operator, "~") {
				matched = regexp.MustCompile("^(?:" + matcher[2] + ")$").MatchString(value)
			}
			all = all && matched != strings.HasPrefix(operator, "!") && value != ""
		}
		if all {
			return true
		}
	}
	return false
}

func labelsOf(family *dto.MetricFamily) (names []string) {
	for _, series := range family.GetMetric() {
		for _, label := range series.GetLabel() {
			names = append(names, label.GetName())
		}
	}
	return names
}
