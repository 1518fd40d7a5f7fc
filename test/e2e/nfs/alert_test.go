package nfs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/monitoring"
)

const (
	shareAlert = "JupyterUserShareHangs"
	// scrapeEvery is the time between two readings of the metrics.
	scrapeEvery = 2 * time.Second
	// alertOutage is an outage that is long enough for the alert: the alert's condition becomes true after at most half a
	// minute without a response, and must then be true for a minute.
	alertOutage = 3 * time.Minute
)

// recorder reads the metrics of all replicas, as Prometheus does, until it is stopped.
type recorder struct {
	*monitoring.Recording
	stop context.CancelFunc
	done chan struct{}
	// read counts the readings, each of one replica. missed counts the readings that failed.
	missed, read int
}

func record(t *testing.T) *recorder {
	t.Helper()
	recording, err := monitoring.NewRecording(shareAlert, scrapeEvery, time.Now())
	require.NoError(t, err)
	var replicas []corev1.Pod
	for _, namespace := range []string{helm.Namespace, secondName} {
		pods, err := cluster.Client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{
			LabelSelector: "app.kubernetes.io/name=" + helm.Release,
		})
		require.NoError(t, err)
		replicas = append(replicas, pods.Items...)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := &recorder{Recording: recording, stop: stop, done: make(chan struct{})}
	go r.run(ctx, replicas)
	t.Cleanup(r.end)
	return r
}

func (r *recorder) run(ctx context.Context, replicas []corev1.Pod) {
	defer close(r.done)
	ticker := time.NewTicker(scrapeEvery)
	defer ticker.Stop()
	for {
		for _, replica := range replicas {
			r.read++
			if r.scrape(ctx, replica) != nil {
				r.missed++
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (r *recorder) scrape(ctx context.Context, replica corev1.Pod) (err error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeEvery)
	defer cancel()
	at := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+replica.Status.PodIP+":8080/metrics", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", response.Status)
	}
	return r.Add(at, replica.Namespace+"/"+replica.Name, response.Body)
}

func (r *recorder) end() {
	r.stop()
	<-r.done
}

// assertAlert asserts that the shipped alert fires at the end of the outage, and that it does not fire before the outage or
// after the webhook knows all users again. If the outage was shorter than the alert needs, CheckAlert multiplies the recorded
// times (see Recording.CheckAlert). Before a release the outage is long enough, and the times are not changed.
func (r *recorder) assertAlert(t *testing.T, gone, back, known time.Time) {
	t.Helper()
	r.end()
	t.Logf("%d of %d readings of metrics were too slow", r.missed, r.read)
	stretch := int((alertOutage + outage() - 1) / outage())
	require.NoError(t, r.CheckAlert(t.Context(), stretch, []time.Time{back.Add(-scrapeEvery)}, func(at time.Time) bool {
		return !at.After(gone) || at.After(known.Add(scrapeEvery))
	}))
}
