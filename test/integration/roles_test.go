package integration

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

// TestRightsOfExamples applies the files of deploy/examples and compares the rights that the API server reports for each
// subject with the expected rights.
func TestRightsOfExamples(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	files, err := filepath.Glob(examples + "*.yaml")
	require.NoError(t, err)
	for _, namespace := range []string{"jhub", "reports", "backup", "jupyter-user-homes"} {
		require.NoError(t, g.Namespace(t.Context(), namespace, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}))
	}
	require.NoError(t, g.Admin.Do(t.Context(), shipped(t, "70-clusterroles.yaml"), "apply", "--validate=strict", "-f", "-"))
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue // A Kustomization is no object of the API server.
		}
		made, err := g.Admin.Kubectl(t.Context(), "apply", "--validate=strict", "-f", file)
		require.NoError(t, err)
		require.Zero(t, made.ExitCode, made.Stderr)
		assert.Empty(t, made.Stderr)
	}
	for requester, granted := range map[string][]string{
		"alice@corp.example":                                          {"lab use homes alice"},
		"system:serviceaccount:jhub:hub":                              {"jhub use homes alice", "jhub use homes bob", "jhub use homes "},
		"system:serviceaccount:reports:nightly":                       {"reports run-as homes alice"},
		"system:serviceaccount:backup:backup":                         {"backup run-as shares hpc-shared-pvc"},
		"system:serviceaccount:jupyter-user-homes:jupyter-user-homes": {"jupyter-user-homes run-as shares hpc-shared-pvc"},
		"somebody": nil,
	} {
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			assert.ElementsMatch(c, granted, g.rights(t, requester))
		}, wait, wait/100, requester)
	}
}

// rights returns the rights to homes and shares that a requester has. It tries all combinations of some namespaces, verbs
// and names.
func (g *guarded) rights(t *testing.T, requester string) (found []string) {
	t.Helper()
	reviews := g.admin(t).AuthorizationV1().SubjectAccessReviews()
	for _, namespace := range []string{"lab", "jhub", "reports", "backup", "jupyter-user-homes", "jupyter-user-system"} {
		for _, verb := range []string{"use", "run-as", "get", "create"} {
			for _, right := range []string{"homes alice", "homes bob", "homes ", "shares hpc-shared-pvc"} {
				resource, name, _ := strings.Cut(right, " ")
				reviewed, err := reviews.Create(t.Context(), &authorizationv1.SubjectAccessReview{
					Spec: authorizationv1.SubjectAccessReviewSpec{User: requester, ResourceAttributes: &authorizationv1.ResourceAttributes{
						Namespace: namespace, Verb: verb, Group: "jupyter-user.io", Resource: resource, Name: name}},
				}, metav1.CreateOptions{})
				require.NoError(t, err)
				if reviewed.Status.Allowed {
					found = append(found, namespace+" "+verb+" "+right)
				}
			}
		}
	}
	return found
}

// TestClusterRolesAreNotAggregated tests that each shipped ClusterRole gives one verb in our API group, and has no label
// that aggregates it into another role.
func TestClusterRolesAreNotAggregated(t *testing.T) {
	for _, document := range manifests(t, "70-clusterroles.yaml") {
		role := &rbacv1.ClusterRole{}
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), role))
		assert.Equal(t, map[string]string{"app.kubernetes.io/name": "jupyter-user-webhook"}, role.Labels)
		assert.Nil(t, role.AggregationRule)
		require.Len(t, role.Rules, 1)
		assert.Equal(t, []string{"jupyter-user.io"}, role.Rules[0].APIGroups)
		assert.Len(t, role.Rules[0].Verbs, 1)
		assert.NotContains(t, role.Rules[0].Verbs, "*")
		if role.Rules[0].Resources[0] == "homes" {
			assert.Equal(t, []string{"use"}, role.Rules[0].Verbs, "no shipped role gives run-as on every home")
		}
	}
}

// TestBuiltInRolesGrantNoHome tests that the roles view, edit and admin, which teams often have in their namespaces, give
// no right to a home.
func TestBuiltInRolesGrantNoHome(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	for _, role := range []string{"view", "edit", "admin"} {
		requester := role + "or"
		_, err := g.admin(t).RbacV1().RoleBindings("lab").Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: requester},
			RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: requester}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		g.allow(t, "lab", requester, withPods)
		assert.Empty(t, g.rights(t, requester))
		assertDenied(t, create(t.Context(), g.clientOf(t, requester), "lab", injected(t, "alice")), noAccess)
	}
}

// TestFirstHomesNode applies the example first-homes-node.yaml, which has a list of namespaces. Only Pods of these namespaces
// get to the node admin-node. Other Pods are denied, both with spec.nodeName and with a Binding.
func TestFirstHomesNode(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	const denied = "the node admin-node is for the first homes alone"
	data, err := os.ReadFile(examples + "first-homes-node.yaml")
	require.NoError(t, err)
	require.NoError(t, g.Apply(t.Context(), string(data)))
	require.NoError(t, g.Namespace(t.Context(), "jupyter-user-homes", map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}))
	for namespace, want := range map[string]string{"lab": denied, "jupyter-user-homes": ""} {
		on := func(node string) error {
			pod := plainPod()
			pod.Spec.NodeName = node
			return create(t.Context(), g.admin(t), namespace, pod)
		}
		bound := func(node string) error {
			pod, err := g.admin(t).CoreV1().Pods(namespace).Create(t.Context(), plainPod(), metav1.CreateOptions{})
			require.NoError(t, err)
			return g.admin(t).CoreV1().Pods(namespace).Bind(t.Context(), &corev1.Binding{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pod.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: node},
			}, metav1.CreateOptions{})
		}
		for way, assign := range map[string]func(node string) error{"nodeName": on, "a Binding": bound} {
			assert.NoError(t, assign("other"), "%s in %s", way, namespace)
			if want == "" {
				assert.NoError(t, assign("admin-node"), "%s in %s", way, namespace)
			} else {
				assert.ErrorContains(t, assign("admin-node"), want, "%s in %s", way, namespace)
			}
		}
	}
}

// TestNoWayAround applies the example no-way-around.yaml. A Service with an address that its author chooses is denied. A
// controller of kube-system may set such an address, and a Service that has one can still be updated. A Pod with a variable
// from a file (fileKeyRef) is denied.
func TestNoWayAround(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	data, err := os.ReadFile(examples + "no-way-around.yaml")
	require.NoError(t, err)
	require.NoError(t, g.Apply(t.Context(), string(data)))
	services := g.admin(t).CoreV1().Services("lab")
	service := func(change func(*corev1.Service)) error {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{GenerateName: "s-"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 2049}}}}
		change(s)
		_, err := services.Create(t.Context(), s, metav1.CreateOptions{})
		return err
	}
	const chosen = "a Service here must not choose its address"
	assert.NoError(t, service(func(*corev1.Service) {}))
	assert.ErrorContains(t, service(func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"192.0.2.10"} }), chosen)
	assert.ErrorContains(t, service(func(s *corev1.Service) { s.Spec.LoadBalancerIP = "192.0.2.10" }), chosen)
	for _, key := range []string{"kube-vip.io/loadbalancerIPs", "metallb.io/loadBalancerIPs", "metallb.universe.tf/loadBalancerIPs",
		"lbipam.cilium.io/ips", "io.cilium/lb-ipam-ips", "projectcalico.org/loadBalancerIPs"} {
		assert.ErrorContains(t, service(func(s *corev1.Service) { s.Annotations = map[string]string{key: "192.0.2.10"} }), chosen, key)
	}
	stored, err := services.Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "stored"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	stored.Spec.ExternalIPs = []string{"192.0.2.10"}
	_, err = services.Update(t.Context(), stored, metav1.UpdateOptions{})
	assert.ErrorContains(t, err, chosen, "an update")
	const controller = "system:serviceaccount:kube-system:service-controller"
	g.allow(t, "lab", controller, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"update"}})
	user, err := g.User(controller, "system:serviceaccounts:kube-system")
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(user.Config)
	require.NoError(t, err)
	stored, err = client.CoreV1().Services("lab").Update(t.Context(), stored, metav1.UpdateOptions{})
	require.NoError(t, err, "a controller of kube-system")
	stored.Labels = map[string]string{"a": "b"}
	_, err = services.Update(t.Context(), stored, metav1.UpdateOptions{})
	assert.NoError(t, err, "an address that is there already")

	file := []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{FileKeyRef: &corev1.FileKeySelector{VolumeName: "v", Path: "e", Key: "A"}}}}
	for name, change := range map[string]func(*corev1.PodSpec){
		"a container":       func(s *corev1.PodSpec) { s.Containers[0].Env = file },
		"an init container": func(s *corev1.PodSpec) { s.InitContainers = []corev1.Container{{Name: "i", Image: "x", Env: file}} },
	} {
		pod := plainPod()
		pod.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		change(&pod.Spec)
		_, err := g.admin(t).CoreV1().Pods("lab").Create(t.Context(), pod, metav1.CreateOptions{})
		// An API server older than 1.34 drops the field, and then denies a variable without a source.
		assert.Regexp(t, `variables from files \(fileKeyRef\) are not allowed here|must specify one of|may not be specified when`, err, name)
	}
}

// TestNetworkPolicyExcludesServer tests that the example NetworkPolicy allows other addresses and not the NFS server's. The
// test reads the policy; no network plugin runs.
func TestNetworkPolicyExcludesServer(t *testing.T) {
	data, err := os.ReadFile(examples + "networkpolicy.yaml")
	require.NoError(t, err)
	policy := &networkingv1.NetworkPolicy{}
	require.NoError(t, yaml.UnmarshalStrict(data, policy))
	assert.Equal(t, metav1.LabelSelector{}, policy.Spec.PodSelector, "the policy selects every Pod of the namespace")
	assert.Equal(t, []networkingv1.PolicyType{"Egress"}, policy.Spec.PolicyTypes)
	for address, reachable := range map[string]bool{
		"192.0.2.10": false, "2001:db8::10": false, "192.0.2.11": true, "198.51.100.1": true, "2001:db8::11": true,
	} {
		assert.Equal(t, reachable, reaches(t, policy, netip.MustParseAddr(address)), address)
	}
}

func reaches(t *testing.T, policy *networkingv1.NetworkPolicy, address netip.Addr) bool {
	t.Helper()
	for _, rule := range policy.Spec.Egress {
		for _, peer := range rule.To {
			if peer.IPBlock == nil || !netip.MustParsePrefix(peer.IPBlock.CIDR).Contains(address) {
				continue
			}
			excepted := false
			for _, except := range peer.IPBlock.Except {
				excepted = excepted || netip.MustParsePrefix(except).Contains(address)
			}
			if !excepted {
				return true
			}
		}
	}
	return false
}

// TestPodsOfExamples applies four files of deploy/examples. Each file gives a subject the right to homes or to the share.
// For each file, the test creates a Pod that needs this right, and the Pod must be admitted. If the subject is the
// ServiceAccount of a Job, the test creates the Pod under the name of the Job controller, otherwise under the name of the subject.
func TestPodsOfExamples(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	for _, namespace := range []string{"jhub", "reports", "backup"} {
		require.NoError(t, g.Namespace(t.Context(), namespace, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}))
	}
	require.NoError(t, g.Admin.Do(t.Context(), shipped(t, "70-clusterroles.yaml"), "apply", "-f", "-"))
	for _, file := range []string{"one-home", "hub", "run-as", "backup"} {
		require.NoError(t, g.Admin.Do(t.Context(), "", "apply", "-f", examples+file+".yaml"))
	}
	require.NoError(t, g.Admin.Do(t.Context(), "", "create", "serviceaccount", "backup", "-n", "backup"))
	const controller = "system:serviceaccount:kube-system:job-controller"
	for _, c := range []struct{ requester, namespace, account, user string }{
		{"alice@corp.example", "lab", "default", "alice"},
		{"system:serviceaccount:jhub:hub", "jhub", "default", "bob"},
		{controller, "reports", "nightly", "alice"},
		{controller, "backup", "backup", ""},
	} {
		g.allow(t, c.namespace, c.requester, withPods)
		pod := plainPod()
		pod.Spec.Volumes = []corev1.Volume{claimVolume("all")}
		if c.user != "" {
			pod = injected(t, c.user)
		}
		pod.Spec.ServiceAccountName = c.account
		assert.NoError(t, create(t.Context(), g.clientOf(t, c.requester), c.namespace, pod), c.requester)
	}
}
