package integration

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// policiesOf parses the ValidatingAdmissionPolicies in manifests. The keys are the policies' names without the suffix
// .jupyter-user.io.
func policiesOf(t *testing.T, manifests []string) map[string]*admissionv1.ValidatingAdmissionPolicy {
	t.Helper()
	found := map[string]*admissionv1.ValidatingAdmissionPolicy{}
	for _, manifest := range manifests {
		for _, document := range strings.Split(manifest, "\n---\n") {
			policy := &admissionv1.ValidatingAdmissionPolicy{}
			require.NoError(t, yaml.Unmarshal([]byte(document), policy))
			if policy.Kind == "ValidatingAdmissionPolicy" {
				require.NoError(t, yaml.UnmarshalStrict([]byte(document), policy))
				found[strings.TrimSuffix(policy.Name, ".jupyter-user.io")] = policy
			}
		}
	}
	return found
}

// reasonOf returns the reason at the beginning of a validation's message.
func reasonOf(v admissionv1.Validation) string {
	reason, _, _ := strings.Cut(v.Message, ":")
	return reason
}

// TestSettingsOfPolicies tests that each policy has failurePolicy: Fail, empty selectors in its matchConstraints, and no
// parameters. Each message begins with its reason.
func TestSettingsOfPolicies(t *testing.T) {
	for name, policy := range policiesOf(t, shippedPolicies(t)) {
		assert.Equal(t, admissionv1.Fail, *policy.Spec.FailurePolicy, name)
		everything := &metav1.LabelSelector{}
		assert.Equal(t, everything, policy.Spec.MatchConstraints.NamespaceSelector, name)
		assert.Equal(t, everything, policy.Spec.MatchConstraints.ObjectSelector, name)
		assert.Nil(t, policy.Spec.ParamKind, name)
		seen := map[string]bool{}
		for _, v := range policy.Spec.Validations {
			reason := reasonOf(v)
			assert.Regexp(t, `^[A-Z][a-z]+[A-Z][A-Za-z]+$`, reason, name)
			assert.False(t, seen[reason], "%s says %s twice", name, reason)
			seen[reason] = true
			if v.MessageExpression != "" {
				assert.Contains(t, v.MessageExpression, "'"+reason+": ", "%s: both messages have the same reason", name)
			}
		}
	}
}

// TestPoliciesWithoutObjectSelector tests that for each operation on a resource, at most one policy has a binding without an
// object selector. The API server checks the selectors of the other bindings before it runs any CEL, so at most one policy
// runs for a Pod that is no notebook.
func TestPoliciesWithoutObjectSelector(t *testing.T) {
	policies := policiesOf(t, shippedPolicies(t))
	withoutSelector := map[string][]string{}
	for name, selectors := range selectorsOfBindings(t) {
		for _, rule := range policies[name].Spec.MatchConstraints.ResourceRules {
			for _, operation := range rule.Operations {
				for _, resource := range rule.Resources {
					if slices.Contains(selectors, "") {
						key := string(operation) + " " + resource
						withoutSelector[key] = append(withoutSelector[key], name)
					}
				}
			}
		}
	}
	for what, names := range withoutSelector {
		assert.Len(t, names, 1, what)
	}
	assert.Equal(t, []string{"share"}, withoutSelector["CREATE pods"])
	assert.Empty(t, withoutSelector["UPDATE pods/status"], "no policy runs for a kubelet's status update of a Pod that is no notebook")
	for _, name := range []string{"access", "net", "node", "afterwards"} {
		assert.Equal(t, []string{"hub.jupyter.org/username,!jupyter-user", "jupyter-user"}, selectorsOfBindings(t)[name], name)
	}
}

// selectorsOfBindings returns the object selectors of the bindings, by policy. A binding without a selector has the text "".
func selectorsOfBindings(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, binding := range bindingsOf(t, shippedPolicies(t)) {
		name := strings.TrimSuffix(binding.Spec.PolicyName, ".jupyter-user.io")
		selector := ""
		if binding.Spec.MatchResources != nil {
			parsed, err := metav1.LabelSelectorAsSelector(binding.Spec.MatchResources.ObjectSelector)
			require.NoError(t, err)
			selector = parsed.String()
		}
		found[name] = append(found[name], selector)
		slices.Sort(found[name])
	}
	return found
}

func bindingsOf(t *testing.T, manifests []string) (found []admissionv1.ValidatingAdmissionPolicyBinding) {
	t.Helper()
	for _, manifest := range manifests {
		for _, document := range strings.Split(manifest, "\n---\n") {
			binding := admissionv1.ValidatingAdmissionPolicyBinding{}
			require.NoError(t, yaml.Unmarshal([]byte(document), &binding))
			if binding.Kind == "ValidatingAdmissionPolicyBinding" {
				found = append(found, binding)
			}
		}
	}
	return found
}

// TestBindingsDeny tests that each policy has a binding, and each binding denies.
func TestBindingsDeny(t *testing.T) {
	bound := map[string]bool{}
	for _, binding := range bindingsOf(t, shippedPolicies(t)) {
		name := strings.TrimSuffix(binding.Spec.PolicyName, ".jupyter-user.io")
		bound[name] = true
		assert.Equal(t, []admissionv1.ValidationAction{admissionv1.Deny}, binding.Spec.ValidationActions, name)
		assert.Nil(t, binding.Spec.ParamRef, name)
		if binding.Spec.MatchResources != nil {
			assert.Equal(t, &metav1.LabelSelector{}, binding.Spec.MatchResources.NamespaceSelector, "%s is for every namespace", name)
			assert.Empty(t, binding.Spec.MatchResources.ExcludeResourceRules, name)
		}
	}
	for name := range policiesOf(t, shippedPolicies(t)) {
		assert.True(t, bound[name], "%s is bound", name)
	}
}

// attackedValues has the chart values under which attacks are tried.
const attackedValues = "{share: {hostPaths: [/srv/share, /mnt/old, /data/slash/]}}"

// TestAttacksAreDenied tries each attack that names a rule of the policies, with all rules in effect. The named rule denies
// the attack.
func TestAttacksAreDenied(t *testing.T) {
	t.Parallel()
	g := startGuardedBy(t, controlplane.Options{Policies: renderedPolicies(t.Context(), t, attackedValues)})
	g.giveRights(t)
	for name, a := range attacks() {
		if !a.byVerifier() {
			t.Run(name, func(t *testing.T) { assertDenied(t, a.do(t, g), a.rule) })
		}
	}
	// The policy share.jupyter-user.io admits volumes of these kinds without looking for a claim in them. Such a volume
	// cannot have a claim too, because the API server denies a volume of two kinds.
	for kind, source := range map[string]corev1.VolumeSource{
		"projected":   {Projected: &corev1.ProjectedVolumeSource{}},
		"emptyDir":    {EmptyDir: &corev1.EmptyDirVolumeSource{}},
		"configMap":   {ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "x"}}},
		"secret":      {Secret: &corev1.SecretVolumeSource{SecretName: "x"}},
		"downwardAPI": {DownwardAPI: &corev1.DownwardAPIVolumeSource{}},
	} {
		t.Run("a volume that is also of kind "+kind, func(t *testing.T) {
			require.NoError(t, byBob(source)(t, g), "alone the volume is admitted")
			source.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "hpc-shared-pvc"}
			assert.ErrorContains(t, byBob(source)(t, g), "may not specify more than 1 volume type")
		})
	}
}

// TestEachRuleIsNeeded removes one rule of the policies at a time, and tests that the attacks that name this rule then
// succeed. So each rule is needed, and each attack tests the rule that it names.
func TestEachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	manifests := renderedPolicies(t.Context(), t, attackedValues)
	g := startGuardedBy(t, controlplane.Options{Policies: manifests})
	g.giveRights(t)
	for name, policy := range policiesOf(t, manifests) {
		for i, validation := range policy.Spec.Validations {
			rule := name + "/" + reasonOf(validation)
			against := attacksOn(rule)
			if !assert.NotEmpty(t, against, "nothing shows that %s is needed", rule) {
				continue
			}
			weakened := policy.DeepCopy()
			weakened.Spec.Validations = slices.Delete(weakened.Spec.Validations, i, i+1)
			if len(weakened.Spec.Validations) == 0 {
				validation.Expression, validation.MessageExpression = "true", ""
				weakened.Spec.Validations = []admissionv1.Validation{validation}
			}
			g.apply(t, weakened)
			for attackName, a := range against {
				t.Run(rule+"/"+attackName, func(t *testing.T) {
					assert.NoError(t, a.do(t, g), "without its rule, the attack works")
				})
			}
		}
		g.apply(t, policy)
	}
}

func (g *guarded) apply(t *testing.T, policy *admissionv1.ValidatingAdmissionPolicy) {
	t.Helper()
	manifest, err := json.Marshal(policy)
	require.NoError(t, err)
	require.NoError(t, g.Apply(t.Context(), string(manifest)))
}

func attacksOn(rule string) map[string]attack {
	found := map[string]attack{}
	for name, a := range attacks() {
		if a.rule == rule {
			found[name] = a
		}
	}
	return found
}

func assertDenied(t *testing.T, err error, rule string) {
	t.Helper()
	policy, reason, _ := strings.Cut(rule, "/")
	require.Error(t, err, "the request was admitted")
	assert.Contains(t, err.Error(), "ValidatingAdmissionPolicy '"+policy+".jupyter-user.io'")
	assert.Contains(t, err.Error(), "denied request: "+reason+": ")
}

// TestPoliciesAdmitOtherPods tests that the policies admit the webhook's notebooks, with both discoveries, and Pods that
// are no notebooks.
func TestPoliciesAdmitOtherPods(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	for _, user := range []string{"alice", "qiang.guo03"} {
		assert.NoError(t, create(t.Context(), g.carol, "lab", injected(t, user)))
		assert.NoError(t, create(t.Context(), g.hub, "open", injected(t, user)), "a requester who may use every home may do so in any namespace")
		assert.NoError(t, create(t.Context(), g.carol, "lab", injected(t, user, func(pod *corev1.Pod) {
			pod.Annotations = map[string]string{"jupyter-user.io/account-files": "off"}
			pod.Spec.InitContainers = []corev1.Container{{Name: "mine", Image: "x"}}
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "sidecar", Image: "x"})
			pod.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
			pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "tmp", MountPath: "/mnt/tmp"}}
		})))
	}
	assert.NoError(t, create(t.Context(), g.carol, "strict", injected(t, "alice")))
	assert.NoError(t, create(t.Context(), g.bob, "lab", plainPod()))
	assert.NoError(t, create(t.Context(), g.bob, "open", plainPod()))
	named := plainPod()
	for _, name := range []string{share, scratch, "share"} {
		named.Spec.Volumes = append(named.Spec.Volumes, corev1.Volume{Name: name})
	}
	assert.NoError(t, create(t.Context(), g.bob, "lab", named), "names of volumes decide nothing")
	worker := plainPod()
	addHubKeys(worker, "dask-worker")
	kept := createStored(t, g.bob, worker)
	kept.Labels["component"], kept.Labels["app"], kept.Annotations["a"] = "dask-scheduler", "x", "b"
	kept.Spec.Containers[0].Image = "newer"
	_, err := g.bob.CoreV1().Pods("lab").Update(t.Context(), kept, metav1.UpdateOptions{})
	assert.NoError(t, err, "a hub's Pod that is no user's server is not claimed")
	optedOut := plainPod()
	optedOut.Labels = map[string]string{"jupyter-user": "alice"}
	optedOut.Annotations = map[string]string{"jupyter-user.io/inject": "false"}
	assert.NoError(t, create(t.Context(), g.bob, "open", optedOut), "opted out")
}

// TestReasonsAreExplained tests that deploy/docs/denials.md explains each reason of the policies and no other reason, and
// has a table with the reasons of each policy.
func TestReasonsAreExplained(t *testing.T) {
	page, err := os.ReadFile("../../deploy/docs/denials.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(page), "## When a policy denies a Pod")
	section, byPolicy, found := strings.Cut(section, "\n### The reasons of each policy")
	require.True(t, found)
	explained := map[string]bool{}
	for _, name := range regexp.MustCompile("`([A-Z][a-z]+[A-Z]\\w+)`").FindAllStringSubmatch(section, -1) {
		explained[name[1]] = true
	}
	rendered := map[string]bool{}
	for name, policy := range policiesOf(t, shippedPolicies(t)) {
		var reasons []string
		for _, v := range policy.Spec.Validations {
			rendered[reasonOf(v)] = true
			reasons = append(reasons, "`"+reasonOf(v)+"`")
		}
		assert.Contains(t, byPolicy, "| `"+name+"` | "+strings.Join(reasons, ", ")+" |\n")
	}
	assert.Equal(t, rendered, explained)
}

// TestOldestEmulatedVersion installs the policies on an API server that emulates an older version. An API server accepts
// only CEL that its version has. The newest API server can emulate 1.34 and newer. make release-check tests 1.33 with an
// API server of that release.
func TestOldestEmulatedVersion(t *testing.T) {
	t.Parallel()
	if release := os.Getenv(tools.ReleaseVariable); release != "" {
		t.Skip("skipped: the API server is of release " + release + " itself")
	}
	g := startGuardedBy(t, controlplane.Options{Policies: shippedPolicies(t),
		Flags: map[string][]string{"emulated-version": {"1.34"}}})
	for _, user := range []string{"alice", "qiang.guo03"} {
		assert.NoError(t, create(t.Context(), g.carol, "lab", injected(t, user)))
		assertDenied(t, create(t.Context(), g.bob, "lab", injected(t, user)), noAccess)
	}
}
