package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
)

// BenchmarkRunToReady measures the time from kubectl run until the Pod is Ready. It compares Pods without the label, with
// discovery at start and with discovery at admission. Each of them runs as JupyterLab with probes and as a small server
// without probes. The small server starts faster, so the webhook's part of the time is larger. One iteration runs one Pod
// of each kind, one after the other.
func BenchmarkRunToReady(b *testing.B) {
	kinds := []struct {
		name, namespace, image string
		arguments              []string
	}{
		{"jupyterlab-without", "default", images.DockerStacks, nil},
		{"jupyterlab-at-start", atStart.namespace, images.DockerStacks, []string{"--labels=jupyter-user=alice"}},
		{"jupyterlab-at-admission", atAdmission.namespace, images.DockerStacks, []string{"--labels=jupyter-user=alice"}},
		{"small-without", "default", images.Plain, []string{"--command", "--", "hello"}},
		{"small-at-start", atStart.namespace, images.Plain, []string{"--labels=jupyter-user=alice", "--command", "--", "hello"}},
		{"small-at-admission", atAdmission.namespace, images.Plain, []string{"--labels=jupyter-user=alice", "--command", "--", "hello"}},
	}
	took := map[string]time.Duration{}
	for b.Loop() {
		for _, kind := range kinds {
			p := pod{kind.namespace, kind.name}
			began := time.Now()
			command := []string{"run", kind.name, "-n", kind.namespace, "--image=" + kind.image}
			if kind.name == "jupyterlab-without" {
				command = append(command, "--overrides="+probesOverride)
			}
			require.NoError(b, cluster.Admin.Do(b.Context(), "", append(command, kind.arguments...)...))
			require.NoError(b, p.awaitReady(b.Context()))
			took[kind.name] += time.Since(began)
			require.NoError(b, p.remove(b.Context()))
		}
	}
	b.ReportMetric(0, "ns/op") // The value 0 leaves ns/op out, because the sum of all kinds has no meaning.
	for name, sum := range took {
		b.ReportMetric(sum.Seconds()/float64(b.N), "s/"+name)
	}
}

// probesOverride is the value of kubectl run --overrides for the JupyterLab without the label. Its probes have the same
// periods as the injected probes. Some timeouts and thresholds differ.
var probesOverride = strings.ReplaceAll(fmt.Sprintf(`{"spec":{"containers":[{"name":"jupyterlab-without","image":%q,
"startupProbe":{"httpGet":{"path":"/api","port":8888},"periodSeconds":1,"timeoutSeconds":5,"failureThreshold":180},
"readinessProbe":{"httpGet":{"path":"/api","port":8888},"periodSeconds":2,"timeoutSeconds":5,"failureThreshold":3},
"livenessProbe":{"httpGet":{"path":"/api","port":8888},"periodSeconds":3,"timeoutSeconds":3,"failureThreshold":4}}]}}`,
	images.DockerStacks), "\n", "")

// awaitReady waits until the Pod is Ready. It uses a watch, because polling would make the measured time longer.
func (p pod) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	events, err := cluster.Client.CoreV1().Pods(p.namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + p.name})
	if err != nil {
		return err
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		if got, ok := event.Object.(*corev1.Pod); ok && node.IsReady(got) {
			return nil
		}
	}
	return fmt.Errorf("%s/%s was not Ready within %s", p.namespace, p.name, readyLimit)
}
