package integration

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// TestWebhookSortsBeforeMeshes tests that the name of our MutatingWebhookConfiguration sorts before the default names of
// the MutatingWebhookConfigurations of meshes, injectors and policy engines. API servers call webhooks in the order of
// these names.
func TestWebhookSortsBeforeMeshes(t *testing.T) {
	shipped := &admissionv1.MutatingWebhookConfiguration{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(manifests(t, "50-mutatingwebhookconfiguration.yaml")[0]), shipped))
	for _, other := range []string{"istio-sidecar-injector", "istio-revision-tag-default", "linkerd-proxy-injector-webhook-config",
		"vault-agent-injector-cfg", "consul-connect-injector", "dapr-sidecar-injector", "kuma-admission-mutating-webhook-configuration",
		"kyverno-resource-mutating-webhook-cfg", "gatekeeper-mutating-webhook-configuration", "aws-appmesh-inject", "osm-webhook-osm",
		"azure-wi-webhook-mutating-webhook-configuration", "pod-identity-webhook"} {
		assert.Less(t, shipped.Name, other)
	}
}

// TestMeshesAndPolicyEngines tests that the webhook of a mesh can rewrite the probes that our webhook has added. Fields
// that a policy engine adds after our webhook are kept, unless they are ours.
func TestMeshesAndPolicyEngines(t *testing.T) {
	t.Parallel()
	e := startEnforced(t, controlplane.Options{Webhooks: []string{"testdata/mesh-webhook.yaml"}})
	e.createEnforcing(t, "mesh", podSecurityLabels("enforce=baseline"))
	withEachDiscovery(t, func(t *testing.T, user string) {
		t.Run("istio", func(t *testing.T) { rewrittenByIstio(t, e, user) })
		t.Run("istio before ours", func(t *testing.T) { overlookedByIstio(t, e, user) })
		for _, label := range []string{"engine", "engine-once"} {
			t.Run(label, func(t *testing.T) { changedByPolicyEngine(t, e, user, label) })
		}
	})
}

// inMesh adds the label that selects a webhook of the mesh: with "true" a webhook that the API server calls after ours,
// and with "before" one that it calls only before ours.
func inMesh(when string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Labels["sidecar.istio.io/inject"] = when }
}

// rewrittenByIstio tests a Pod that Istio's injector changes after our webhook. The injector redirects our HTTP probes to
// Istio's agent, which the kubelet reaches without mTLS. The agent knows the original probes, and sends them to Jupyter.
func rewrittenByIstio(t *testing.T, e *enforced, user string) {
	pod := e.assertAdmitted(t, e.createDry(t, "mesh", labelledPod(user, inMesh("true"))))
	assertOurs(t, pod, user)
	nb, proxy := containerNamed(t, pod, "nb"), containerNamed(t, pod, "istio-proxy")
	probes := map[string]corev1.Probe{}
	require.NoError(t, json.Unmarshal([]byte(proxy.Env[0].Value), &probes))
	for path, probe := range map[string]*corev1.Probe{"/app-health/nb/startupz": nb.StartupProbe,
		"/app-health/nb/readyz": nb.ReadinessProbe, "/app-health/nb/livez": nb.LivenessProbe} {
		assert.Equal(t, &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(15020), Scheme: "HTTP"}, probe.HTTPGet)
		require.Contains(t, probes, path)
		assert.Equal(t, "/api", probes[path].HTTPGet.Path)
		assert.Equal(t, "8888", probes[path].HTTPGet.Port.String())
	}
	assert.Equal(t, int64(1337), *proxy.SecurityContext.RunAsUser)
	assert.Len(t, proxy.VolumeMounts, 1, "its token, and nothing of a home")
}

// overlookedByIstio tests a known limit: if the API server calls the webhook of a mesh only before our webhook, the mesh
// does not see our probes.
func overlookedByIstio(t *testing.T, e *enforced, user string) {
	pod := e.assertAdmitted(t, e.createDry(t, "mesh", labelledPod(user, inMesh("before"))))
	assertOurs(t, pod, user)
	assert.Equal(t, "{}", containerNamed(t, pod, "istio-proxy").Env[0].Value)
	assert.Equal(t, "/api", containerNamed(t, pod, "nb").ReadinessProbe.HTTPGet.Path)
}

// changedByPolicyEngine tests fields that a policy engine sets after our webhook. The notebook still runs as the user, or
// the verifier denies the Pod.
func changedByPolicyEngine(t *testing.T, e *enforced, user, label string) {
	pod := e.assertAdmittedWithWarnings(t, e.createDry(t, "mesh", labelledPod(user, mutated(label, "defaults"))))
	assertOurs(t, pod, user)
	assert.Equal(t, "research", pod.Labels["team"])
	assert.Equal(t, "true", pod.Annotations["engine.example.com/mutated"])
	log := containerNamed(t, pod, "log-shipper")
	assert.Len(t, log.VolumeMounts, 1, "its token, and nothing of a home")
	assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.Spec.SecurityContext.SeccompProfile.Type)
	assert.False(t, *containerNamed(t, pod, "nb").SecurityContext.AllowPrivilegeEscalation)

	for change, field := range map[string]string{"user": "spec.containers[0].securityContext.runAsUser", "fs-group": "spec.securityContext.fsGroup"} {
		o := e.createDry(t, "mesh", labelledPod(user, mutated(label, change)))
		if label == "engine" {
			assert.Equal(t, "Drifted", reason(o.err), "the engine is called again after ours, and the verifier denies its change")
			assertDeniedWith(t, o, field+": this is not what the webhook wrote")
			continue
		}
		pod := e.assertAdmittedWithWarnings(t, o)
		assertOurs(t, pod, user)
		assert.Nil(t, pod.Spec.SecurityContext.FSGroup, "the kubelet would give the group to every process")
	}
}

// serveOthers serves two webhooks, which change Pods like Istio's injector and like a policy engine.
func serveOthers(mux *http.ServeMux) {
	mux.Handle("/istio", mutatingHandler(injectIstio))
	mux.Handle("/engine", mutatingHandler(func(pod *corev1.Pod) {
		enforceDefaults(pod, cmp.Or(pod.Labels["engine"], pod.Labels["engine-once"]))
	}))
}

// injectIstio changes a Pod like Istio's injector with the CNI plugin of Istio: Istio's containers come first, and each
// HTTP probe of the other containers is redirected to Istio's agent, which knows the original probe.
func injectIstio(pod *corev1.Pod) {
	probers := map[string]*corev1.Probe{}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		for suffix, probe := range map[string]*corev1.Probe{"startupz": c.StartupProbe, "readyz": c.ReadinessProbe, "livez": c.LivenessProbe} {
			if probe == nil || probe.HTTPGet == nil {
				continue
			}
			path := "/app-health/" + c.Name + "/" + suffix
			probers[path] = probe.DeepCopy()
			probe.HTTPGet = &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(15020), Scheme: "HTTP"}
		}
	}
	probes, err := json.Marshal(probers)
	if err != nil {
		panic(err)
	}
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "kubectl.kubernetes.io/default-container", pod.Spec.Containers[0].Name)
	own := func(name string) corev1.Container {
		return corev1.Container{Name: name, Image: "docker.io/istio/proxyv2:1.24.2", SecurityContext: &corev1.SecurityContext{
			RunAsUser: new(int64(1337)), RunAsGroup: new(int64(1337)), RunAsNonRoot: new(true), AllowPrivilegeEscalation: new(false),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}}
	}
	proxy := own("istio-proxy")
	proxy.Env = []corev1.EnvVar{{Name: "ISTIO_KUBE_APP_PROBERS", Value: string(probes)}}
	pod.Spec.Containers = append([]corev1.Container{proxy}, pod.Spec.Containers...)
	pod.Spec.InitContainers = append([]corev1.Container{own("istio-validation")}, pod.Spec.InitContainers...)
}

// enforceDefaults changes a Pod like Kyverno and Gatekeeper: it adds a label, an annotation and a container, and sets
// fields that are not set. For the change "fs-group" it also sets an fsGroup, and for "user" a UID for every container.
func enforceDefaults(pod *corev1.Pod, change string) {
	metav1.SetMetaDataLabel(&pod.ObjectMeta, "team", "research")
	metav1.SetMetaDataAnnotation(&pod.ObjectMeta, "engine.example.com/mutated", "true")
	if !slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == "log-shipper" }) {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "log-shipper", Image: "fluent-bit"})
	}
	if pod.Spec.SecurityContext == nil {
		pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	context := pod.Spec.SecurityContext
	context.SeccompProfile = cmp.Or(context.SeccompProfile, &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault})
	context.RunAsNonRoot = cmp.Or(context.RunAsNonRoot, new(true))
	context.RunAsUser = cmp.Or(context.RunAsUser, new(int64(1000)))
	context.RunAsGroup = cmp.Or(context.RunAsGroup, new(int64(3000)))
	if change == "fs-group" {
		context.FSGroup = cmp.Or(context.FSGroup, new(int64(2000)))
	}
	forEveryContainer(pod, func(c *corev1.Container) {
		if c.SecurityContext == nil {
			c.SecurityContext = &corev1.SecurityContext{}
		}
		c.SecurityContext.AllowPrivilegeEscalation = cmp.Or(c.SecurityContext.AllowPrivilegeEscalation, new(false))
		c.SecurityContext.Capabilities = cmp.Or(c.SecurityContext.Capabilities, &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}})
		if change == "user" {
			c.SecurityContext.RunAsUser = new(int64(1000))
		}
	})
}
