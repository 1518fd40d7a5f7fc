package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// exampleHead is the comment at the top of deploy/examples/homes.yaml.
const exampleHead = `# First homes without Helm: a CronJob that creates missing homes for users of the directory service. The chart renders this file for
# homes.enabled=true, for a site with LDAP. deploy/docs/homes.md says what to change. The namespace must exist, enforce Pod Security
# baseline, and have the claim of the share.
#
`

// TestHomesExample tests that deploy/examples/homes.yaml is what the chart renders for the values firstHomes.
// UPDATE_GOLDEN=1 writes the example.
func TestHomesExample(t *testing.T) {
	t.Parallel()
	rendered, err := newHelm(t).Template(t.Context(), firstHomes)
	require.NoError(t, err)
	want := exampleHead + strings.TrimPrefix(read(t, rendered, "72-homes.yaml"), "---\n")
	chart, err := helm.Chart()
	require.NoError(t, err)
	example := filepath.Join(chart, "..", "examples", "homes.yaml")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(example, []byte(want), 0o644))
	}
	text, err := os.ReadFile(example)
	require.NoError(t, err)
	assert.Empty(t, udiff.Unified("deploy/examples/homes.yaml", "rendered", string(text), want), "UPDATE_GOLDEN=1 writes it again")
}

// TestHomesCronJob tests that the CronJob that makes missing homes has the webhook's configuration, a volume of the share,
// no token, and only the capabilities CHOWN and DAC_OVERRIDE.
func TestHomesCronJob(t *testing.T) {
	t.Parallel()
	rendered, err := newHelm(t).Template(t.Context(), matrix["first homes of passwd, with many settings"])
	require.NoError(t, err)
	var job batchv1.CronJob
	require.NoError(t, yaml.UnmarshalStrict([]byte(document(t, rendered, "kind: CronJob")), &job))
	assert.Equal(t, batchv1.ForbidConcurrent, job.Spec.ConcurrencyPolicy)
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	assert.Equal(t, "jupyter-user-homes", pod.ServiceAccountName)
	assert.False(t, *pod.AutomountServiceAccountToken)
	assert.Equal(t, []string{"homes", "--config=/etc/jupyter-user/config.yaml", "--share=/share", "--mode=0750", "--passwd=/people/passwd",
		"--skeleton=/skeleton", "--dry-run"}, pod.Containers[0].Args)
	assert.Equal(t, &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{"CHOWN", "DAC_OVERRIDE"}},
		pod.Containers[0].SecurityContext.Capabilities)

	var files, configured corev1.ConfigMap
	require.NoError(t, yaml.UnmarshalStrict([]byte(document(t, rendered, "kind: ConfigMap")), &files))
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, rendered, "20-configmap.yaml")), &configured))
	assert.Equal(t, strings.TrimSpace(configured.Data["config.yaml"]), strings.TrimSpace(files.Data["config.yaml"]))
	_, err = config.Parse([]byte(files.Data["config.yaml"]))
	require.NoError(t, err)

	share := read(t, rendered, "21-share.yaml")
	assert.Contains(t, share, "  name: hpc-pv-jupyter-user-homes\n")
	assert.Contains(t, share, "  name: hpc-pv-lab\n")
}

// TestHomesCronJobClaims tests that the CronJob mounts, besides the claim of the share, only claims that have a directory
// for each user.
func TestHomesCronJobClaims(t *testing.T) {
	t.Parallel()
	rendered, err := newHelm(t).Template(t.Context(), `{identity: {passwdConfigMap: people}, homes: {enabled: true}, share: {directories: [
		{subPath: 'scratch/{user}', mountPath: /scratch, access: ReadWrite},
		{claimName: hpc-data, mountPath: /datasets, access: ReadOnly},
		{claimName: config, subPath: 'users/{user}', mountPath: /work, access: ReadWrite}]}}`)
	require.NoError(t, err)
	var job batchv1.CronJob
	require.NoError(t, yaml.UnmarshalStrict([]byte(document(t, rendered, "kind: CronJob")), &job))
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	assert.Equal(t, []string{"homes", "--config=/etc/jupyter-user/config.yaml", "--share=/share", "--claim=config=/claims/config", "--mode=0700",
		"--passwd=/people/passwd"}, pod.Containers[0].Args)
	assert.Contains(t, pod.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "claim-0", MountPath: "/claims/config"})
	assert.Contains(t, pod.Volumes, corev1.Volume{Name: "claim-0", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "config"}}})
	assert.Len(t, pod.Volumes, 4, "the configuration, the share, that claim and the list of users")
}

// document returns the first YAML document with the given line in 72-homes.yaml, the chart's template with the CronJob.
func document(t *testing.T, rendered deploy.Rendered, line string) string {
	t.Helper()
	for text := range strings.SplitSeq(read(t, rendered, "72-homes.yaml"), "\n---\n") {
		if strings.Contains("\n"+text, "\n"+line+"\n") {
			return text
		}
	}
	require.Fail(t, "nothing has "+line)
	return ""
}

// TestNotesOfFirstHomes tests that with homes.enabled, the notes of the chart have the command that starts the CronJob
// immediately. Without homes.enabled but with a source of identities, the notes must name the value homes.enabled.
func TestNotesOfFirstHomes(t *testing.T) {
	t.Parallel()
	h := newHelm(t)
	chart, err := helm.Chart()
	require.NoError(t, err)
	notes := func(values string) string {
		output, err := h.Run(t.Context(), values, "install", helm.Release, chart, "--dry-run=client", "--namespace", helm.Namespace, "--values", "-")
		require.NoError(t, err)
		_, output, _ = strings.Cut(output, "\nNOTES:\n")
		return output
	}
	assert.Contains(t, notes(firstHomes), "kubectl -n jupyter-user-homes create job --from=cronjob/jupyter-user-homes first-homes\n")
	assert.NotContains(t, notes(firstHomes), "homes.nodeSelector is empty")
	assert.Contains(t, notes("{identity: {passwdConfigMap: people}, homes: {enabled: true}}"), "homes.nodeSelector is empty: the CronJob runs on any node")
	assert.Contains(t, notes("{identity: {passwdConfigMap: people}}"), "homes.enabled=true makes missing homes: deploy/docs/homes.md")
	assert.NotContains(t, notes(""), "missing homes")
}

// TestNotesOfDirectories tests that the notes name the directories that notebooks see in addition to the home, and the claims
// that an admin must create.
func TestNotesOfDirectories(t *testing.T) {
	t.Parallel()
	h := newHelm(t)
	chart, err := helm.Chart()
	require.NoError(t, err)
	output, err := h.Run(t.Context(), matrix["a directory for each user"], "install", helm.Release, chart, "--dry-run=client", "--namespace", helm.Namespace,
		"--values", "-")
	require.NoError(t, err)
	assert.Contains(t, output, "   /scratch/{user}: scratch/{user} of the claim hpc-shared-pvc (ReadWrite)\n")
	assert.Contains(t, output, "   /archive: users/{initial}/{user} of the claim archive (ReadOnly)\n")
	assert.Contains(t, output, "Each namespace with notebooks must have the claim archive too, which the chart does not make: ")
}
