package nfs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// TestPodsInHomes tests with Pods, and with each version of NFS, the homes that TestStartInHomes tests without a kubelet.
// The Pods are spread over two nodes with one emulated CPU each. To save CPU time, they have no server and no probes, and
// are not restarted.
func TestPodsInHomes(t *testing.T) {
	needNFS(t)
	needRelease(t)
	cases := startCases()
	for user, c := range cases {
		makeHome(t, c.home, "/srv/hpc/home/"+user)
	}
	for n, user := range slices.Sorted(maps.Keys(cases)) {
		c := cases[user]
		for m, in := range []nfsNamespace{start3, start4} {
			on := []string{serverNode, clientNode}[(n+m)%2]
			t.Run(in.name+" "+user, func(t *testing.T) {
				t.Parallel()
				p := runOn(t, on, in, user, user, images.Plain, "--annotations=jupyter-user.io/probes=off", "--restart=Never",
					"--command", "--", "sh", "-c", printOwner+" && exec sleep infinity")
				began := time.Now()
				if c.code == 0 {
					p.ready(t)
					t.Logf("Ready after %s", time.Since(began).Round(time.Second))
					require.NoError(t, await(t.Context(), machine.Patience, func(context.Context) (bool, error) {
						return strings.Contains(p.logs(t), c.want), nil
					}), "what the command prints")
					return
				}
				got := p.await(t, "to fail", func(pod *corev1.Pod) bool { return failure(pod) != "" })
				t.Logf("failed after %s", time.Since(began).Round(time.Second))
				assert.Contains(t, failure(got), c.want)
			})
		}
	}
}

// failure returns the termination message of the first failed container of the Pod, an init container or not. It returns an
// empty string if no container has failed.
func failure(pod *corev1.Pod) string {
	for _, status := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		for _, state := range []corev1.ContainerState{status.State, status.LastTerminationState} {
			if state.Terminated != nil && state.Terminated.ExitCode != 0 {
				return state.Terminated.Message
			}
		}
	}
	return ""
}

func (p pod) logs(t *testing.T) string {
	t.Helper()
	result, err := cluster.carol.Kubectl(t.Context(), "logs", p.name, "-n", p.namespace)
	require.NoError(t, err)
	require.Zero(t, result.ExitCode, result.Stderr)
	return result.Stdout
}
