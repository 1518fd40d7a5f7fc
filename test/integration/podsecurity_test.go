package integration

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

const podSecurity = "pod-security.kubernetes.io/"

// podSecurityVersions lists versions to which a namespace can pin its level: none, the newest, the oldest one that the
// project supports, and an older one.
var podSecurityVersions = []string{"", "latest", "v1.33", "v1.25"}

// TestPodSecurity creates notebooks under each level of Pod Security.
func TestPodSecurity(t *testing.T) {
	t.Parallel()
	e := startEnforced(t, controlplane.Options{})
	levels := map[string]func(*testing.T, *enforced, string){
		"restricted": inRestricted, "baseline": inBaseline, "privileged": inPrivileged,
	}
	for level, test := range levels {
		for _, version := range podSecurityVersions {
			name := strings.Trim(level+"-"+strings.ReplaceAll(version, ".", "-"), "-")
			labels := map[string]string{podSecurity + "enforce": level}
			if version != "" {
				labels[podSecurity+"enforce-version"] = version
			}
			e.createEnforcing(t, name, labels)
			t.Run(strings.TrimSpace(level+" "+version), func(t *testing.T) { test(t, e, name) })
		}
	}
	e.createEnforcing(t, "warned", podSecurityLabels("enforce=baseline warn=restricted audit=restricted"))
	e.createEnforcing(t, "only-warned", podSecurityLabels("warn=restricted audit=restricted warn-version=latest"))
	t.Run("baseline with warnings of restricted", func(t *testing.T) { baselineWithWarnings(t, e) })
	t.Run("no level but warnings of restricted", func(t *testing.T) { noLevelWithWarnings(t, e) })
	t.Run("podSecurity off", func(t *testing.T) { podSecurityTurnedOff(t, e) })
}

func inRestricted(t *testing.T, e *enforced, namespace string) {
	pod := e.assertAdmitted(t, e.createDry(t, namespace, labelledPod("alice")))
	assert.Empty(t, pod.Spec.Containers[0].Command)
	assert.Equal(t, []int64{7001}, pod.Spec.SecurityContext.SupplementalGroups)

	unknown := e.createDry(t, namespace, labelledPod("qiang.guo03"))
	assertDeniedWith(t, unknown, `admission webhook "restricted-pods.jupyter-user.io" denied the request: `,
		"namespace "+namespace+" enforces the Pod Security Standard restricted", "qiang.guo03")
	assert.Equal(t, "RestrictedNeedsIdentity", reason(unknown.err))

	// Pod Security denies the Pod's own sidecar, and its message does not name the injected init container.
	sidecar := e.createDry(t, namespace, labelledPod("alice", withProxy))
	assertDeniedWith(t, sidecar, "violates PodSecurity", `container "proxy" must set`)
	assert.NotContains(t, sidecar.err.Error(), "jupyter-user-init")
	assert.NotContains(t, sidecar.err.Error(), `"nb"`)
}

func inBaseline(t *testing.T, e *enforced, namespace string) {
	withEachDiscovery(t, func(t *testing.T, user string) {
		e.assertAdmitted(t, e.createDry(t, namespace, labelledPod(user)))
		e.assertAdmitted(t, e.createDry(t, namespace, labelledPod(user, withProxy)))
		// Pod Security would deny a privileged notebook container, but the webhook removes the field "privileged".
		cleaned := e.createDry(t, namespace, labelledPod(user, func(pod *corev1.Pod) {
			pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
		}))
		e.assertAdmittedWithWarnings(t, cleaned)
		require.Len(t, cleaned.warnings, 1)
		assert.Contains(t, cleaned.warnings[0], "privileged")
		assertDeniedWith(t, e.createDry(t, namespace, labelledPod(user, func(pod *corev1.Pod) {
			pod.Spec.Volumes = []corev1.Volume{{Name: "node", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		})), "violates PodSecurity", `hostPath volumes (volume "node")`)
	})
}

func inPrivileged(t *testing.T, e *enforced, namespace string) {
	withEachDiscovery(t, func(t *testing.T, user string) {
		o := e.createDry(t, namespace, labelledPod(user))
		assertDenied(t, o.err, "node/NamespaceUnguarded")
		assertDeniedWith(t, o, "namespace "+namespace+" enforces the Pod Security Standard privileged",
			"the label pod-security.kubernetes.io/enforce: baseline")
	})
}

// baselineWithWarnings tests a namespace that enforces baseline and warns about restricted. Pod Security warns about a
// notebook with discovery at start, and about a Deployment.
func baselineWithWarnings(t *testing.T, e *enforced) {
	e.assertAdmitted(t, e.createDry(t, "warned", labelledPod("alice")))
	unknown := e.createDry(t, "warned", labelledPod("qiang.guo03"))
	e.assertAdmittedWithWarnings(t, unknown)
	assertRootWarned(t, unknown.warnings)

	// The webhook does not see the template of a Deployment, so Pod Security warns about the template as it is written.
	const deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: nb}, spec: {
		selector: {matchLabels: {jupyter-user: alice}},
		template: {metadata: {labels: {jupyter-user: alice}}, spec: {containers: [{name: nb, image: quay.io/jupyter/minimal-notebook}]}}}}`
	made, err := e.Admin.KubectlReading(t.Context(), deployment, "create", "-n", "warned", "-f", "-")
	require.NoError(t, err)
	assert.Zero(t, made.ExitCode, made.Stderr)
	assert.Contains(t, made.Stderr, "would violate PodSecurity")
}

// assertRootWarned asserts that Pod Security warns about a notebook with discovery at start: about the notebook container,
// which starts as root, and not about our init container.
func assertRootWarned(t *testing.T, warnings []string) {
	t.Helper()
	require.Len(t, warnings, 1)
	assert.Contains(t, warnings[0], `would violate PodSecurity "restricted:latest"`)
	for _, word := range []string{`container "nb" must not include "SETGID", "SETUID"`, "runAsNonRoot != true", "runAsUser=0"} {
		assert.Contains(t, warnings[0], word)
	}
	assert.NotContains(t, warnings[0], "jupyter-user-init")
}

func noLevelWithWarnings(t *testing.T, e *enforced) {
	o := e.createDry(t, "only-warned", labelledPod("alice"))
	assertDenied(t, o.err, "node/NamespaceUnguarded")
	assertDeniedWith(t, o, "namespace only-warned has no label with the Pod Security Standard that it enforces, so root")
	assert.Empty(t, o.warnings)
}

// TestPodSecurityDefaultOfCluster sets a default Pod Security level for namespaces without labels, in the API server's
// configuration. Neither the webhook nor a policy can read this level. So their messages name no level for such a
// namespace, and Pod Security itself denies what the level does not allow.
func TestPodSecurityDefaultOfCluster(t *testing.T) {
	t.Parallel()
	configured, err := filepath.Abs("testdata/admission-configuration.yaml")
	require.NoError(t, err)
	e := startEnforced(t, controlplane.Options{Flags: map[string][]string{"admission-control-config-file": {configured}}})
	e.createEnforcing(t, "silent", nil)
	e.createEnforcing(t, "labelled", podSecurityLabels("enforce=restricted"))
	withEachDiscovery(t, func(t *testing.T, user string) {
		o := e.createDry(t, "silent", labelledPod(user))
		require.Error(t, o.err)
		assert.NotContains(t, o.err.Error(), "privileged")
	})
	assertDenied(t, e.createDry(t, "silent", labelledPod("alice")).err, "node/NamespaceUnguarded")
	assertDeniedWith(t, e.createDry(t, "silent", labelledPod("qiang.guo03")), "violates PodSecurity")
	e.assertAdmitted(t, e.createDry(t, "labelled", labelledPod("alice")))
}

// podSecurityTurnedOff tests that the policies do not require a level if the chart value podSecurity is "off".
func podSecurityTurnedOff(t *testing.T, e *enforced) {
	installPoliciesFor(t.Context(), t, e.ControlPlane, "{podSecurity: 'off'}")
	for _, namespace := range []string{"privileged", "privileged-latest", "privileged-v1-33", "only-warned"} {
		e.assertAdmitted(t, e.createDry(t, namespace, labelledPod("alice")))
	}
	e.assertAdmitted(t, e.createDry(t, "privileged", labelledPod("qiang.guo03")))
	unknown := e.createDry(t, "only-warned", labelledPod("qiang.guo03"))
	e.assertAdmittedWithWarnings(t, unknown)
	assertRootWarned(t, unknown.warnings)
	assert.Equal(t, "RestrictedNeedsIdentity", reason(e.createDry(t, "restricted", labelledPod("qiang.guo03")).err))
}
