package handlers

import (
	"context"
	"encoding/json"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// usual is a handler that makes the same changes as the webhook to the Pods of package pods. It is written like the example
// of controller-runtime, knows only these Pods and checks nothing. It shows the cost of a review in a webhook that is
// written like most webhooks.
type usual struct{}

// Handle changes the Pod. controller-runtime computes the patch.
func (usual) Handle(_ context.Context, req admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := decoder.Decode(req, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if user, ok := pod.Labels["jupyter-user"]; ok {
		change(pod, user)
	}
	changed, err := json.Marshal(pod)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.PatchResponseFromRaw(req.Object.Raw, changed)
}

var decoder = func() admission.Decoder {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		panic(err)
	}
	return admission.NewDecoder(scheme)
}()

var generation = config.Default().Generation()

func change(pod *corev1.Pod, user string) {
	for key, value := range map[string]string{"user": user, "discovery": "AtAdmission", "identity": "5001:6001", "config": generation,
		"container": "notebook"} {
		pod.Annotations["jupyter-user.io/"+key] = value
	}
	limit := resource.MustParse("16Mi")
	pod.Spec.Volumes = append(pod.Spec.Volumes,
		corev1.Volume{Name: "hpc-shared-volume", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "hpc-shared-pvc"}}},
		corev1.Volume{Name: "uid-gid-config", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}}})
	pod.Spec.SecurityContext.SupplementalGroupsPolicy = new(corev1.SupplementalGroupsPolicyStrict)
	pod.Spec.InitContainers = []corev1.Container{initContainer(user)}

	c := &pod.Spec.Containers[0]
	home := "/home/" + user
	c.VolumeMounts = append(c.VolumeMounts,
		corev1.VolumeMount{Name: "hpc-shared-volume", MountPath: "/data/hpc" + home, SubPath: home[1:]},
		corev1.VolumeMount{Name: "hpc-shared-volume", MountPath: home, SubPath: home[1:]},
		corev1.VolumeMount{Name: "uid-gid-config", ReadOnly: true, MountPath: "/config"},
		corev1.VolumeMount{Name: "uid-gid-config", ReadOnly: true, MountPath: "/etc/passwd", SubPath: "passwd"},
		corev1.VolumeMount{Name: "uid-gid-config", ReadOnly: true, MountPath: "/etc/group", SubPath: "group"})
	c.SecurityContext = security()
	c.WorkingDir = home
	for _, v := range [][2]string{{"NB_USER", user}, {"NB_UID", "5001"}, {"NB_GID", "6001"}, {"HOME", home}, {"USER", user},
		{"LOGNAME", user}, {"JUPYTER_ENABLE_LAB", "yes"}, {"XDG_CACHE_HOME", home + "/.cache"}, {"JUPYTER_RUNTIME_DIR", "/tmp/jupyter-runtime"},
		{"JUPYTER_CONFIG_PATH", "/config"}} {
		c.Env = append(c.Env, corev1.EnvVar{Name: v[0], Value: v[1]})
	}
	c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = probe(user, 5, 120), probe(user, 5, 3), probe(user, 10, 12)
}

func initContainer(user string) corev1.Container {
	c := corev1.Container{
		Name: "jupyter-user-init", Image: "jupyter-user-webhook:v0.2.0", ImagePullPolicy: corev1.PullIfNotPresent,
		Command: []string{"/jupyter-user-init"},
		Args: []string{"discover", "--user=" + user, "--homes=/data/hpc/home", "--scratch=/config", "--home=/home/" + user, "--min-uid=1000",
			"--min-gid=1000", `--jupyter-config={"FileContentsManager":{"delete_to_trash":false},"NotebookNotary":{"db_file":":memory:"}}`, "--uid=5001", "--gid=6001"},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("10m"), "memory": resource.MustParse("16Mi")},
			Limits:   corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("32Mi")},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "hpc-shared-volume", ReadOnly: true, MountPath: "/data/hpc/home", SubPath: "home"},
			{Name: "uid-gid-config", MountPath: "/config"},
			{Name: "uid-gid-config", ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"},
		},
		TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		SecurityContext: security(),
	}
	c.SecurityContext.ReadOnlyRootFilesystem = new(true)
	return c
}

func security() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		RunAsUser: new(int64(5001)), RunAsGroup: new(int64(6001)), RunAsNonRoot: new(true), AllowPrivilegeEscalation: new(false),
		Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func probe(user string, seconds, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/user/" + user + "/api", Port: intstr.FromInt32(8888), Scheme: corev1.URISchemeHTTP}},
		PeriodSeconds: seconds, TimeoutSeconds: seconds, FailureThreshold: failures, SuccessThreshold: 1,
	}
}
