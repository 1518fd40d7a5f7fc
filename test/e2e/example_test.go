package e2e

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// TestExamplePod creates the Pod of the golden file case-seed-labelled.yaml, which is denied, and then changes only what
// the denial names. The changed Pod is created and removed twice. The second time, it must start in a home with the files
// of the first time.
func TestExamplePod(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../golden/testdata/case-seed-labelled.yaml")
	require.NoError(t, err)
	var example corev1.Pod
	require.NoError(t, yaml.UnmarshalStrict(text, &example))
	// The node of these tests has another image, fewer CPUs and another namespace than the cluster of the example.
	example.Namespace = atStart.namespace
	example.Spec.ImagePullSecrets = nil
	notebook := &example.Spec.Containers[0]
	notebook.Image, notebook.Resources = images.DockerStacks, corev1.ResourceRequirements{}
	written := func() string {
		text, err := yaml.Marshal(&example)
		require.NoError(t, err)
		return string(text)
	}

	assertDenied(t, tryCreate(t, atStart, written()), "remove this init container, and from the container jupyterlab its command and args and its "+
		"mounts of hpc-shared-volume and uid-gid-config; the volumes may stay")
	example.Spec.InitContainers = nil
	notebook.Command, notebook.Args = nil, nil
	notebook.VolumeMounts = slices.DeleteFunc(notebook.VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.Name == "hpc-shared-volume" || m.Name == "uid-gid-config"
	})
	for range 2 {
		p := create(t, atStart, example.Name, written())
		p.ready(t)
		assertOwned(t, p, homeOf("qiang.guo03"))
		assert.Equal(t, "/home/qiang.guo03\n", p.exec(t, "sh", "-c", "echo $HOME").Stdout)
		require.NoError(t, p.remove(t.Context()))
	}
}
