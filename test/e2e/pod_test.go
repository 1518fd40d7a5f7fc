package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

const (
	// readyLimit is the time limit until a JupyterLab is ready on a busy machine with two cores. On an idle machine it
	// takes five seconds.
	readyLimit = 10 * time.Minute
	goneLimit  = machine.Patience
)

type pod struct {
	namespace, name string
}

// kubectl runs kubectl as carol.
func kubectl(t *testing.T, arguments ...string) controlplane.Result {
	t.Helper()
	return kubectlAs(t, cluster.carol, arguments...)
}

func kubectlAs(t *testing.T, user *controlplane.User, arguments ...string) controlplane.Result {
	t.Helper()
	result, err := user.Kubectl(t.Context(), arguments...)
	require.NoError(t, err)
	return result
}

// run creates a Pod with kubectl run NAME --image=IMAGE --labels=jupyter-user=USER and more arguments. It removes the Pod when
// the test ends.
func run(t *testing.T, in discovery, name, user, image string, more ...string) pod {
	t.Helper()
	arguments := []string{"run", name, "-n", in.namespace, "--image=" + image, "--labels=jupyter-user=" + user}
	result := kubectl(t, append(arguments, more...)...)
	require.Zero(t, result.ExitCode, result.Stderr)
	return removeAtEnd(t, in.namespace, name)
}

// create creates a Pod from YAML, as carol, and removes the Pod when the test ends. name must be the name of the Pod in the
// YAML.
func create(t *testing.T, in discovery, name, yaml string) pod {
	t.Helper()
	result := tryCreate(t, in, yaml)
	require.Zero(t, result.ExitCode, result.Stderr)
	return removeAtEnd(t, in.namespace, name)
}

// tryCreate creates an object from YAML, as carol, and returns the result of kubectl, which may be a denial.
func tryCreate(t *testing.T, in discovery, yaml string) controlplane.Result {
	t.Helper()
	return tryCreateAs(t, cluster.carol, in.namespace, yaml)
}

func tryCreateAs(t *testing.T, user *controlplane.User, namespace, yaml string) controlplane.Result {
	t.Helper()
	result, err := user.KubectlReading(t.Context(), yaml, "create", "-n", namespace, "-f", "-")
	require.NoError(t, err)
	return result
}

// assertDenied asserts that kubectl failed, with this text in its error.
func assertDenied(t *testing.T, result controlplane.Result, want string) {
	t.Helper()
	assert.Equal(t, 1, result.ExitCode, result.Stdout)
	assert.Contains(t, result.Stderr, want)
}

// removeAtEnd returns the Pod with the given name, and removes it when the test ends. If the test has failed, removeAtEnd
// first logs the state of the Pod.
func removeAtEnd(t *testing.T, namespace, name string) pod {
	t.Helper()
	p := pod{namespace, name}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*goneLimit)
		defer cancel()
		if t.Failed() {
			t.Log(p.describe(ctx))
		}
		assert.NoError(t, p.remove(ctx))
	})
	return p
}

// remove deletes the Pod and waits until it is gone.
func (p pod) remove(ctx context.Context) error {
	pods := cluster.Client.CoreV1().Pods(p.namespace)
	grace := int64(1) // In seconds. The Pod has no data to save.
	err := pods.Delete(ctx, p.name, metav1.DeleteOptions{GracePeriodSeconds: &grace})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return await(ctx, goneLimit, func(ctx context.Context) (bool, error) {
		_, err := pods.Get(ctx, p.name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// describe returns the events and logs in which a user would find out why the Pod does not work.
func (p pod) describe(ctx context.Context) string {
	var text strings.Builder
	for _, arguments := range [][]string{
		{"describe", "pod", p.name, "-n", p.namespace},
		{"logs", p.name, "-n", p.namespace, "--all-containers", "--tail=40", "--prefix"},
	} {
		result, err := cluster.Admin.Kubectl(ctx, arguments...)
		fmt.Fprintln(&text, result.Stdout, result.Stderr, err)
	}
	return text.String()
}

func (p pod) get(t *testing.T) *corev1.Pod {
	t.Helper()
	got, err := cluster.Client.CoreV1().Pods(p.namespace).Get(t.Context(), p.name, metav1.GetOptions{})
	require.NoError(t, err)
	return got
}

func (p pod) await(t *testing.T, limit time.Duration, what string, condition func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var got *corev1.Pod
	err := await(t.Context(), limit, func(ctx context.Context) (bool, error) {
		var err error
		got, err = cluster.Client.CoreV1().Pods(p.namespace).Get(ctx, p.name, metav1.GetOptions{})
		return err == nil && condition(got), err
	})
	require.NoError(t, err, "%s/%s: %s", p.namespace, p.name, what)
	return got
}

func (p pod) ready(t *testing.T) *corev1.Pod {
	t.Helper()
	return p.await(t, readyLimit, "to be Ready", node.IsReady)
}

func (p pod) exec(t *testing.T, command ...string) controlplane.Result {
	t.Helper()
	return kubectl(t, append([]string{"exec", p.name, "-n", p.namespace, "--"}, command...)...)
}

// processes returns the processes of the notebook container, including those of a running kubectl exec.
func (p pod) processes(t *testing.T) []node.Process {
	t.Helper()
	got := p.get(t)
	require.NotEmpty(t, got.Status.ContainerStatuses[0].ContainerID)
	var found []node.Process
	// At the start of a container, the only process in it can be that of the container runtime, which processesOf leaves
	// out.
	require.NoError(t, await(t.Context(), readyLimit, func(context.Context) (bool, error) {
		found = processesOf(got)
		return len(found) > 0, nil
	}), "%s/%s has no processes", p.namespace, p.name)
	return found
}

// processesOf returns the processes of the first container of a Pod, without those of the container runtime.
func processesOf(pod *corev1.Pod) []node.Process {
	_, id, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	return slices.DeleteFunc(node.Processes(pod.UID), func(process node.Process) bool {
		return process.Container != id || process.IsRuntime()
	})
}

// initMessage returns the termination message of the init container, or an empty string.
func initMessage(pod *corev1.Pod) string {
	for _, status := range pod.Status.InitContainerStatuses {
		for _, state := range []corev1.ContainerState{status.State, status.LastTerminationState} {
			if state.Terminated != nil {
				return state.Terminated.Message
			}
		}
	}
	return ""
}
