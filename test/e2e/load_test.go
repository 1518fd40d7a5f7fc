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
	// admissionsPerSecond is five times the steady state that SIG Scalability holds clusters to.
	admissionsPerSecond = 100
	// admissionsAtOnce bounds what is out at a time, so that a machine which is too slow for the rate makes them fewer, and not
	// each of them slower than the API server waits.
	admissionsAtOnce = 8
	// admissionLimit is how long the API server may take for one. It waits 2 s for a webhook, twice.
	admissionLimit = 10 * time.Second
)

// A load creates notebooks by dry run, at a constant rate, whatever goes on. Nothing is tried again.
type load struct {
	namespace string
	client    *kubernetes.Clientset
	began     time.Time
	stop      context.CancelFunc
	ended     chan struct{}

	lock       sync.Mutex
	admissions []admission
}

// An admission is how one creation went.
type admission struct {
	began time.Time
	took  time.Duration
	// what was made of the pod, if it was admitted.
	made string
	// denied is what the API server answered instead.
	denied error
	// away: nobody answered.
	away error
}

// loaded is a pod that does not get anything by chance, such as the name of a token's volume.
func loaded() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "loaded", Labels: map[string]string{"jupyter-user": "alice"}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(bool),
			Containers:                   []corev1.Container{{Name: "notebook", Image: images.DockerStacks}},
		},
	}
}

// newLoad is one by carol, over a connection of its own.
func newLoad(t *testing.T, namespace string) *load {
	t.Helper()
	client, err := kubernetes.NewForConfig(world.carol.Config)
	require.NoError(t, err)
	return &load{namespace: namespace, client: client, ended: make(chan struct{})}
}

// start goes on until end is called.
func (l *load) start(ctx context.Context) {
	ctx, l.stop = context.WithCancel(ctx)
	l.began = time.Now()
	go func() {
		defer close(l.ended)
		var out sync.WaitGroup
		defer out.Wait()
		slots := make(chan struct{}, admissionsAtOnce)
		for next := l.began; ; next = next.Add(time.Second / admissionsPerSecond) {
			// By the clock, so that what a busy machine has held up for a moment is made up for.
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

// end waits until the last is answered.
func (l *load) end() {
	l.stop()
	<-l.ended
}

// admit creates one pod. The client would by itself try again where it was told to.
func (l *load) admit(ctx context.Context) admission {
	ctx, cancel := context.WithTimeout(ctx, admissionLimit)
	defer cancel()
	a, pod := admission{began: time.Now()}, &corev1.Pod{}
	err := l.client.CoreV1().RESTClient().Post().Namespace(l.namespace).Resource("pods").Param("dryRun", metav1.DryRunAll).
		MaxRetries(0).Body(loaded()).Do(ctx).Into(pod)
	a.took = time.Since(a.began)
	var status apierrors.APIStatus
	switch {
	case err == nil:
		a.made = made(pod)
	case errors.As(err, &status):
		a.denied = err
	default:
		a.away = err
	}
	return a
}

// made is all that the webhook can make of a pod, as text to be compared.
func made(pod *corev1.Pod) string {
	text, _ := json.Marshal(map[string]any{"annotations": pod.Annotations, "spec": pod.Spec})
	return string(text)
}

// between are the admissions that were asked for in a time.
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

// settle waits until a number of admissions were answered from now on, so that something is seen of what has become.
func (l *load) settle(t *testing.T, number int) {
	t.Helper()
	now := time.Now()
	require.NoError(t, await(t.Context(), machine.Patience, func(context.Context) (bool, error) {
		return len(l.between(now, time.Now())) >= number, nil
	}))
}

// answered are those that the API server has answered at all.
func answered(all []admission) (number int) {
	for _, a := range all {
		if a.away == nil {
			number++
		}
	}
	return number
}

// figures of some admissions, as a row of a Markdown table.
func figures(name string, lasted time.Duration, of []admission) string {
	var whole, denied, away int
	var took []time.Duration
	for _, a := range of {
		switch {
		case a.denied != nil:
			denied++
		case a.away != nil:
			away++
		default:
			whole++
			took = append(took, a.took)
		}
	}
	slices.Sort(took)
	quantile := func(per int) string {
		if len(took) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f", took[(len(took)-1)*per/100].Seconds()*1000)
	}
	return fmt.Sprintf("| %s | %.1f | %d | %d | %d | %d | %s | %s | %s |", name, lasted.Seconds(), len(of), whole, denied, away,
		quantile(50), quantile(99), quantile(100))
}

var figuresHead = strings.Join([]string{
	"| under load | s | asked | admitted | refused | API server away | p50 ms | p99 ms | most ms |",
	"|---|--:|--:|--:|--:|--:|--:|--:|--:|",
}, "\n")
