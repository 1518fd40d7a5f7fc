package nfs

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

const (
	// readyLimit is the time limit until a JupyterLab is ready on one emulated CPU of a busy machine.
	readyLimit = 10 * time.Minute
	goneLimit  = 2 * machine.Patience
)

// withProbes is a flag of kubectl run. It adds probes to a Pod with the small server of the image Plain, so that the Pod is
// Ready only when the server responds.
const withProbes = "--annotations=jupyter-user.io/probes=on"

// pod is a Pod that carol runs.
type pod struct{ namespace, name string }

// run creates a Pod of the image Plain on the node nfs, as carol, and removes the Pod when the test ends.
func run(t *testing.T, in nfsNamespace, name, user string, more ...string) pod {
	t.Helper()
	return runOn(t, serverNode, in, name, user, images.Plain, more...)
}

// runOn is like run, for any node and image.
func runOn(t *testing.T, on string, in nfsNamespace, name, user, image string, more ...string) pod {
	t.Helper()
	result, p := tryRun(t, on, in, name, user, image, more...)
	require.Zero(t, result.ExitCode, result.Stderr)
	return p
}

// tryRun is like runOn, but returns the result of kubectl run, which may be a denial.
func tryRun(t *testing.T, on string, in nfsNamespace, name, user, image string, more ...string) (controlplane.Result, pod) {
	t.Helper()
	placed, err := json.Marshal(map[string]any{"spec": map[string]any{"nodeSelector": map[string]string{"kubernetes.io/hostname": on}}})
	require.NoError(t, err)
	result, err := cluster.carol.Kubectl(t.Context(), append([]string{"run", name, "-n", in.name, "--image=" + image,
		"--labels=jupyter-user=" + user, "--overrides=" + string(placed), withProbes}, more...)...)
	require.NoError(t, err)
	p := pod{in.name, name}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), goneLimit)
		defer cancel()
		if t.Failed() {
			t.Log(p.describe(ctx))
		}
		assert.NoError(t, p.remove(ctx))
	})
	return result, p
}

// remove deletes the Pod and waits until it is gone.
func (p pod) remove(ctx context.Context) error {
	pods := cluster.Client.CoreV1().Pods(p.namespace)
	grace := int64(1)
	if err := pods.Delete(ctx, p.name, metav1.DeleteOptions{GracePeriodSeconds: &grace}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return await(ctx, goneLimit, func(ctx context.Context) (bool, error) {
		_, err := pods.Get(ctx, p.name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// removeAll removes Pods at the same time, because each removal waits for the end of its Pod.
func removeAll(t *testing.T, pods map[string]pod) {
	t.Helper()
	var group sync.WaitGroup
	for _, p := range pods {
		group.Go(func() { assert.NoError(t, p.remove(t.Context())) })
	}
	group.Wait()
}

// describe returns the events and logs in which a user would find out why the Pod does not work, and the logs of the nodes.
func (p pod) describe(ctx context.Context) string {
	var text strings.Builder
	for _, arguments := range [][]string{
		{"describe", "pod", p.name, "-n", p.namespace},
		{"logs", p.name, "-n", p.namespace, "--all-containers", "--tail=40", "--prefix"},
	} {
		result, err := cluster.Admin.Kubectl(ctx, arguments...)
		fmt.Fprintln(&text, result.Stdout, result.Stderr, err)
	}
	for _, on := range []*node.Extra{cluster.server, cluster.client} {
		fmt.Fprintln(&text, on.Name, on.Logs(ctx))
	}
	return text.String()
}

func (p pod) await(t *testing.T, what string, condition func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var got *corev1.Pod
	err := await(t.Context(), readyLimit, func(ctx context.Context) (bool, error) {
		var err error
		got, err = cluster.Client.CoreV1().Pods(p.namespace).Get(ctx, p.name, metav1.GetOptions{})
		return err == nil && condition(got), err
	})
	require.NoError(t, err, "%s/%s: %s", p.namespace, p.name, what)
	return got
}

func (p pod) get(t *testing.T) *corev1.Pod {
	t.Helper()
	got, err := cluster.Client.CoreV1().Pods(p.namespace).Get(t.Context(), p.name, metav1.GetOptions{})
	require.NoError(t, err)
	return got
}

func (p pod) ready(t *testing.T) *corev1.Pod {
	t.Helper()
	return p.await(t, "to be Ready", node.IsReady)
}
