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
	// readyLimit is the time limit for a JupyterLab on one emulated CPU of a busy machine.
	readyLimit = 10 * time.Minute
	// goneLimit is the time limit for the end of a Pod.
	goneLimit = 2 * machine.Patience
)

// withProbes is the flag of kubectl run that adds probes to the small server, so that its Pod is Ready when it serves.
const withProbes = "--annotations=jupyter-user.io/probes=on"

// pod is a Pod that carol runs on the second node.
type pod struct{ namespace, name string }

// run runs a Pod of the plain image as carol, and removes it when the test ends.
func run(t *testing.T, in space, name, user string, more ...string) pod {
	t.Helper()
	return runOn(t, nodeName, in, name, user, images.Plain, more...)
}

// runOn does the same as run on a given node.
func runOn(t *testing.T, on string, in space, name, user, image string, more ...string) pod {
	t.Helper()
	result, p := try(t, on, in, name, user, image, more...)
	require.Zero(t, result.ExitCode, result.Stderr)
	return p
}

// try runs a Pod on a node, and returns the result, which may be a denial.
func try(t *testing.T, on string, in space, name, user, image string, more ...string) (controlplane.Result, pod) {
	t.Helper()
	placed, err := json.Marshal(map[string]any{"spec": map[string]any{"nodeSelector": map[string]string{"kubernetes.io/hostname": on}}})
	require.NoError(t, err)
	result, err := world.carol.Kubectl(t.Context(), append([]string{"run", name, "-n", in.name, "--image=" + image,
		"--labels=jupyter-user=" + user, "--overrides=" + string(placed), withProbes}, more...)...)
	require.NoError(t, err)
	p := pod{in.name, name}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), goneLimit)
		defer cancel()
		if t.Failed() {
			t.Log(p.story(ctx))
		}
		assert.NoError(t, p.remove(ctx))
	})
	return result, p
}

// remove deletes the pod and waits until it is gone.
func (p pod) remove(ctx context.Context) error {
	pods := world.Client.CoreV1().Pods(p.namespace)
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

// story returns the events and logs in which a user would find out why the Pod does not work.
func (p pod) story(ctx context.Context) string {
	var told strings.Builder
	for _, arguments := range [][]string{
		{"describe", "pod", p.name, "-n", p.namespace},
		{"logs", p.name, "-n", p.namespace, "--all-containers", "--tail=40", "--prefix"},
	} {
		result, err := world.Admin.Kubectl(ctx, arguments...)
		fmt.Fprintln(&told, result.Stdout, result.Stderr, err)
	}
	for _, on := range []*node.Second{world.nfs, world.other} {
		fmt.Fprintln(&told, on.Name, on.Logs(ctx))
	}
	return told.String()
}

// await waits until the Pod meets a condition.
func (p pod) await(t *testing.T, what string, condition func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var got *corev1.Pod
	err := await(t.Context(), readyLimit, func(ctx context.Context) (bool, error) {
		var err error
		got, err = world.Client.CoreV1().Pods(p.namespace).Get(ctx, p.name, metav1.GetOptions{})
		return err == nil && condition(got), err
	})
	require.NoError(t, err, "%s/%s: %s", p.namespace, p.name, what)
	return got
}

// get returns the pod as it is now.
func (p pod) get(t *testing.T) *corev1.Pod {
	t.Helper()
	got, err := world.Client.CoreV1().Pods(p.namespace).Get(t.Context(), p.name, metav1.GetOptions{})
	require.NoError(t, err)
	return got
}

// ready waits until the pod is Ready.
func (p pod) ready(t *testing.T) *corev1.Pod {
	t.Helper()
	return p.await(t, "to be Ready", node.IsReady)
}
