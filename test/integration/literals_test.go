package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// odd is a value with characters that are special in YAML, CEL and templates. odder also has spaces and several kinds of
// line breaks, which only some values may have.
const (
	odd   = `'"\$x\n%{{.}}#:é☃🪐`
	odder = odd + " \n  \r\n\t\u0085\u2028 - ''' >-\n---\n"
)

// TestValuesAreLiterals renders the policies from the values odd and odder. For several chart values, it tests that the
// policies compare a request with exactly the text of the value.
func TestValuesAreLiterals(t *testing.T) {
	t.Parallel()
	values := map[string]any{
		"access": map[string]any{"controllers": []string{odd},
			"ownHomes": map[string]any{"enabled": true, "prefix": odd, "suffix": odd}},
		"share": map[string]any{"otherNFSServers": []string{odd}, "csiDrivers": []string{odd}, "hostPaths": []string{"/" + odd},
			"volumeNames": []string{"odd-*"}},
		"image": map[string]any{"accepted": []string{odd}},
		"config": map[string]any{
			"user": map[string]any{"hubComponents": []string{odder, "singleuser-server"}},
			"share": map[string]any{"claimName": odder, "volumeName": odder, "mountPath": "/" + odder, "home": odder + "/{user}",
				"directories": []any{map[string]any{"subPath": odder, "mountPath": "/" + odder, "access": "ReadOnly"}}},
			"scratch": map[string]any{"volumeName": odder, "mountPath": "/s" + odder},
			"init":    map[string]any{"acceptedImages": []string{"i" + odd}},
		},
	}
	g := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, jsonOf(t, values))})

	assert.NoError(t, create(t.Context(), g.bob, "open", podWithNFS(odd)), "another server than the share's is admitted")
	assertDenied(t, create(t.Context(), g.bob, "open", podWithNFS(odd+"x")), "share/ShareRoad")
	assertDenied(t, byBobInOpen(hostPath("/"+odd+"/home"))(t, g), "share/ShareRoad")
	assert.NoError(t, byBobInOpen(hostPath("/other"))(t, g))
	g.allow(t, "lab", odd, withPods, mayUse())
	assertDenied(t, create(t.Context(), g.impersonate(t, odd), "lab", bareNotebook(t, "alice", "")), noAccess)
	g.allow(t, "lab", odd+"alice"+odd, withPods)
	assert.NoError(t, create(t.Context(), g.impersonate(t, odd+"alice"+odd), "lab", bareNotebook(t, "alice", "")))
	assertDenied(t, create(t.Context(), g.impersonate(t, odd+"alice"+odd), "lab", bareNotebook(t, "bob", "")), noAccess)
	for image, taken := range map[string]bool{odd: true, "i" + odd: true, odd + "x": false} {
		err := create(t.Context(), g.carol, "lab", bareNotebook(t, "alice", image))
		if taken {
			assert.NoError(t, err)
		} else {
			assertDenied(t, err, "net/InitForeign")
		}
	}
}

// jsonOf returns values as JSON that is also YAML. It escapes U+0085, which YAML reads as a line break.
func jsonOf(t *testing.T, values map[string]any) string {
	t.Helper()
	text, err := json.Marshal(values)
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "\u0085", `\u0085`)
}

func podWithNFS(server string) *corev1.Pod {
	pod := plainPod()
	pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: server, Path: "/"}}}}
	return pod
}

// bareNotebook returns a notebook without mounts and volumes. It has an init container only if image is not empty.
func bareNotebook(t *testing.T, user, image string) *corev1.Pod {
	t.Helper()
	pod := injected(t, user)
	first := pod.Spec.InitContainers[0]
	removeMounts(pod)
	if image != "" {
		first.Image, first.VolumeMounts = image, nil
		pod.Spec.InitContainers = []corev1.Container{first}
	}
	pod.Spec.Volumes = nil
	return pod
}

// impersonate returns a client that impersonates a user, for names that cannot be in a certificate.
func (g *guarded) impersonate(t *testing.T, name string) kubernetes.Interface {
	t.Helper()
	impersonating := rest.CopyConfig(g.Admin.Config)
	impersonating.Impersonate = rest.ImpersonationConfig{UserName: name}
	client, err := kubernetes.NewForConfig(impersonating)
	require.NoError(t, err)
	return client
}

// TestHomePatternIsLiteral tests that the policy net.jupyter-user.io compares share.home and the subPath of a directory
// as literal texts.
func TestHomePatternIsLiteral(t *testing.T) {
	t.Parallel()
	values := map[string]any{"config": map[string]any{"share": map[string]any{"home": odder + "/{user}",
		"directories": []any{map[string]any{"subPath": "a" + odder, "mountPath": "/a", "access": "ReadOnly"}}}}}
	g := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, jsonOf(t, values))})
	for subPath, taken := range map[string]bool{odder + "/alice": true, "a" + odder: true, odder: false, "home/alice": false, odd + "/alice": false} {
		pod := bareNotebook(t, "alice", "")
		pod.Spec.Volumes = []corev1.Volume{claimVolume("v")}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v", SubPath: subPath}}
		_, err := g.carol.CoreV1().Pods("lab").Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if taken {
			assert.NoError(t, err, subPath)
		} else {
			assertDenied(t, err, "net/MountForeign")
		}
	}
}
