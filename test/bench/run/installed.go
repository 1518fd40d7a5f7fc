package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/deploy"
)

const (
	// installed is the Part of the rows about the whole product: the mutating webhook, the validating webhook and the policies.
	installed = "as installed"
	// ordinary is a namespace in which the webhooks and policies are in effect, for Pods that are no notebooks.
	ordinary = "ordinary"
	// onePolicy is a namespace with one policy that allows everything. No policy can cost less than this policy.
	onePolicy = "one-empty-policy"
)

const emptyPolicy = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: empty.bench.example}
spec:
  matchConstraints:
    resourceRules: [{operations: [CREATE, UPDATE], apiGroups: [""], apiVersions: [v1], resources: [pods, pods/status]}]
  validations: [{expression: "true"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: empty.bench.example}
spec:
  policyName: empty.bench.example
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ` + onePolicy + `}}}
`

// measureInstalled compares the whole product with a constant patch and with an API server without webhooks, in one run. The
// policies are bound only in the namespaces verified and ordinary.
func (c *cluster) measureInstalled(ctx context.Context, counts repetitions, r *report) error {
	for _, name := range []string{ordinary, onePolicy} {
		if err := c.Namespace(ctx, name, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}); err != nil {
			return err
		}
	}
	if err := c.Apply(ctx, emptyPolicy); err != nil {
		return err
	}
	if err := c.installPolicies(ctx, verified, ordinary); err != nil {
		return err
	}
	if err := c.compareInstalled(ctx, counts, r); err != nil {
		return err
	}
	return c.compareOrdinary(ctx, counts, r)
}

func (c *cluster) compareInstalled(ctx context.Context, counts repetitions, r *report) error {
	took, err := c.rounds(ctx, counts, false, []string{nothing, constant, verified})
	if err != nil {
		return err
	}
	ratios, added := make([]float64, counts.rounds), make([]float64, counts.rounds)
	for i := range ratios {
		added[i] = took[verified][i] - took[nothing][i]
		ratios[i] = added[i] / (took[constant][i] - took[nothing][i])
	}
	r.add(row{Part: installed, Measure: "added ÷ by a constant patch, persisted", Value: median(ratios), Gate: 2, Stretch: 1.6},
		row{Part: installed, Measure: "added, persisted", Value: median(added), Unit: "ms"})
	return nil
}

// compareOrdinary measures the API server's processor time for Pods that are no notebooks. It compares namespaces in which
// policies are in effect with the namespace that has no webhooks and no policies.
func (c *cluster) compareOrdinary(ctx context.Context, counts repetitions, r *report) error {
	server, err := c.apiServerProcess()
	if err != nil {
		return err
	}
	for _, request := range []struct {
		name string
		do   func(context.Context, string) error
	}{{"an ordinary Pod's creation", c.createOrdinary}, {"its kubelet's status update", c.updateStatus()}} {
		for _, with := range []struct {
			namespace, name string
			gate, stretch   float64
		}{{onePolicy, "with one empty policy", 0, 0}, {ordinary, "with everything installed", 1.05, 1.02}} {
			ratio, err := c.processorTimeRatio(ctx, counts, server, request.do, with.namespace)
			if err != nil {
				return fmt.Errorf("%s %s: %w", request.name, with.name, err)
			}
			r.add(row{Part: installed, Measure: request.name + " " + with.name + " ÷ without, CPU of the API server", Value: ratio, Gate: with.gate,
				Stretch: with.stretch})
		}
	}
	return nil
}

// processorTimeRatio sends several batches of requests to the given namespace and to the namespace without webhooks and
// policies. For each pair of batches it divides the API server's processor time for the given namespace by the time for the
// namespace without webhooks and policies. It returns the median of these ratios.
func (c *cluster) processorTimeRatio(ctx context.Context, counts repetitions, server int,
	request func(context.Context, string) error, namespace string) (float64, error) {
	const batch = 10 // small, so that the garbage collector runs in few batches, and the median has none of these
	var ratios []float64
	for round := range counts.comparedRequests/batch + 1 {
		spent := map[string]time.Duration{}
		pair := []string{nothing, namespace}
		rand.Shuffle(len(pair), func(i, j int) { pair[i], pair[j] = pair[j], pair[i] })
		for _, in := range pair {
			before := processorTime(server)
			for range batch {
				if err := request(ctx, in); err != nil {
					return 0, err
				}
			}
			spent[in] = processorTime(server) - before
		}
		if round > 0 { // The first round compiles expressions, so it is not counted.
			ratios = append(ratios, spent[namespace].Seconds()/spent[nothing].Seconds())
		}
	}
	return median(ratios), nil
}

func (c *cluster) createOrdinary(ctx context.Context, namespace string) error {
	_, err := c.create(ctx, namespace, false)
	return err
}

// updateStatus returns a function that patches the status of one Pod of a namespace, as a kubelet does. The first call for a
// namespace creates the Pod.
func (c *cluster) updateStatus() func(context.Context, string) error {
	pods := map[string]*corev1.Pod{}
	return func(ctx context.Context, namespace string) (err error) {
		pod := pods[namespace]
		if pod == nil {
			if pod, err = c.create(ctx, namespace, false); err != nil {
				return err
			}
		}
		c.podCount++
		patch := fmt.Sprintf(`{"metadata":{"uid":%q},"status":{"message":"%d"}}`, pod.UID, c.podCount)
		pods[namespace], err = c.client.CoreV1().Pods(namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, []byte(patch),
			metav1.PatchOptions{}, "status")
		return err
	}
}

// installPolicies installs the shipped policies, and binds them only in these namespaces.
func (c *cluster) installPolicies(ctx context.Context, namespaces ...string) error {
	for _, name := range deploy.Files() {
		if !isPolicy(name) {
			continue
		}
		text, err := deploy.Read(name)
		if err != nil {
			return err
		}
		for document := range strings.SplitSeq(text, "\n---\n") {
			bound, err := boundIn(document, namespaces)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if err := c.Apply(ctx, bound); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// boundIn limits a binding to some namespaces. It returns any other object unchanged.
func boundIn(document string, namespaces []string) (string, error) {
	var object map[string]any
	if err := yaml.Unmarshal([]byte(document), &object); err != nil {
		return "", err
	}
	if object["kind"] != "ValidatingAdmissionPolicyBinding" {
		return document, nil
	}
	spec := object["spec"].(map[string]any)
	match, _ := spec["matchResources"].(map[string]any)
	if match == nil {
		match = map[string]any{}
	}
	match["namespaceSelector"] = metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: namespaces},
	}}
	spec["matchResources"] = match
	written, err := yaml.Marshal(object)
	return string(written), err
}

// apiServerProcess returns the process ID of the API server.
func (c *cluster) apiServerProcess() (int, error) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(string(line), filepath.Join(c.Folder(), "bin", "kube-apiserver")) {
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, errors.New("the API server's process is not found")
}

// processorTime returns the processor time of a process, as the sum over its threads.
func processorTime(process int) (sum time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", process))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			n, _ := strconv.ParseInt(fields[0], 10, 64)
			sum += time.Duration(n)
		}
	}
	return sum
}
