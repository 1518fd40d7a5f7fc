package integration

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// TestAdmission tests the usual ways in which a user or a hub creates a Pod, on one API server.
func TestAdmission(t *testing.T) {
	t.Parallel()
	c := start(t)
	for name, test := range map[string]func(*testing.T, *cluster){
		"kubectl run":                          kubectlRun,
		"kubectl run with args":                kubectlRunWithArgs,
		"kubectl run with a command":           kubectlRunWithCommand,
		"kubectl run with a token":             kubectlRunWithToken,
		"kubectl run with dry-run=server":      kubectlRunDryRun,
		"generateName without a name":          generateName,
		"a LimitRange":                         limitRange,
		"a hub's pod":                          hubPod,
		"a hub's pod that has the label too":   hubPodWithLabel,
		"a namespace that enforces restricted": restricted,
		"a pod without the label":              noLabel,
		"UPDATE, DELETE and subresources":      afterwards,
		"a denial with three problems":         denialWithAllMessages,
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
	t.Run("a webhook that is down", func(t *testing.T) { down(t, c) })
}

func kubectlRun(t *testing.T, c *cluster) {
	c.namespace(t, "run", "baseline")
	raw, pod := c.run(t, "run", "nb", "--labels=jupyter-user=qiang.guo03")
	assertSettled(t, raw)

	assert.Equal(t, "qiang.guo03", pod.Annotations["jupyter-user.io/user"])
	assert.Equal(t, "AtStart", pod.Annotations["jupyter-user.io/discovery"])
	assert.Equal(t, "jupyter-user-init", pod.Spec.InitContainers[0].Name)
	notebook := pod.Spec.Containers[0]
	assert.Equal(t, "/config/jupyter-user-init exec --user=qiang.guo03 --home=/home/qiang.guo03 --scratch=/config --jupyter-config --image-start --",
		strings.Join(notebook.Command, " "))
	assert.Equal(t, "/api", notebook.ReadinessProbe.HTTPGet.Path)
	assert.Equal(t, int32(8888), notebook.Ports[0].ContainerPort)
	assert.Equal(t, resource.MustParse("2Gi"), notebook.Resources.Requests["memory"])
	assert.Equal(t, []corev1.Capability{"SETUID", "SETGID"}, notebook.SecurityContext.Capabilities.Add)

	assert.True(t, hasToken(notebook), "the notebook container has the Pod's token")
	assert.False(t, hasToken(pod.Spec.InitContainers[0]), "the init container has no token")

	reviews := c.decisions(t, "run")
	require.NotEmpty(t, reviews)
	assert.Equal(t, "injected", reviews[0].Outcome)
	assert.Equal(t, "carol", reviews[0].Requester)
	assertUnchangedAndVerified(t, reviews[1:])
}

// assertUnchangedAndVerified asserts that the reviews of a Pod have no operations, and that the last review is the
// verifier's. The caller leaves out the first review, which injects the Pod.
func assertUnchangedAndVerified(t *testing.T, reviews []decision) {
	t.Helper()
	require.NotEmpty(t, reviews)
	last := reviews[len(reviews)-1]
	assert.Equal(t, "verify", last.Review)
	assert.Equal(t, "verified", last.Outcome)
	for _, again := range reviews[:len(reviews)-1] {
		assert.Equal(t, "mutate", again.Review)
		assert.Equal(t, "unchanged", again.Outcome)
		assert.Zero(t, again.Operations)
	}
}

func hasToken(c corev1.Container) bool {
	for _, m := range c.VolumeMounts {
		if strings.HasPrefix(m.Name, "kube-api-access-") {
			return true
		}
	}
	return false
}

func kubectlRunWithArgs(t *testing.T, c *cluster) {
	c.namespace(t, "args", "baseline")
	raw, pod := c.run(t, "args", "nb", "--labels=jupyter-user=qiang.guo03", "--", "jupyter", "lab", "--port", "9999")
	assertSettled(t, raw)
	notebook := pod.Spec.Containers[0]
	assert.Equal(t, []string{"jupyter", "lab", "--port", "9999"}, notebook.Args)
	assert.Contains(t, notebook.Command, "--image-start")
	assert.Equal(t, 9999, notebook.LivenessProbe.HTTPGet.Port.IntValue())
	assert.Equal(t, int32(9999), notebook.Ports[0].ContainerPort)
}

func kubectlRunWithCommand(t *testing.T, c *cluster) {
	c.namespace(t, "command", "baseline")
	raw, pod := c.run(t, "command", "nb", "--labels=jupyter-user=qiang.guo03", "--command", "--", "sleep", "1000")
	assertSettled(t, raw)
	notebook := pod.Spec.Containers[0]
	assert.Equal(t, "/config/jupyter-user-init exec --user=qiang.guo03 --home=/home/qiang.guo03 --scratch=/config --jupyter-config -- sleep 1000",
		strings.Join(notebook.Command, " "))
	assert.Nil(t, notebook.StartupProbe)
	assert.Nil(t, notebook.ReadinessProbe)
	assert.Nil(t, notebook.LivenessProbe)
	assert.Empty(t, notebook.Ports)

	// With discovery at admission, the webhook does not change the command.
	raw, pod = c.run(t, "command", "alices", "--labels=jupyter-user=alice", "--command", "--", "sleep", "1000")
	assertSettled(t, raw)
	assert.Equal(t, []string{"sleep", "1000"}, pod.Spec.Containers[0].Command)
}

func kubectlRunWithToken(t *testing.T, c *cluster) {
	c.namespace(t, "token", "baseline")
	raw, pod := c.run(t, "token", "nb", "--labels=jupyter-user=qiang.guo03", "--env=JUPYTER_TOKEN=marker-1f3a")
	assertSettled(t, raw)
	assert.Contains(t, pod.Spec.Containers[0].Env, corev1.EnvVar{Name: "JUPYTER_TOKEN", Value: "marker-1f3a"})
	assert.NotContains(t, c.log.String(), "marker-1f3a")
}

func kubectlRunDryRun(t *testing.T, c *cluster) {
	c.namespace(t, "dry", "baseline")
	made := c.kubectl(t, "run", "nb", "-n", "dry", "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user=qiang.guo03", "--dry-run=server", "-o", "json")
	require.Zero(t, made.ExitCode, made.Stderr)
	assert.Equal(t, "jupyter-user-init", decode(t, made.Stdout).Spec.InitContainers[0].Name)
	assert.True(t, c.decisions(t, "dry")[0].DryRun)
	gone := c.kubectl(t, "get", "pod", "nb", "-n", "dry")
	assert.Contains(t, gone.Stderr, "not found")
}

func generateName(t *testing.T, c *cluster) {
	c.namespace(t, "generate", "baseline")
	made := c.create(t, "generate", `{apiVersion: v1, kind: Pod, metadata: {generateName: nb-, labels: {jupyter-user: alice}},
		spec: {containers: [{name: nb, image: quay.io/jupyter/minimal-notebook}]}}`)
	require.Zero(t, made.ExitCode, made.Stderr)
	assertSettled(t, []byte(made.Stdout))
	assert.Equal(t, "generate", c.decisions(t, "generate")[0].Namespace, "the namespace is the request's")
}

func limitRange(t *testing.T, c *cluster) {
	c.namespace(t, "limits", "baseline")
	client, err := kubernetes.NewForConfig(c.Admin.Config)
	require.NoError(t, err)
	_, err = client.CoreV1().LimitRanges("limits").Create(t.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "defaults"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type:           corev1.LimitTypeContainer,
			Default:        corev1.ResourceList{"cpu": resource.MustParse("3"), "ephemeral-storage": resource.MustParse("1Gi")},
			DefaultRequest: corev1.ResourceList{"cpu": resource.MustParse("250m")},
		}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	ctx := t.Context()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		// The LimitRange is in effect when LimitRanger has read it into its cache.
		made, err := c.carol.Kubectl(ctx, "run", "probe", "-n", "limits", "--image=quay.io/jupyter/minimal-notebook", "--dry-run=server", "-o", "json")
		require.NoError(t, err)
		assert.Contains(t, made.Stdout, "250m")
	}, wait, wait/100)

	raw, pod := c.run(t, "limits", "nb", "--labels=jupyter-user=alice")
	assertSettled(t, raw)
	assert.Equal(t, resource.MustParse("250m"), pod.Spec.Containers[0].Resources.Requests["cpu"],
		"a notebook that a LimitRange has given requests is left with them")
	init := pod.Spec.InitContainers[0]
	assert.Equal(t, resource.MustParse("100m"), init.Resources.Limits["cpu"], "the webhook's limits are kept")
	assert.Equal(t, resource.MustParse("1Gi"), init.Resources.Limits["ephemeral-storage"], "the LimitRange adds the others")
}

const hubPodYAML = `
apiVersion: v1
kind: Pod
metadata:
  name: jupyter-alice
  labels: {hub.jupyter.org/username: alice-corp---1facc80f, app: jupyterhub, component: singleuser-server%s}
  annotations: {hub.jupyter.org/username: alice}
spec:
  automountServiceAccountToken: false
  securityContext: {fsGroup: 100}
  containers:
  - name: notebook
    image: x
    args: [jupyterhub-singleuser]
    env: [{name: JUPYTERHUB_SERVICE_PREFIX, value: /user/alice/}]
    ports: [{name: notebook-port, containerPort: 8888}]
    securityContext: {runAsUser: 1000, allowPrivilegeEscalation: false}
`

func hubPod(t *testing.T, c *cluster) {
	c.namespace(t, "hub", "baseline")
	made := c.create(t, "hub", strings.Replace(hubPodYAML, "%s", "", 1))
	require.Zero(t, made.ExitCode, made.Stderr)
	assertSettled(t, []byte(made.Stdout))
	pod := decode(t, made.Stdout)
	assert.Equal(t, "alice", pod.Annotations["jupyter-user.io/user"])
	assert.Equal(t, "/user/alice/api", pod.Spec.Containers[0].ReadinessProbe.HTTPGet.Path)
	assert.Equal(t, int64(5001), *pod.Spec.Containers[0].SecurityContext.RunAsUser)
	assert.Empty(t, pod.Spec.Containers[0].Resources, "the webhook adds no resources to a hub's Pod")
	assert.Nil(t, pod.Spec.SecurityContext.FSGroup)
}

func hubPodWithLabel(t *testing.T, c *cluster) {
	c.namespace(t, "both", "baseline")
	made := c.create(t, "both", strings.Replace(hubPodYAML, "%s", ", jupyter-user: alice", 1))
	require.Zero(t, made.ExitCode, made.Stderr)
	injected := 0
	for _, a := range c.decisions(t, "both") {
		if a.Outcome == "injected" {
			injected++
		}
	}
	assert.Equal(t, 1, injected, "the entries of the webhook configuration are disjoint")
}

func restricted(t *testing.T, c *cluster) {
	c.namespace(t, "restricted", "restricted")
	denied := c.kubectl(t, "run", "nb", "-n", "restricted", "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user=qiang.guo03")
	assert.Equal(t, 1, denied.ExitCode)
	assert.Contains(t, denied.Stderr, "Error from server (RestrictedNeedsIdentity)")
	assert.Contains(t, denied.Stderr, "namespace restricted enforces the Pod Security Standard restricted")

	raw, pod := c.run(t, "restricted", "nb", "--labels=jupyter-user=alice")
	assertSettled(t, raw)
	assert.Equal(t, []int64{7001}, pod.Spec.SecurityContext.SupplementalGroups)
	assert.Empty(t, pod.Spec.Containers[0].Command, "the image's own entrypoint stays")
}

func noLabel(t *testing.T, c *cluster) {
	c.namespace(t, "none", "baseline")
	_, pod := c.run(t, "none", "nb", "--labels=app=x")
	assert.Empty(t, pod.Spec.InitContainers)
	assert.Empty(t, c.decisions(t, "none"), "the API server does not call the webhook")
}

func afterwards(t *testing.T, c *cluster) {
	c.namespace(t, "after", "baseline")
	c.run(t, "after", "nb", "--labels=jupyter-user=alice")
	reviews := len(c.decisions(t, "after"))
	for _, arguments := range [][]string{
		{"annotate", "pod", "nb", "-n", "after", "example.com/x=y"},
		{"delete", "pod", "nb", "-n", "after", "--now"},
	} {
		done := c.kubectl(t, arguments...)
		require.Zero(t, done.ExitCode, done.Stderr)
	}
	assert.Len(t, c.decisions(t, "after"), reviews, "the API server does not call the webhook")
}

func denialWithAllMessages(t *testing.T, c *cluster) {
	c.namespace(t, "denied", "baseline")
	made := c.create(t, "denied", `
apiVersion: v1
kind: Pod
metadata: {name: nb, labels: {jupyter-user: alice}}
spec:
  volumes:
  - {name: hpc-shared-volume, hostPath: {path: /srv/nfs}}
  - {name: again, persistentVolumeClaim: {claimName: hpc-shared-pvc}}
  containers:
  - {name: nb, image: quay.io/jupyter/minimal-notebook, volumeMounts: [{name: hpc-shared-volume, mountPath: /home}]}
`)
	assert.Equal(t, 1, made.ExitCode)
	assert.Contains(t, made.Stderr, `Error from server (VolumeTaken)`)
	assert.Contains(t, made.Stderr, `admission webhook "pods.jupyter-user.io" denied the request: there are 3 problems:`)
	assert.Contains(t, made.Stderr, "\n- spec.volumes[0]: the volume name hpc-shared-volume belongs to the share")
	assert.Contains(t, made.Stderr, "\n- spec.volumes[1]: the claim hpc-shared-pvc is the share")
	assert.Contains(t, made.Stderr, "\n- spec.containers[0].volumeMounts[0]: the volume hpc-shared-volume is mounted at /home")
	assert.Equal(t, []string{"VolumeTaken", "ShareAgain", "MountForeign"}, c.decisions(t, "denied")[0].Reasons)
}

func down(t *testing.T, c *cluster) {
	c.namespace(t, "down", "baseline")
	c.stop()
	denied := c.kubectl(t, "run", "nb", "-n", "down", "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user=alice")
	assert.Equal(t, 1, denied.ExitCode, "a labelled Pod is denied while no webhook serves")
	assert.Contains(t, denied.Stderr, "failed calling webhook")
	other := c.kubectl(t, "run", "other", "-n", "down", "--image=quay.io/jupyter/minimal-notebook")
	assert.Zero(t, other.ExitCode, "a Pod that is no notebook is admitted: %s", other.Stderr)
	c.serve(t)
	c.run(t, "down", "nb", "--labels=jupyter-user=alice")
}
