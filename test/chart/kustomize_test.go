package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// kustomized are the documents that kubectl makes of a folder, by kind and name.
func (l *life) kustomized(t *testing.T, folder string) map[string]string {
	t.Helper()
	built, err := l.Admin.Kubectl(t.Context(), "kustomize", folder)
	require.NoError(t, err)
	require.Zero(t, built.ExitCode, built.Stderr)
	found := map[string]string{}
	for document := range strings.SplitSeq(built.Stdout, "\n---\n") {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object))
		found[object.Kind+" "+object.Metadata.Name] = document
	}
	return found
}

// kustomize: what is shipped is a resource as it is, and the example changes the image wherever it has to.
func (l *life) kustomize(t *testing.T) {
	t.Helper()
	example, err := os.ReadFile("../../deploy/examples/kustomization.yaml")
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), example, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "install.yaml"), []byte(deploy.Install()), 0o600))
	overlay := l.kustomized(t, folder)
	assert.Len(t, overlay, strings.Count("\n"+string(deploy.Install()), "\n---\n"), "nothing is lost")
	var configured corev1.ConfigMap
	var parameters rbacv1.Role
	var deployment appsv1.Deployment
	require.NoError(t, yaml.UnmarshalStrict([]byte(overlay["ConfigMap jupyter-user-webhook"]), &configured))
	require.NoError(t, yaml.UnmarshalStrict([]byte(overlay["Role jupyter-user-policy"]), &parameters))
	require.NoError(t, yaml.UnmarshalStrict([]byte(overlay["Deployment jupyter-user-webhook"]), &deployment))
	c, err := config.Parse([]byte(configured.Data["config.yaml"]))
	require.NoError(t, err)
	assert.Contains(t, c.Init.Image, "registry.example.com/mirror/jupyter-user-webhook@sha256:")
	assert.Equal(t, c.Init.Image, deployment.Spec.Template.Spec.Containers[0].Image)
	for key, value := range c.PolicyParameters() {
		assert.Equal(t, value, parameters.Annotations[key], key)
	}
}
