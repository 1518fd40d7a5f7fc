package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// Names of objects and keys in the shipped manifests.
const (
	systemNamespace  = "jupyter-user-system"
	webhookName      = "jupyter-user-webhook"
	mutatingName     = "00-" + webhookName
	certificateName  = "jupyter-user-webhook-certs"
	configurationKey = "config.yaml"
	serviceDNS       = webhookName + "." + systemNamespace + ".svc"
)

// The inputs of the checks. The value of each constant is the name of the input in messages.
const (
	certificates       = "the Secret " + certificateName
	deployments        = "the Deployment " + webhookName
	services           = "the Service " + webhookName
	endpointSlices     = "endpointslices.discovery.k8s.io"
	configMaps         = "the ConfigMaps of " + systemNamespace
	mutatingWebhooks   = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
	validatingWebhooks = "validatingwebhookconfigurations.admissionregistration.k8s.io"
	policies           = "validatingadmissionpolicies.admissionregistration.k8s.io"
	bindings           = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
	namespaces         = "namespaces"
	claimsOfAll        = "persistentvolumeclaims"
	podsOfAll          = "pods"
	volumes            = "persistentvolumes"
	nodes              = "nodes"
	storageClasses     = "storageclasses.storage.k8s.io"
	networkPolicies    = "networkpolicies.networking.k8s.io"
	issuers            = "issuers.cert-manager.io"
	issued             = "certificates.cert-manager.io"

	// The inputs below come from the webhook's ConfigMap.
	parameters    = "the values of the policies"
	configuration = "the configuration of the webhook"
)

var rbacObjects = []string{"clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io",
	"roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"}

// state has the objects that were read from a cluster, and what else the checks need.
type state struct {
	Options
	cluster *Cluster
	now     time.Time
	server  *version.Info
	// missing has the errors of the inputs that could not be read, by the name of the input.
	missing map[string]error
	// dryRun updates an object in a dry run, so that the object gets the API server's defaults.
	dryRun func(ctx context.Context, object *unstructured.Unstructured) error
	// lookUp finds the addresses of a host.
	lookUp func(ctx context.Context, host string) ([]string, error)

	certificate corev1.Secret
	issuers     certmanagerv1.IssuerList
	issued      certmanagerv1.CertificateList
	deployment  appsv1.Deployment
	service     corev1.Service
	configMaps  corev1.ConfigMapList
	endpoints   discoveryv1.EndpointSliceList

	// installed are the objects of installedKinds, by input, including fields that this program does not know.
	installed map[string]*unstructured.UnstructuredList

	namespaces      corev1.NamespaceList
	claims          corev1.PersistentVolumeClaimList
	volumes         corev1.PersistentVolumeList
	storageClasses  storagev1.StorageClassList
	networkPolicies networkingv1.NetworkPolicyList
	nodes           corev1.NodeList
	pods            []podFacts

	clusterRoles        rbacv1.ClusterRoleList
	clusterRoleBindings rbacv1.ClusterRoleBindingList
	roles               rbacv1.RoleList
	roleBindings        rbacv1.RoleBindingList

	// parameters are the values of the policies, and config is the webhook's configuration. Both come from the webhook's
	// ConfigMap.
	parameters map[string]string
	config     *config.Config
}

// emptyLists returns the empty lists that the functions of state.readers fill, by the name of the input.
func (s *state) emptyLists() map[string]client.ObjectList {
	lists := map[string]client.ObjectList{
		configMaps: &s.configMaps, endpointSlices: &s.endpoints, namespaces: &s.namespaces,
		claimsOfAll: &s.claims,
		volumes:     &s.volumes, storageClasses: &s.storageClasses, networkPolicies: &s.networkPolicies, nodes: &s.nodes,
		rbacObjects[0]: &s.clusterRoles, rbacObjects[1]: &s.clusterRoleBindings, rbacObjects[2]: &s.roles,
		rbacObjects[3]: &s.roleBindings, issuers: &s.issuers, issued: &s.issued,
	}
	s.installed = map[string]*unstructured.UnstructuredList{}
	for what, kind := range installedKinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: "admissionregistration.k8s.io", Version: "v1", Kind: kind + "List"})
		s.installed[what] = list
		lists[what] = list
	}
	return lists
}

// installedKinds are the kinds that are compared with the rendered objects.
var installedKinds = map[string]string{
	mutatingWebhooks: "MutatingWebhookConfiguration", validatingWebhooks: "ValidatingWebhookConfiguration",
	policies: "ValidatingAdmissionPolicy", bindings: "ValidatingAdmissionPolicyBinding",
}

// read reads the inputs of the checks. Run reports the inputs that cannot be read.
func read(ctx context.Context, c *Cluster, o Options, checks []checkType) (*state, error) {
	// Each check can return the advice of installAgain, which finds the Helm release in the annotations of these objects.
	inputs := []string{configMaps, mutatingWebhooks}
	for _, check := range checks {
		inputs = append(inputs, check.inputs...)
	}
	return readSome(ctx, c, o, inputs)
}

// readSome reads the named inputs concurrently.
func readSome(ctx context.Context, c *Cluster, o Options, only []string) (*state, error) {
	s := &state{Options: o, cluster: c, now: time.Now(), missing: map[string]error{}, lookUp: net.DefaultResolver.LookupHost}
	s.dryRun = func(ctx context.Context, object *unstructured.Unstructured) error {
		return c.client.Update(ctx, object, client.DryRunAll)
	}
	var err error
	if s.server, err = c.discovery.ServerVersion(); err != nil {
		return nil, fmt.Errorf("ask the API server for its version: %w", err)
	}
	var wait sync.WaitGroup
	var lock sync.Mutex
	for what, read := range s.readers(ctx) {
		if !slices.Contains(only, what) {
			continue
		}
		wait.Go(func() {
			if err := read(); err != nil {
				lock.Lock()
				defer lock.Unlock()
				s.missing[what] = err
			}
		})
	}
	wait.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("read the cluster: %w", context.Cause(ctx))
	}
	s.parseConfigMap()
	return s, nil
}

// readers returns the functions that read the inputs, by the name of the input.
func (s *state) readers(ctx context.Context) map[string]func() error {
	readers := map[string]func() error{
		wanted: func() error { return s.readWanted(ctx) }, podsOfAll: func() error { return s.readPods(ctx) },
	}
	for what, list := range s.emptyLists() {
		readers[what] = func() error {
			err := s.cluster.client.List(ctx, list, listOptions(what)...)
			if meta.IsNoMatchError(err) && (what == issuers || what == issued) {
				return nil // there is no cert-manager
			}
			return err
		}
	}
	for what, object := range map[string]client.Object{
		certificates: &s.certificate, deployments: &s.deployment, services: &s.service,
	} {
		key := client.ObjectKey{Namespace: systemNamespace, Name: webhookName}
		if what == certificates {
			key.Name = certificateName
		}
		readers[what] = func() error { return client.IgnoreNotFound(s.cluster.client.Get(ctx, key, object)) }
	}
	return readers
}

// listOptions returns the options of a list call. Some inputs are needed only from the webhook's namespace, and a call for
// one namespace needs fewer rights.
func listOptions(what string) []client.ListOption {
	switch what {
	case configMaps, endpointSlices, issuers, issued:
		return []client.ListOption{client.InNamespace(systemNamespace)}
	}
	return nil
}

// parseConfigMap parses the values of the policies and the configuration of the webhook. It writes the errors to s.missing.
func (s *state) parseConfigMap() {
	s.missing[parameters], s.missing[configuration] = s.missing[configMaps], s.missing[configMaps]
	for _, m := range s.configMaps.Items {
		if m.Name == webhookName {
			s.config, s.missing[configuration] = config.Parse([]byte(m.Data[configurationKey]))
			if text, says := m.Data[valuesKey]; says {
				s.parameters, s.missing[parameters] = valuesOf(text)
			}
		}
	}
	if s.parameters == nil && s.missing[parameters] == nil {
		s.missing[parameters] = errors.New("the ConfigMap " + webhookName + " does not have them")
	}
	if s.config == nil && s.missing[configuration] == nil {
		s.missing[configuration] = errors.New("there is no ConfigMap " + webhookName)
	}
}

// unreadable returns the findings about the inputs of a check that could not be read. Inputs with the same error have one
// finding.
func (s *state) unreadable(inputs []string) (found []Finding) {
	var reported []error
	for _, what := range inputs {
		err := s.missing[what]
		if err == nil || slices.Contains(reported, err) {
			continue
		}
		reported = append(reported, err)
		if apierrors.IsForbidden(err) {
			found = append(found, unknown("", "unknown without the right to read %s: %s: bind deploy/examples/checker.yaml",
				what, oneLine(err)))
			continue
		}
		found = append(found, unknown("", "unknown, because %s could not be read: %s", what, oneLine(err)))
	}
	return found
}

// words returns the elements of a list in s.parameters, where valuesOf has joined them with spaces.
func (s *state) words(parameter string) []string { return strings.Fields(s.parameters[parameter]) }

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
