package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/hub"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// jupyterHub is a running hub, and the namespace of its servers.
type jupyterHub struct {
	*hub.Hub
	namespace string
}

// spawnLimit is the time limit for the start of a server. It is the start_timeout of hub/jupyterhub_config.py, 300 s, which
// is the default of the chart Zero to JupyterHub.
const spawnLimit = 5 * time.Minute

// hubRules are the rights that the chart Zero to JupyterHub gives to its hub.
var hubRules = []rbacv1.PolicyRule{
	{APIGroups: []string{""}, Resources: []string{"pods", "persistentvolumeclaims", "secrets", "services"},
		Verbs: []string{"get", "watch", "list", "create", "delete"}},
	{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"get", "watch", "list"}},
}

// startHub makes a namespace, and starts a hub that creates its servers there, as deploy/docs/jupyterhub.md describes. The
// hub may use the given homes, or every home if none is given. The hub ends with the test.
func startHub(t *testing.T, namespace, level string, options hub.Options, homes ...string) jupyterHub {
	t.Helper()
	ctx := t.Context()
	var err error
	options.Programs, err = hub.Build(ctx, os.Stderr, options.Release)
	require.NoError(t, err)
	require.NoError(t, cluster.makeNamespace(ctx, namespace, level))
	require.NoError(t, cluster.apply(ctx, fmt.Sprintf(shareTemplate, namespace, cluster.share.root)))
	makeClaimVolumes(t, namespace)
	account, err := cluster.allowUseOfEveryHome(ctx, namespace)
	require.NoError(t, err)
	if len(homes) > 0 {
		require.NoError(t, cluster.Admin.Do(ctx, "", "delete", "rolebinding", "hub-uses-every-home", "-n", namespace))
		require.NoError(t, cluster.allowUse(ctx, account, namespace, homes...))
	}
	require.NoError(t, cluster.Allow(ctx, namespace, account, hubRules...))

	options.Folder = filepath.Join(cluster.Enclosure.Folder, namespace)
	require.NoError(t, os.MkdirAll(options.Folder, 0o755))
	options.Kubeconfig, err = cluster.kubeconfigOf(ctx, namespace, "hub", options.Folder)
	require.NoError(t, err)
	options.Namespace, options.Address = namespace, node.Address
	if options.Image == "" {
		options.Image = images.Z2JH
	}
	running, err := hub.Start(ctx, options)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(running.Log())
		}
		running.Stop()
	})
	return jupyterHub{running, namespace}
}

// kubeconfigOf writes a kubeconfig with a token of a ServiceAccount, and returns its path. A Pod with this ServiceAccount
// would get the same rights.
func (c *testCluster) kubeconfigOf(ctx context.Context, namespace, account, folder string) (string, error) {
	made, err := c.Client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, &authenticationv1.TokenRequest{},
		metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	config := api.NewConfig()
	config.Clusters["e2e"] = &api.Cluster{Server: c.Admin.Config.Host, CertificateAuthorityData: c.Admin.Config.CAData}
	config.AuthInfos["hub"] = &api.AuthInfo{Token: made.Status.Token}
	config.Contexts["hub"] = &api.Context{Cluster: "e2e", AuthInfo: "hub"}
	config.CurrentContext = "hub"
	path := filepath.Join(folder, "kubeconfig")
	return path, clientcmd.WriteToFile(*config, path)
}

// claimVolumes is the number of volumes for the claims of one hub's servers. It must be at least the number of servers that
// get a claim.
const claimVolumes = 20

// makeClaimVolumes makes volumes for the claims of a hub's servers, in place of a provisioner.
func makeClaimVolumes(t *testing.T, namespace string) {
	t.Helper()
	for i := range claimVolumes {
		name := namespace + "-" + strconv.Itoa(i)
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("10Gi")},
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{
				Path: filepath.Join(cluster.Enclosure.Folder, "claims", name), Type: new(corev1.HostPathDirectoryOrCreate),
			}},
		}}
		_, err := cluster.Client.CoreV1().PersistentVolumes().Create(t.Context(), volume, metav1.CreateOptions{})
		require.NoError(t, err)
	}
}

// server is one of the servers that a user has in a hub.
type server struct {
	*hub.Session
	hub  jupyterHub
	name string
}

// logIn logs a user in, and returns the user's server with the given name. The name of the default server is empty. The Pod
// of the server is removed when the test ends.
func (h jupyterHub) logIn(t *testing.T, user, name string) server {
	t.Helper()
	session, err := h.LogIn(t.Context(), user)
	require.NoError(t, err)
	s := server{session, h, name}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*goneLimit)
		defer cancel()
		p, found := s.find(ctx)
		if found && t.Failed() {
			t.Log(p.describe(ctx))
		}
		if found {
			assert.NoError(t, p.remove(ctx))
		}
	})
	return s
}

func (s server) start(t *testing.T, options map[string]any) {
	t.Helper()
	require.NoError(t, s.Spawn(t.Context(), s.name, options))
	s.ready(t)
}

func (s server) ready(t *testing.T) {
	t.Helper()
	shown, last := s.follow(t)
	require.True(t, last.Ready, shown)
}

// startDenied starts the server, which must fail, and returns the text that the hub's page shows.
func (s server) startDenied(t *testing.T) string {
	t.Helper()
	// The error of the request is ignored, because the hub's page shows the same text.
	_ = s.Spawn(t.Context(), s.name, nil)
	shown, last := s.follow(t)
	require.True(t, last.Failed, shown)
	return shown
}

func (s server) follow(t *testing.T) (shown string, last hub.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), spawnLimit)
	defer cancel()
	events, err := s.Progress(ctx, s.name, nil)
	var text strings.Builder
	for _, event := range events {
		fmt.Fprintln(&text, event.Message)
	}
	require.NoError(t, err, text.String())
	return text.String(), events[len(events)-1]
}

// allServers returns the user's servers, and whether each is ready.
func (s server) allServers(t *testing.T) map[string]bool {
	t.Helper()
	servers, err := s.Servers(t.Context())
	require.NoError(t, err)
	return servers
}

// find returns the Pod whose environment variables from KubeSpawner name this user and this server.
func (s server) find(ctx context.Context) (pod, bool) {
	list, err := cluster.Client.CoreV1().Pods(s.hub.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=jupyterhub"})
	if err != nil {
		return pod{}, false
	}
	for _, p := range list.Items {
		environment := map[string]string{}
		for _, variable := range p.Spec.Containers[0].Env {
			environment[variable.Name] = variable.Value
		}
		if environment["JUPYTERHUB_USER"] == s.User && environment["JUPYTERHUB_SERVER_NAME"] == s.name {
			return pod{s.hub.namespace, p.Name}, true
		}
	}
	return pod{}, false
}

func (s server) pod(t *testing.T) pod {
	t.Helper()
	p, found := s.find(t.Context())
	require.True(t, found, "%s/%s has no pod", s.User, s.name)
	return p
}

func (s server) jupyter(t *testing.T) jupyter {
	t.Helper()
	token, err := s.Token(t.Context())
	require.NoError(t, err)
	return jupyter{Base: s.Server(s.name), Token: token}
}

// assertOwnedBy asserts that the server's processes and a kernel run as the owner of a home.
func (s server) assertOwnedBy(t *testing.T, name string) {
	t.Helper()
	owner := homeOf(name)
	assertOwned(t, s.pod(t), owner)
	printed := s.jupyter(t).Kernel(t).Run(t, "import os; print(os.getuid(), os.getgid(), os.environ['HOME'])")
	assert.Equal(t, fmt.Sprintf("%d %d /home/%s\n", owner.uid, owner.gid, name), printed)
}
