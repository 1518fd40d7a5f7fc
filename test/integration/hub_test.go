package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/hub"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

const (
	hubUsers = 100
	// concurrentLogIns is the number of users who start their server at the same time. It is less than the hub's limit of
	// 64, above which the hub tells users to try again.
	concurrentLogIns = 16
	hubLimit         = time.Minute
	// hubPatience is the time that KubeSpawner waits for a response of the API server by default, before it sends the
	// request again.
	hubPatience = 3 * time.Second
	// kwokNode is the node of the Pods. kwokNetwork is the beginning of the Pods' addresses, which are loopback addresses
	// of this machine.
	kwokNode    = "kwok"
	kwokNetwork = "127.88.0."
)

// hubTrouble matches lines of the hub's log about a retry, about a Pod that exists already (409), or about an error.
var hubTrouble = regexp.MustCompile(`(?m)^.*(?:Found existing pod|\b409\b (?:GET|POST|PUT)|\(409\)|Traceback|[Tt]imed out).*$|^\[E .*$`)

// TestHubWithHundredUsers runs the real hub with KubeSpawner against a real API server with the webhook and the policies.
// KWOK makes the Pods Ready in place of a kubelet. A server of this test responds for each Pod like a single-user server.
// The hub must create each Pod once. If a response is later than hubPatience, a hub with the default timeout tries again and
// finds that the Pod exists (409). The hub of this test waits longer (hub.Patient), so the test compares the times of the
// responses with hubPatience itself. It reads these times from the API server's metrics, because times that the hub measures
// include the time in which the hub waits for a processor.
func TestHubWithHundredUsers(t *testing.T) {
	if os.Getenv("E2E") == "" {
		t.Skip("skipped: this test needs an installed JupyterHub. make e2e runs it")
	}
	c := start(t)
	servers := startServers(t)
	c.startKwok(t)
	h := c.startHub(t, servers)

	watch, before := machine.WatchDuring(t), c.countPodCreations(t)
	durations := make([]time.Duration, hubUsers)
	began := time.Now()
	c.logAllIn(t, h, durations)
	all := time.Since(began)
	slices.Sort(durations)
	t.Logf("%d servers in %s, %.1f a second; half of them within %s, the slowest %s", hubUsers, all.Round(time.Millisecond),
		hubUsers/all.Seconds(), durations[hubUsers/2].Round(time.Millisecond), durations[hubUsers-1].Round(time.Millisecond))

	watch.Within(t, all, hubLimit, "a hundred servers")
	slowest := c.countPodCreations(t).assertCreatedOnce(t, before)
	t.Logf("the API server responded to each creation within %s", slowest)
	watch.Within(t, slowest, hubPatience, "the slowest creation of a pod")
	assert.Equal(t, hubUsers, strings.Count(h.Log(), "Attempting to create pod "), "the hub creates each Pod once")
	assert.Empty(t, hubTrouble.FindAllString(h.Log(), -1))
	c.assertHubPods(t, servers)
}

// logAllIn logs in all users, starts their servers, and waits until the hub reports that the servers run. It writes the time
// that each start took to durations.
func (c *cluster) logAllIn(t *testing.T, h *hub.Hub, durations []time.Duration) {
	t.Helper()
	var group sync.WaitGroup
	slots := make(chan struct{}, concurrentLogIns)
	for i := range durations {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			session, err := h.LogIn(t.Context(), hubUser(i))
			if !assert.NoError(t, err) {
				return
			}
			began := time.Now()
			assert.NoError(t, session.Spawn(t.Context(), "", nil))
			events, err := session.Progress(t.Context(), "", nil)
			if assert.NoError(t, err) {
				assert.True(t, events[len(events)-1].Ready, "%v", events)
			}
			durations[i] = time.Since(began)
		})
	}
	group.Wait()
	require.False(t, t.Failed(), h.Log())
}

func hubUser(i int) string { return fmt.Sprintf("user-%03d", i) }

// assertHubPods asserts that there are as many Pods as users, that each Pod was injected for its hub user, and that the
// Pod's address got the requests for the user's server.
func (c *cluster) assertHubPods(t *testing.T, servers *servers) {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Admin.Config)
	require.NoError(t, err)
	list, err := client.CoreV1().Pods("jhub").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, list.Items, hubUsers)
	for _, pod := range list.Items {
		user := pod.Annotations["hub.jupyter.org/username"]
		assert.Equal(t, user, pod.Annotations["jupyter-user.io/user"])
		assert.Equal(t, "jupyter-user-init", pod.Spec.InitContainers[0].Name)
		assert.Contains(t, servers.requested(pod.Status.PodIP), "/user/"+user+"/")
	}
}

// startHub starts a hub with KubeSpawner in namespace jhub. Its ServiceAccount may use every home there.
func (c *cluster) startHub(t *testing.T, servers *servers) *hub.Hub {
	t.Helper()
	programs, err := hub.Build(t.Context(), os.Stderr, hub.KubeSpawner7)
	require.NoError(t, err)
	require.NoError(t, c.Namespace(t.Context(), "jhub", map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}))
	account, err := c.User("system:serviceaccount:jhub:hub")
	require.NoError(t, err)
	require.NoError(t, c.Allow(t.Context(), "jhub", account, mayUse(),
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods", "persistentvolumeclaims", "secrets", "services"},
			Verbs: []string{"get", "watch", "list", "create", "delete"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"get", "watch", "list"}}))
	h, err := hub.Start(t.Context(), hub.Options{
		Programs: programs, Release: hub.KubeSpawner7, Folder: filepath.Join(t.TempDir(), "hub"), Kubeconfig: account.Kubeconfig,
		Namespace: "jhub", Address: "127.0.0.1", Image: "quay.io/jupyterhub/k8s-singleuser-sample:4.4.0",
		Config: hub.Patient + fmt.Sprintf("c.KubeSpawner.port = %d\nc.KubeSpawner.extra_pod_config = {'nodeName': '%s'}\n"+
			"c.KubeSpawner.http_timeout = 300\n", servers.port, kwokNode),
	})
	require.NoError(t, err)
	t.Cleanup(h.Stop)
	return h
}

// startKwok creates a node and starts KWOK in place of its kubelet.
func (c *cluster) startKwok(t *testing.T) {
	t.Helper()
	built, err := tools.Build(t.Context(), os.Stderr, tools.Kwok)
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(c.Admin.Config)
	require.NoError(t, err)
	_, err = client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: kwokNode}},
		metav1.CreateOptions{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	kwok := osexec.CommandContext(ctx, built[tools.Kwok], "--kubeconfig="+c.Admin.Kubeconfig, "--config=testdata/kwok.yaml",
		"--manage-all-nodes", "--cidr="+kwokNetwork+"0/24", "--node-lease-duration-seconds=0", "--v=ERROR")
	kwok.Env = append(os.Environ(), "HOME="+t.TempDir())
	kwok.Stdout, kwok.Stderr = t.Output(), t.Output()
	require.NoError(t, kwok.Start())
	t.Cleanup(func() {
		cancel()
		_ = kwok.Wait() // The error is that cancel has killed KWOK.
	})
}

// servers responds in place of the single-user servers, at every address that a Pod can have.
type servers struct {
	port  int
	mutex sync.Mutex
	// paths has the requested paths, by address.
	paths map[string][]string
}

func startServers(t *testing.T) *servers {
	t.Helper()
	s := &servers{paths: map[string][]string{}}
	for _, listener := range s.listeners(t) {
		server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(func() { _ = server.Close() })
	}
	return s
}

// listeners listens at every address that a Pod can have, with the same port. If the port of one address is in use,
// listeners tries another port for all addresses.
func (s *servers) listeners(t *testing.T) (all []net.Listener) {
	t.Helper()
	for i := 1; i < 255; i++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("%s%d:%d", kwokNetwork, i, s.port))
		if errors.Is(err, syscall.EADDRINUSE) {
			for _, taken := range all {
				require.NoError(t, taken.Close())
			}
			s.port = 0
			return s.listeners(t)
		}
		require.NoError(t, err)
		s.port = listener.Addr().(*net.TCPAddr).Port
		all = append(all, listener)
	}
	return all
}

// ServeHTTP responds like JupyterHub's single-user server.
func (s *servers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	host, _, _ := net.SplitHostPort(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
	s.paths[host] = append(s.paths[host], r.URL.Path)
	w.Header().Set("X-JupyterHub-Version", "6.1.1")
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintln(w, `{"version": "2.17.0"}`)
}

// requested returns the paths that were requested at an address.
func (s *servers) requested(address string) string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return strings.Join(s.paths[address], " ")
}
