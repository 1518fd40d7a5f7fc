package check

import (
	"context"
	"fmt"
	"sync"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// callTimeout is the time limit of one call to the API server.
const callTimeout = 10 * time.Second

// Cluster has the clients of a live cluster.
type Cluster struct {
	// Namespace is the namespace that kubectl would use.
	Namespace string

	client    client.Client
	discovery discovery.ServerVersionInterface
}

// Connect returns the cluster of a kubeconfig, which it finds as kubectl does. Connect does not call the API server.
func Connect(kubeconfig, context string) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	c, err := loaded.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	namespace, _, err := loaded.Namespace()
	if err != nil {
		return nil, fmt.Errorf("find the namespace: %w", err)
	}
	return connect(c, namespace)
}

func connect(c *rest.Config, namespace string) (*Cluster, error) {
	c.Timeout = callTimeout
	// -1 means no limit by the client: there are few calls, and the API server limits them.
	c.QPS = -1
	c.WarningHandler, c.WarningHandlerWithContext = nil, warningCollector{}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	api, err := client.New(c, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	versions, err := discovery.NewDiscoveryClientForConfig(c)
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	return &Cluster{Namespace: namespace, client: api, discovery: versions}, nil
}

// newScheme returns a scheme with the types that this package reads or sends.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		admissionv1.AddToScheme, appsv1.AddToScheme, authorizationv1.AddToScheme, corev1.AddToScheme, discoveryv1.AddToScheme,
		networkingv1.AddToScheme, rbacv1.AddToScheme, storagev1.AddToScheme, certmanagerv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register the API's types: %w", err)
		}
	}
	return scheme, nil
}

// warningList collects the warnings that an API server returns.
type warningList struct {
	lock     sync.Mutex
	warnings []string
}

// collectWarnings returns a context for calls, and the list to which the warnings of these calls are added.
func collectWarnings(ctx context.Context) (context.Context, *warningList) {
	h := &warningList{}
	return context.WithValue(ctx, warningsKey{}, h), h
}

type warningsKey struct{}

// warningCollector adds the warnings of a call to the list in the context of the call. It drops the warnings of a call
// without a list: only the warnings about the Pod of the dry run are needed.
type warningCollector struct{}

func (warningCollector) HandleWarningHeaderWithContext(ctx context.Context, _ int, _, text string) {
	if h, listens := ctx.Value(warningsKey{}).(*warningList); listens {
		h.lock.Lock()
		defer h.lock.Unlock()
		h.warnings = append(h.warnings, text)
	}
}
