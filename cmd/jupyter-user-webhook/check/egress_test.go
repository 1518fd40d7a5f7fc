package check

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// policyOf returns a NetworkPolicy for every Pod, with egress rules in YAML.
func policyOf(t *testing.T, rules string) networkingv1.NetworkPolicy {
	t.Helper()
	policy := networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "p"}}
	require.NoError(t, yaml.UnmarshalStrict([]byte(rules), &policy.Spec.Egress))
	policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	return policy
}

func TestAdmits(t *testing.T) {
	for rules, admitted := range map[string]bool{
		`[]`:                                     false,
		`[{}]`:                                   true,
		`[{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]`: true,
		`[{to: [{ipBlock: {cidr: "::/0"}}]}]`:    false,
		`[{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [192.0.2.10/32]}}]}]`:                     false,
		`[{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [192.0.2.11/32]}}]}]`:                     true,
		`[{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [192.0.2.0/24]}}]}]`:                      false,
		`[{to: [{ipBlock: {cidr: 198.51.100.0/24}}]}]`:                                        false,
		`[{to: [{ipBlock: {cidr: nonsense}}]}]`:                                               true,
		`[{to: [{namespaceSelector: {}}]}]`:                                                   false,
		`[{to: [{podSelector: {}}, {ipBlock: {cidr: 192.0.2.10/32}}]}]`:                       true,
		`[{ports: [{port: 53, protocol: UDP}]}]`:                                              false,
		`[{ports: [{port: 2049}]}]`:                                                           true,
		`[{ports: [{port: 2049, protocol: UDP}]}]`:                                            true,
		`[{ports: [{port: 2049, protocol: SCTP}]}]`:                                           false,
		`[{ports: [{protocol: TCP}]}]`:                                                        true,
		`[{ports: [{port: 2000, endPort: 3000}]}]`:                                            true,
		`[{ports: [{port: 2000, endPort: 2048}]}]`:                                            false,
		`[{ports: [{port: 443}, {port: http}]}]`:                                              false,
		`[{ports: [{port: 443}], to: [{ipBlock: {cidr: 0.0.0.0/0}}]}, {ports: [{port: 53}]}]`: false,
		`[{ports: [{port: 443}]}, {to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]`:                   true,
	} {
		assert.Equal(t, admitted, admits(policyOf(t, rules), netip.MustParseAddr("192.0.2.10")), rules)
	}
}

// closedCluster returns a cluster in which Pods cannot reach the NFS server: its one namespace with notebooks has the
// NetworkPolicy of deploy/examples.
func closedCluster(t *testing.T) *state {
	t.Helper()
	example := networkingv1.NetworkPolicy{}
	data, err := os.ReadFile("../../../deploy/examples/networkpolicy.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(data, &example))
	s := &state{parameters: map[string]string{"claims": "hpc-shared-pvc", "volumes": "hpc-pv hpc-pv-*"}}
	s.lookUp = func(_ context.Context, host string) ([]string, error) {
		if host == "nfs.example" {
			return []string{"192.0.2.10", "2001:db8::10"}, nil
		}
		return nil, errors.New("no such host")
	}
	s.namespaces.Items = []corev1.Namespace{named("lab"), named("kube-system"), named(systemNamespace)}
	s.networkPolicies.Items = []networkingv1.NetworkPolicy{example}
	s.claims.Items = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "hpc-shared-pvc"},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "hpc-pv"}}}
	s.volumes.Items = []corev1.PersistentVolume{nfs("hpc-pv", "nfs.example", "/export")}
	return s
}

func named(name string) corev1.Namespace {
	return corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// guardedNamespace returns a namespace whose Pods cannot use the host's network.
func guardedNamespace(name string) corev1.Namespace {
	namespace := named(name)
	namespace.Labels = map[string]string{levelLabel: baseline}
	return namespace
}

func nfs(name, server, path string) corev1.PersistentVolume {
	return corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
		ClaimRef:               &corev1.ObjectReference{Namespace: "lab", Name: "hpc-shared-pvc"},
		PersistentVolumeSource: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: server, Path: path}}}}
}

// assertOneFinding asserts that there is exactly one finding, and asserts its status and a part of its text.
func assertOneFinding(t *testing.T, found []Finding, status Status, says string) {
	t.Helper()
	require.Len(t, found, 1, "%+v", found)
	assert.Equal(t, status, found[0].Status, found[0].Message)
	assert.Contains(t, found[0].Where+": "+found[0].Message, says)
}

func TestEgress(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*state)
		status Status
		says   string
	}{
		"no way to the server": {func(*state) {}, OK, "NetworkPolicies keep Pods from 192.0.2.10, 2001:db8::10; whether"},
		"a server with a name": {func(*state) {}, OK, "cannot be seen from here. These are the addresses of nfs.example as resolved " +
			"from here: each further address of the server (EFS: one for each zone; SmartConnect; several LIFs) must be in `except` too"},
		"no policy": {func(s *state) { s.networkPolicies.Items = nil }, Failed, "namespace lab: no NetworkPolicy of every Pod restricts egress"},
		"a policy of some Pods": {func(s *state) {
			s.networkPolicies.Items[0].Spec.PodSelector.MatchLabels = map[string]string{"a": "b"}
		}, Failed, "no NetworkPolicy of every Pod"},
		"a policy of ingress": {func(s *state) {
			s.networkPolicies.Items[0].Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		}, Failed, "no NetworkPolicy of every Pod"},
		"another address of the server": {func(s *state) {
			s.networkPolicies.Items[0].Spec.Egress[1].To[1].IPBlock.Except = nil
		}, Failed, "the NetworkPolicy no-way-to-the-share lets Pods reach the NFS server 2001:db8::10"},
		"a policy of some Pods that opens": {func(s *state) {
			open := policyOf(t, `[{}]`)
			open.Spec.PodSelector.MatchLabels = map[string]string{"a": "b"}
			s.networkPolicies.Items = append(s.networkPolicies.Items, open)
			s.volumes.Items[0].Spec.NFS.Server = "192.0.2.10"
		}, Failed, "the NetworkPolicy p lets Pods reach"},
		"a server without an address": {func(s *state) { s.volumes.Items[0].Spec.NFS.Server = "gone.example" }, Unknown, "its server gone.example cannot be found from here: no such host"},
		"no server": {func(s *state) { s.volumes.Items[0].Spec.NFS = nil }, Unknown,
			"name no NFS server: give each address of the server with --share-address"},
		"addresses by hand, where the volume names no server": {func(s *state) {
			s.volumes.Items[0].Spec.NFS, s.ShareAddresses = nil, []string{"192.0.2.10"}
		}, OK, "NetworkPolicies keep Pods from 192.0.2.10; whether"},
		"a further address by hand": {func(s *state) { s.ShareAddresses = []string{"192.0.2.11"} }, Failed,
			"lets Pods reach the NFS server 192.0.2.11"},
		"a namespace without notebooks": {func(s *state) { s.namespaces.Items = append(s.namespaces.Items, guardedNamespace("web")) }, Warning, "in 1 namespace without notebooks Pods may reach the NFS server too: web"},
		"a namespace without notebooks that allows the host's network": {func(s *state) {
			s.namespaces.Items = append(s.namespaces.Items, named("web"))
			closed := s.networkPolicies.Items[0]
			closed.Namespace = "web"
			s.networkPolicies.Items = append(s.networkPolicies.Items, closed)
		}, Warning, "in 1 namespace without notebooks Pods may use the host's network, which no NetworkPolicy restricts: web: anyone"},
		"a server by CSI": {func(s *state) {
			s.volumes.Items[0].Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				VolumeAttributes: map[string]string{"Server": "192.0.2.99", "share": "/x"}}}
			s.networkPolicies.Items = nil
		}, Failed, "192.0.2.99"},
	} {
		t.Run(name, func(t *testing.T) {
			s := closedCluster(t)
			c.change(s)
			assertOneFinding(t, egress(t.Context(), s), c.status, c.says)
		})
	}
	s := closedCluster(t)
	s.volumes.Items[0].Spec.NFS.Server = "192.0.2.10"
	found := egress(t.Context(), s)
	assertOneFinding(t, found, OK, "NetworkPolicies keep Pods from 192.0.2.10; whether")
	assert.NotContains(t, found[0].Message, "resolved", "an address does not resolve to others")

	s = closedCluster(t)
	s.volumes.Items[0].Spec.NFS.Server = "nfs.storage.svc.cluster.local"
	found = egress(t.Context(), s)
	require.NotEmpty(t, found)
	assert.Contains(t, found[0].Message, "is in the cluster")
	assert.Equal(t, Unknown, found[0].Status)
}

// TestEgressOfHubExample tests that the example for a Zero to JupyterHub keeps all Pods from the NFS server. It also keeps the
// hub's servers for users from private networks and from the metadata address of clouds.
func TestEgressOfHubExample(t *testing.T) {
	data, err := os.ReadFile("../../../deploy/examples/networkpolicy-z2jh.yaml")
	require.NoError(t, err)
	s := closedCluster(t)
	s.networkPolicies.Items = nil
	for document := range strings.SplitSeq(string(data), "\n---\n") {
		var policy networkingv1.NetworkPolicy
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), &policy))
		policy.Namespace = "lab"
		s.networkPolicies.Items = append(s.networkPolicies.Items, policy)
	}
	assertOneFinding(t, egress(t.Context(), s), OK, "NetworkPolicies keep Pods from 192.0.2.10, 2001:db8::10; whether")
	for _, address := range []string{"10.1.2.3", "172.31.0.1", "192.168.7.7", "169.254.169.254", "fd00::1"} {
		assert.False(t, admits(s.networkPolicies.Items[1], netip.MustParseAddr(address)), address)
	}
}

// TestEgressOfAProgram tests that a namespace needs no NetworkPolicy if it has the share for a program alone, such as a backup
// or the webhook: everyone who can create Pods there may mount the whole share anyway. A namespace in which somebody also may
// use a home, or that the options name, needs a NetworkPolicy.
func TestEgressOfAProgram(t *testing.T) {
	with := func(namespace string, rules ...rbacv1.PolicyRule) *state {
		s, bound := closedCluster(t), clusterWithBinding(namespace, subject("ServiceAccount", namespace, "program"), rules...)
		s.clusterRoles, s.roleBindings = bound.clusterRoles, bound.roleBindings
		if namespace != systemNamespace {
			s.namespaces.Items = append(s.namespaces.Items, guardedNamespace(namespace))
		}
		claim := s.claims.Items[0]
		claim.Namespace = namespace
		s.claims.Items = append(s.claims.Items, claim)
		return s
	}
	for _, namespace := range []string{"backup", systemNamespace} {
		assertOneFinding(t, egress(t.Context(), with(namespace, rule(shares, runAs))), OK,
			"from 192.0.2.10, 2001:db8::10, except in "+namespace+", where everyone who can create Pods has every home; whether")
	}
	assertOneFinding(t, egress(t.Context(), with("backup", rule(shares, runAs, "hpc-shared-pvc"))), OK, "except in backup")

	const failure = "namespace backup: no NetworkPolicy of every Pod restricts egress"
	assertOneFinding(t, egress(t.Context(), with("backup", rule(shares, runAs, "scratch"))), Failed, failure)
	assertOneFinding(t, egress(t.Context(), with("backup", rule(shares, use))), Failed, failure)
	assertOneFinding(t, egress(t.Context(), with("backup", rule(shares, runAs), rule(homes, use, "alice"))), Failed, failure)
	asked := with("backup", rule(shares, runAs))
	asked.Namespaces = []string{"backup"}
	assertOneFinding(t, egress(t.Context(), asked), Failed, failure)
	// Without the share's claim, the namespace counts as a namespace without notebooks.
	unclaimed := with("backup", rule(shares, runAs))
	unclaimed.claims.Items = unclaimed.claims.Items[:1]
	assertOneFinding(t, egress(t.Context(), unclaimed), Warning,
		"in 1 namespace without notebooks Pods may reach the NFS server too: backup")
}
