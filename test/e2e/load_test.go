package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

const (
	// admissionsPerSecond is five times the steady rate of new Pods with which SIG Scalability tests clusters.
	admissionsPerSecond = 100
	// maxConcurrentAdmissions is the largest number of concurrent admissions. On a slow machine it makes the rate lower than
	// admissionsPerSecond. Without this limit, calls of the webhook would take longer than the API server waits.
	maxConcurrentAdmissions = 8
	// admissionLimit is the time limit for one admission. The API server usually responds earlier, because it waits only 2 s
	// for each call of the mutating and the validating webhook.
	admissionLimit = 10 * time.Second
)

// load creates notebooks in dry runs, at a constant rate and without retries, and records the results.
type load struct {
	namespace string
	client    *kubernetes.Clientset
	began     time.Time
	stop      context.CancelFunc
	ended     chan struct{}

	lock       sync.Mutex
	admissions []admission
}

type admission struct {
	began time.Time
	took  time.Duration
	// injected is the result of injectedPart if the Pod was admitted, and empty otherwise.
	injected string
	denied   error
	// noResponse is the error of the client if the API server did not respond.
	noResponse error
}

// loadPod returns a notebook Pod to create. The Pod gets no random value, such as the name of a token's volume, so that the
// results of admissions can be compared.
func loadPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "loaded", Labels: map[string]string{"jupyter-user": "alice"}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(bool),
			Containers:                   []corev1.Container{{Name: "notebook", Image: images.DockerStacks}},
		},
	}
}

// newLoad returns a load that creates Pods as carol.
func newLoad(t *testing.T, namespace string) *load {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.carol.Config)
	require.NoError(t, err)
	return &load{namespace: namespace, client: client, ended: make(chan struct{})}
}

// startLoad begins to create Pods in the background.
func (l *load) startLoad(ctx context.Context) {
	ctx, l.stop = context.WithCancel(ctx)
	l.began = time.Now()
	go func() {
		defer close(l.ended)
		var out sync.WaitGroup
		defer out.Wait()
		slots := make(chan struct{}, maxConcurrentAdmissions)
		for next := l.began; ; next = next.Add(time.Second / admissionsPerSecond) {
			// If the load is behind its schedule, it makes up for the admissions of the last second only.
			if latest := time.Now().Add(-time.Second); next.Before(latest) {
				next = latest
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(next)):
			}
			slots <- struct{}{}
			out.Go(func() {
				a := l.admit(context.WithoutCancel(ctx))
				<-slots
				l.lock.Lock()
				defer l.lock.Unlock()
				l.admissions = append(l.admissions, a)
			})
		}
	}()
}

// stopLoad stops the load, and waits until the last admission has ended.
func (l *load) stopLoad() {
	l.stop()
	<-l.ended
}

// admit creates one Pod in a dry run, without the client's own retries.
func (l *load) admit(ctx context.Context) admission {
	ctx, cancel := context.WithTimeout(ctx, admissionLimit)
	defer cancel()
	a, pod := admission{began: time.Now()}, &corev1.Pod{}
	err := l.client.CoreV1().RESTClient().Post().Namespace(l.namespace).Resource("pods").Param("dryRun", metav1.DryRunAll).
		MaxRetries(0).Body(loadPod()).Do(ctx).Into(pod)
	a.took = time.Since(a.began)
	var status apierrors.APIStatus
	switch {
	case err == nil:
		a.injected = injectedPart(pod)
	case errors.As(err, &status):
		a.denied = err
	default:
		a.noResponse = err
	}
	return a
}

// injectedPart returns the annotations and the spec of a Pod as text, for comparisons. The webhook changes no other part of
// a Pod.
func injectedPart(pod *corev1.Pod) string {
	text, _ := json.Marshal(map[string]any{"annotations": pod.Annotations, "spec": pod.Spec})
	return string(text)
}

func (l *load) between(from, to time.Time) (found []admission) {
	l.lock.Lock()
	defer l.lock.Unlock()
	for _, a := range l.admissions {
		if !a.began.Before(from) && a.began.Before(to) {
			found = append(found, a)
		}
	}
	return found
}

// awaitAdmissions waits until the given number of admissions have ended. It counts only admissions that began after the
// call of awaitAdmissions.
func (l *load) awaitAdmissions(t *testing.T, number int) {
	t.Helper()
	now := time.Now()
	require.NoError(t, await(t.Context(), machine.Patience, func(context.Context) (bool, error) {
		return len(l.between(now, time.Now())) >= number, nil
	}))
}

// countResponses returns how many admissions got a response from the API server.
func countResponses(all []admission) (number int) {
	for _, a := range all {
		if a.noResponse == nil {
			number++
		}
	}
	return number
}

func figures(name string, lasted time.Duration, admissions []admission) string {
	var admitted, denied, noResponse int
	var took []time.Duration
	for _, a := range admissions {
		switch {
		case a.denied != nil:
			denied++
		case a.noResponse != nil:
			noResponse++
		default:
			admitted++
			took = append(took, a.took)
		}
	}
	slices.Sort(took)
	quantile := func(percent int) string {
		if len(took) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f", took[(len(took)-1)*percent/100].Seconds()*1000)
	}
	return fmt.Sprintf("| %s | %.1f | %d | %d | %d | %d | %s | %s | %s |", name, lasted.Seconds(), len(admissions), admitted,
		denied, noResponse, quantile(50), quantile(99), quantile(100))
}

var figuresHead = strings.Join([]string{
	"| under load | s | asked | admitted | denied | API server away | p50 ms | p99 ms | most ms |",
	"|---|--:|--:|--:|--:|--:|--:|--:|--:|",
}, "\n")
