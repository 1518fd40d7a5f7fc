// Package pods makes the Pods of the benchmarks, as an API server sends them: with defaults, with the token volume of the
// ServiceAccount plugin, and with managed fields, which the webhook does not need but has to skip.
package pods

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Sizes returns the functions that make the Pods of the benchmarks, by the name of the Pod's size.
func Sizes() map[string]func(user string) *corev1.Pod {
	return map[string]func(string) *corev1.Pod{"6KB": Small, "60KB": Large, "1500env": ManyVariables}
}

// Small returns a user's notebook Pod of about 6 KB, like those that a JupyterHub creates.
func Small(user string) *corev1.Pod {
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "jupyter-" + user, Namespace: "jupyter", UID: "5ab4f705-6393-41e8-b7cc-42010a800002",
			Labels: map[string]string{
				"jupyter-user": user, "app": "jupyterhub", "component": "singleuser-server", "release": "hub",
				"hub.jupyter.org/network-access-hub": "true",
			},
			Annotations: map[string]string{"prometheus.io/scrape": "true", "team.example.com/cost-centre": "4711",
				"example.com/notes": strings.Repeat("A notebook for the course on inference of the winter term. ", 6)},
			ManagedFields: managedFields(notebook(user)),
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{notebook(user)}, RestartPolicy: corev1.RestartPolicyOnFailure, DNSPolicy: corev1.DNSClusterFirst,
			ServiceAccountName: "default", DeprecatedServiceAccount: "default", SecurityContext: &corev1.PodSecurityContext{},
			Affinity: hubAffinity(), SchedulerName: "default-scheduler", Priority: new(int32(0)), EnableServiceLinks: new(true),
			TerminationGracePeriodSeconds: new(int64(30)), PreemptionPolicy: new(corev1.PreemptLowerPriority),
			Tolerations: []corev1.Toleration{
				{Key: "hub.jupyter.org/dedicated", Operator: corev1.TolerationOpEqual, Value: "user", Effect: corev1.TaintEffectNoSchedule},
				{Key: "node.kubernetes.io/not-ready", Operator: corev1.TolerationOpExists, Effect: "NoExecute", TolerationSeconds: new(int64(300))},
				{Key: "node.kubernetes.io/unreachable", Operator: corev1.TolerationOpExists, Effect: "NoExecute", TolerationSeconds: new(int64(300))},
			},
			Volumes: []corev1.Volume{
				{Name: "datasets", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
					LocalObjectReference: corev1.LocalObjectReference{Name: "datasets"}, DefaultMode: new(int32(420))}}},
				tokenVolume(),
			},
		},
		Status: corev1.PodStatus{QOSClass: corev1.PodQOSBurstable},
	}
	return pod
}

func notebook(user string) corev1.Container {
	c := container("notebook", 0)
	c.Image = "quay.io/jupyter/scipy-notebook:2026-11-02"
	c.Args = []string{"start-singleuser.py"}
	c.Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{"cpu": resource.MustParse("500m"), "memory": resource.MustParse("1Gi")},
		Limits:   corev1.ResourceList{"memory": resource.MustParse("4Gi")},
	}
	for _, v := range [][2]string{
		{"JUPYTERHUB_ACTIVITY_URL", "http://hub:8081/hub/api/users/" + user + "/activity"}, {"JUPYTERHUB_ADMIN_ACCESS", "1"},
		{"JUPYTERHUB_API_TOKEN", "0123456789abcdef0123456789" + user}, {"JUPYTERHUB_API_URL", "http://hub:8081/hub/api"},
		{"JUPYTERHUB_BASE_URL", "/"}, {"JUPYTERHUB_CLIENT_ID", "jupyterhub-user-" + user}, {"JUPYTERHUB_HOST", ""},
		{"JUPYTERHUB_OAUTH_CALLBACK_URL", "/user/" + user + "/oauth_callback"},
		{"JUPYTERHUB_OAUTH_SCOPES", `["access:servers!server=` + user + `/", "access:servers!user=` + user + `"]`},
		{"JUPYTERHUB_SERVER_NAME", ""}, {"JUPYTERHUB_SERVICE_PREFIX", "/user/" + user + "/"},
		{"JUPYTERHUB_SERVICE_URL", "http://0.0.0.0:8888/user/" + user + "/"}, {"JUPYTERHUB_USER", user},
		{"JUPYTER_IMAGE", "quay.io/jupyter/scipy-notebook:2026-11-02"}, {"CPU_GUARANTEE", "0.5"}, {"MEM_GUARANTEE", "1073741824"},
		{"MEM_LIMIT", "4294967296"},
	} {
		c.Env = append(c.Env, corev1.EnvVar{Name: v[0], Value: v[1]})
	}
	c.Ports = []corev1.ContainerPort{{Name: "notebook-port", ContainerPort: 8888, Protocol: corev1.ProtocolTCP}}
	c.VolumeMounts = append([]corev1.VolumeMount{{Name: "datasets", MountPath: "/srv/datasets", ReadOnly: true}}, c.VolumeMounts...)
	return c
}

// hubAffinity returns the affinity with which hubs keep their users' Pods together.
func hubAffinity() *corev1.Affinity {
	return &corev1.Affinity{
		NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 100, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "hub.jupyter.org/node-purpose", Operator: corev1.NodeSelectorOpIn, Values: []string{"user"}}}}}}},
		PodAffinity: &corev1.PodAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
			Weight: 10, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "kubernetes.io/hostname",
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"component": "singleuser-server"}}}}}},
	}
}

// container returns a container with the API server's defaults and a number of environment variables.
func container(name string, variables int) corev1.Container {
	return corev1.Container{
		Name: name, Image: "registry.example.com/" + name + ":1.2.3", ImagePullPolicy: corev1.PullIfNotPresent, Env: env(variables),
		VolumeMounts:             []corev1.VolumeMount{{Name: "kube-api-access-x2x4z", ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}},
		TerminationMessagePath:   "/dev/termination-log",
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
}

func env(n int) (variables []corev1.EnvVar) {
	for i := range n {
		variables = append(variables, corev1.EnvVar{
			Name: "SOME_VARIABLE_" + strconv.Itoa(i), Value: "with a value that is about as long as they are, number " + strconv.Itoa(i)})
	}
	return variables
}

func tokenVolume() corev1.Volume {
	return corev1.Volume{Name: "kube-api-access-x2x4z", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(int32(420)), Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: new(int64(3607)), Path: "token"}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}}},
		}}}}
}

// managedFields returns managed fields that name each environment variable of a container.
func managedFields(c corev1.Container) []metav1.ManagedFieldsEntry {
	var variables strings.Builder
	for _, v := range c.Env {
		fmt.Fprintf(&variables, `,"k:{\"name\":\"%s\"}":{".":{},"f:name":{},"f:value":{}}`, v.Name)
	}
	fields := `{"f:metadata":{"f:annotations":{".":{},"f:prometheus.io/scrape":{}},"f:labels":{".":{},"f:app":{},"f:component":{},` +
		`"f:jupyter-user":{},"f:release":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"notebook\"}":{".":{},"f:args":{},"f:env":{".":{}` +
		variables.String() + `},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{".":{},"f:limits":{".":{},"f:memory":{}}},` +
		`"f:terminationMessagePath":{},"f:terminationMessagePolicy":{}}},"f:dnsPolicy":{},"f:restartPolicy":{},"f:schedulerName":{}}}`
	return []metav1.ManagedFieldsEntry{{Manager: "kubespawner", Operation: "Update", APIVersion: "v1", FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(fields)}}
}

// Large returns a notebook Pod with sidecars, of about 60 KB. It has kubectl's last-applied annotation, with the spec of
// Small as its value.
func Large(user string) *corev1.Pod {
	pod := WithContainers(user, 6, 12)
	for i := range pod.Spec.Containers[1:] {
		pod.Spec.Containers[1+i].Env = env(95)
	}
	applied, err := json.Marshal(Small(user).Spec)
	if err != nil {
		panic(err) // These Pods can always be encoded.
	}
	pod.Annotations[corev1.LastAppliedConfigAnnotation] = string(applied)
	return pod
}

// ManyVariables returns a notebook Pod whose container has 1,500 environment variables.
func ManyVariables(user string) *corev1.Pod {
	pod := Small(user)
	pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, env(1500-len(pod.Spec.Containers[0].Env))...)
	return pod
}

// WithContainers returns a notebook Pod with this number of containers, which includes the notebook container, and this
// number of volumes, but at least the two of Small. Each sidecar mounts one of the volumes at /data.
func WithContainers(user string, containers, volumes int) *corev1.Pod {
	pod := Small(user)
	for i := len(pod.Spec.Volumes); i < volumes; i++ {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: fmt.Sprintf("volume-%d", i),
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	for i := 1; i < containers; i++ {
		c := container(fmt.Sprintf("sidecar-%d", i), 4)
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{
			Name: pod.Spec.Volumes[i%len(pod.Spec.Volumes)].Name, MountPath: "/data"})
		pod.Spec.Containers = append(pod.Spec.Containers, c)
	}
	return pod
}

// Unlabelled removes the label jupyter-user from a Pod, so that the Pod is no notebook, and returns the Pod.
func Unlabelled(pod *corev1.Pod) *corev1.Pod {
	delete(pod.Labels, "jupyter-user")
	return pod
}

// Denied sets the user of a Pod to root, which the webhook always denies, and returns the Pod.
func Denied(pod *corev1.Pod) *corev1.Pod {
	pod.Labels["jupyter-user"] = "root"
	return pod
}

// JSON returns the Pod as JSON, for the field request.object of an AdmissionReview.
func JSON(pod *corev1.Pod) []byte {
	raw, err := json.Marshal(pod)
	if err != nil {
		panic(err) // These Pods can always be encoded.
	}
	return raw
}

// Review returns the AdmissionReview of the creation of a Pod, with the fields in the order of an API server.
func Review(pod []byte, user string) []byte {
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: types.UID("705ab4f5-6393-11e8-b7cc-42010a" + user), Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource:        metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			RequestKind:     &metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			RequestResource: &metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Name:            "jupyter-" + user, Namespace: "jupyter", Operation: admissionv1.Create,
			UserInfo: authenticationv1.UserInfo{Username: "system:serviceaccount:jupyter:hub", UID: "1e2f3a4b-0000-4000-8000-000000000000",
				Groups: []string{"system:serviceaccounts", "system:serviceaccounts:jupyter", "system:authenticated"}},
			Object: runtime.RawExtension{Raw: pod}, DryRun: new(false),
			Options: runtime.RawExtension{Raw: []byte(`{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1","fieldManager":"kubespawner"}`)},
		},
	})
	if err != nil {
		panic(err) // A review can always be encoded.
	}
	return body
}

// User returns the name of user i, for an i below a million. All names have the same length, so that the Pods of all users
// have the same size.
func User(i int) string { return strings.ReplaceAll(fmt.Sprintf("person%6d", i), " ", "0") }
