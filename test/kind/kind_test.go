package kind

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// TestUp runs the script twice against a real API server, with the real kubectl and helm. Shell scripts that record their
// arguments take the place of docker and kind. No controller and no kubelet run the Deployment here, so kubectl rollout is
// only recorded.
func TestUp(t *testing.T) {
	plane, err := controlplane.Start(t.Context(), controlplane.Options{Progress: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, plane.Stop()) })
	helm, err := tools.Build(t.Context(), os.Stderr, tools.Helm)
	require.NoError(t, err)

	programs := t.TempDir()
	record := filepath.Join(t.TempDir(), "asked")
	kubectl := plane.Admin.Command(t.Context())
	for name, script := range map[string]string{
		"docker":  `echo "docker $1 $2" >>` + record,
		"kind":    `echo "kind $1 $2" >>` + record + `; if [ "$2" = clusters ] && grep -q "kind create" ` + record + `; then echo jupyter-user; fi`,
		"kubectl": `case " $* " in *" rollout "*) echo "$@" >>` + record + `;; *) exec ` + kubectl.Path + ` "$@";; esac`,
		"helm":    `exec ` + helm[tools.Helm] + ` "$@"`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
	up := func() (string, error) {
		command := exec.CommandContext(t.Context(), "./up")
		command.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "KUBECONFIG="+contextOfKind(t, plane), "HOME="+t.TempDir())
		output, err := command.CombinedOutput()
		return string(output), err
	}

	output, err := up()
	require.NoError(t, err, output)
	assert.Contains(t, output, "kubectl run nb -n notebooks --image=quay.io/jupyter/minimal-notebook --labels=jupyter-user=qiang.guo03")
	output, err = up()
	require.NoError(t, err, "the second run: %s", output)

	noted, err := os.ReadFile(record)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(noted), "kind create cluster"), "the second run uses the cluster of the first")
	for _, want := range []string{"docker info", "docker build --tag", "kind load docker-image", "docker exec jupyter-user-control-plane",
		"rollout status deployment/jupyter-user-webhook"} {
		assert.Contains(t, string(noted), want)
	}
	client, err := kubernetes.NewForConfig(plane.Admin.Config)
	require.NoError(t, err)
	deployment, err := client.AppsV1().Deployments("jupyter-user-system").Get(t.Context(), "jupyter-user-webhook", metav1.GetOptions{})
	require.NoError(t, err)
	container := deployment.Spec.Template.Spec.Containers[0]
	assert.Equal(t, "docker.io/library/jupyter-user-webhook:kind", container.Image)
	assert.EqualValues(t, "Never", container.ImagePullPolicy)
	claim, err := client.CoreV1().PersistentVolumeClaims("notebooks").Get(t.Context(), "hpc-shared-pvc", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "hpc-pv-notebooks", claim.Spec.VolumeName)
	space, err := client.CoreV1().Namespaces().Get(t.Context(), "notebooks", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "baseline", space.Labels["pod-security.kubernetes.io/enforce"])
}

// contextOfKind returns the path of a kubeconfig like kind's: it has one context, named kind-jupyter-user. This context is
// not the current one, so that a command without --context fails.
func contextOfKind(t *testing.T, plane *controlplane.ControlPlane) string {
	t.Helper()
	text, err := os.ReadFile(plane.Admin.Kubeconfig)
	require.NoError(t, err)
	given, err := clientcmd.Load(text)
	require.NoError(t, err)
	given.Contexts = map[string]*api.Context{"kind-jupyter-user": given.Contexts[given.CurrentContext]}
	given.CurrentContext = ""
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*given, path))
	return path
}

// TestUpWithoutProgram tests that the script names the program that is missing.
func TestUpWithoutProgram(t *testing.T) {
	for _, missing := range []string{"docker", "kind", "kubectl", "helm"} {
		t.Run(missing, func(t *testing.T) {
			programs := t.TempDir()
			for _, name := range []string{"docker", "kind", "kubectl", "helm"} {
				if name != missing {
					require.NoError(t, os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"), 0o755))
				}
			}
			command := exec.CommandContext(t.Context(), "/bin/bash", "./up")
			command.Env = []string{"PATH=" + programs}
			output, err := command.CombinedOutput()
			require.Error(t, err)
			assert.Contains(t, string(output), "make kind needs "+missing+", which is not in PATH")
		})
	}
}
