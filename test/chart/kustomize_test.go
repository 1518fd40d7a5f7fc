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
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// kustomizeBuild returns the documents that kubectl kustomize prints for a folder, by kind and name.
func (l *lifecycle) kustomizeBuild(t *testing.T, folder string) map[string]string {
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

// testKustomization tests the example kustomization, whose resource is the rendered chart. The kustomization adds fields
// for which the chart has no value.
func (l *lifecycle) testKustomization(t *testing.T) {
	t.Helper()
	example, err := os.ReadFile("../../deploy/examples/kustomization.yaml")
	require.NoError(t, err)
	const mirror = "registry.example.com/mirror/jupyter-user-webhook"
	rendered, err := l.helm.Template(t.Context(), "{createNamespace: true, image: {repository: "+mirror+", digest: 'sha256:"+digest+"'}}")
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "kustomization.yaml"), example, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "install.yaml"), []byte(rendered), 0o600))
	overlay := l.kustomizeBuild(t, folder)
	assert.Len(t, overlay, strings.Count("\n"+string(rendered), "\n---\n"), "no object is lost")
	var configured corev1.ConfigMap
	var deployment appsv1.Deployment
	require.NoError(t, yaml.UnmarshalStrict([]byte(overlay["ConfigMap jupyter-user-webhook"]), &configured))
	require.NoError(t, yaml.UnmarshalStrict([]byte(overlay["Deployment jupyter-user-webhook"]), &deployment))
	c, err := config.Parse([]byte(configured.Data["config.yaml"]))
	require.NoError(t, err)
	assert.Equal(t, mirror+"@sha256:"+digest, c.Init.Image)
	assert.Equal(t, c.Init.Image, deployment.Spec.Template.Spec.Containers[0].Image)
	assert.Contains(t, overlay["ValidatingAdmissionPolicy net.jupyter-user.io"], `"`+c.Init.Image+`"`)
	assert.Equal(t, "hardened", *deployment.Spec.Template.Spec.RuntimeClassName)
	assert.Equal(t, "hpc", deployment.Labels["example.com/team"])
}
