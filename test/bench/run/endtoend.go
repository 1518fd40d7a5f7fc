package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/bench/pods"
)

// The namespaces in which the benchmarks create Pods. Each namespace has the name of what is installed for it: webhooks, a
// policy, or nothing.
const (
	nothing  = "nothing"
	inCore   = "in-core-cel"
	constant = "constant-patch"
	empty    = "empty-webhook"
	ours     = "ours"
	verified = "ours-and-verifier"
)

// user is the user of all Pods that are created end to end, so that the API server has the same work with each.
const user = "alice"

func measureEndToEnd(ctx context.Context, counts repetitions, r *report) error {
	plane, err := startPlane(ctx)
	if err != nil {
		return err
	}
	r.Versions["kube-apiserver"], err = plane.serverVersion()
	if err == nil {
		err = plane.measure(ctx, counts, r)
	}
	return errors.Join(err, plane.Stop())
}

func (c *cluster) measure(ctx context.Context, counts repetitions, r *report) error {
	stop, err := c.install(ctx)
	if err != nil {
		return errors.Join(err, stop())
	}
	err = c.compare(ctx, counts, r, []string{nothing, inCore, constant, empty, ours, verified})
	if err == nil {
		err = c.measureInstalled(ctx, counts, r)
	}
	return errors.Join(err, stop())
}

// created has times of creating a Pod, in milliseconds, by namespace.
type created map[string][]float64

// compare measures how much longer the creation of a Pod takes in each namespace than in a namespace without webhooks and
// policies.
func (c *cluster) compare(ctx context.Context, counts repetitions, r *report, namespaces []string) error {
	const part = "end to end"
	added := map[bool]created{}
	for _, dryRun := range []bool{true, false} {
		found, err := c.rounds(ctx, counts, dryRun, namespaces)
		if err != nil {
			return err
		}
		added[dryRun] = found
	}
	over := func(dryRun bool, namespace string) float64 {
		differences := make([]float64, counts.rounds)
		for i := range differences {
			differences[i] = added[dryRun][namespace][i] - added[dryRun][nothing][i]
		}
		return median(differences)
	}
	r.add(
		row{Part: part, Measure: "added ÷ by a constant patch, dry run", Value: over(true, ours) / over(true, constant), Gate: 1.4, Stretch: 1.2},
		row{Part: part, Measure: "added ÷ by in-core CEL, dry run", Value: over(true, ours) / over(true, inCore), Gate: 1.3, Stretch: 1.1},
		row{Part: part, Measure: "added, persisted ÷ dry run", Value: over(false, ours) / over(true, ours), Gate: 2, Stretch: 1.3},
	)
	for _, namespace := range namespaces[1:] {
		for kind, dryRun := range map[string]bool{"dry run": true, "persisted": false} {
			r.add(row{Part: part, Measure: "added by " + namespace + ", " + kind, Value: over(dryRun, namespace), Unit: "ms"})
		}
	}
	r.add(row{Part: part, Measure: "a create with nothing, dry run", Value: median(added[true][nothing]), Unit: "ms"},
		row{Part: part, Measure: "a create with nothing, persisted", Value: median(added[false][nothing]), Unit: "ms"})
	return nil
}

// rounds creates Pods in all namespaces in turn, with a random order of the namespaces in each round. It returns, for each
// namespace, the median time of each round.
func (c *cluster) rounds(ctx context.Context, counts repetitions, dryRun bool, namespaces []string) (created, error) {
	found := created{}
	turn := append([]string(nil), namespaces...)
	for round := range counts.rounds + 1 {
		rand.Shuffle(len(turn), func(i, j int) { turn[i], turn[j] = turn[j], turn[i] })
		took := created{}
		for range counts.creates {
			for _, namespace := range turn {
				began := time.Now()
				if _, err := c.create(ctx, namespace, dryRun); err != nil {
					return nil, fmt.Errorf("in %s: %w", namespace, err)
				}
				took[namespace] = append(took[namespace], time.Since(began).Seconds()*1000)
			}
		}
		for namespace, figures := range took {
			if round > 0 { // The first round opens connections and compiles expressions, so it is not counted.
				found[namespace] = append(found[namespace], median(figures))
			}
		}
	}
	return found, nil
}

func (c *cluster) create(ctx context.Context, namespace string, dryRun bool) (*corev1.Pod, error) {
	c.podCount++
	pod := pods.Small(user)
	if namespace == nothing || namespace == ordinary || namespace == onePolicy {
		// In the namespace ordinary, Pods must be no notebooks. The namespaces nothing and onePolicy get the same Pod, for comparison.
		pod = pods.Unlabelled(pod)
	}
	pod.ObjectMeta = metav1.ObjectMeta{Name: "nb-" + strconv.Itoa(c.podCount), Labels: pod.Labels, Annotations: pod.Annotations}
	// The request has no volume and no mount for the token, because the ServiceAccount plugin adds both.
	pod.Spec.Volumes = pod.Spec.Volumes[:1]
	pod.Spec.Containers[0].VolumeMounts = pod.Spec.Containers[0].VolumeMounts[:1]
	options := metav1.CreateOptions{}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return c.client.CoreV1().Pods(namespace).Create(ctx, pod, options)
}
