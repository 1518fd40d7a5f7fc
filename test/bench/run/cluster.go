package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// cluster is a real API server. podCount numbers the created Pods and the status updates.
type cluster struct {
	*controlplane.ControlPlane
	client   kubernetes.Interface
	podCount int
}

func startPlane(ctx context.Context) (*cluster, error) {
	// Package controlplane makes a serving certificate, and writes its CA into the webhook configuration with the name
	// "first". The other configurations copy the CA from there.
	file, err := os.CreateTemp("", "bench-*.yaml")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // a temporary file
	if _, err := file.WriteString(firstWebhook); err != nil {
		return nil, err
	}
	plane, err := controlplane.Start(ctx, controlplane.Options{Webhooks: []string{file.Name()}, Progress: os.Stderr})
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(plane.Admin.Config)
	if err != nil {
		return nil, errors.Join(err, plane.Stop())
	}
	return &cluster{ControlPlane: plane, client: client}, nil
}

const firstWebhook = `apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: first}
webhooks:
- name: first.bench.example
  clientConfig: {service: {name: x, namespace: x, path: /}}
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: nowhere}}
  sideEffects: None
  admissionReviewVersions: [v1]
`

func (c *cluster) serverVersion() (string, error) {
	v, err := c.client.Discovery().ServerVersion()
	if err != nil {
		return "", err
	}
	return v.GitVersion, nil
}

// install creates the namespaces, starts a server process for each webhook, registers the webhooks with the API server, and
// installs the MutatingAdmissionPolicy. It returns when the policy and the webhooks that change Pods are in effect.
func (c *cluster) install(ctx context.Context) (stop func() error, err error) {
	var servers []*serverProcess
	stop = func() (err error) {
		for _, s := range servers {
			err = errors.Join(err, s.stop())
		}
		return err
	}
	for _, name := range []string{nothing, inCore, constant, empty, ours, verified} {
		// The policies of the chart require this Pod Security level for notebooks. Every namespace has the level, so that
		// its check costs the same everywhere.
		if err := c.Namespace(ctx, name, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}); err != nil {
			return stop, err
		}
	}
	for _, w := range []struct{ namespace, handler, path string }{
		{constant, handlers.Constant, "/mutate"}, {empty, handlers.Empty, "/mutate"}, {ours, handlers.Ours, "/mutate"}, {verified, handlers.Ours, "/mutate"},
	} {
		s, err := start(ctx, w.handler, c.Webhook.CertDir, "127.0.0.1:0", false)
		if err != nil {
			return stop, err
		}
		servers = append(servers, s)
		if w.namespace == verified {
			err = c.callAsShipped(ctx, s, verified, ordinary)
		} else {
			err = c.call(ctx, w.namespace, s, w.path)
		}
		if err != nil {
			return stop, err
		}
	}
	if err := c.Admin.Do(ctx, inCorePolicy(), "apply", "-f", "-"); err != nil {
		return stop, err
	}
	return stop, c.awaitSame(ctx)
}

// call registers a webhook server for the Pods of one namespace.
func (c *cluster) call(ctx context.Context, namespace string, s *serverProcess, path string) error {
	w, at, err := c.firstCalling(ctx, s)
	if err != nil {
		return err
	}
	w.Name = namespace + ".bench.example"
	w.ClientConfig = at(path)
	w.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}}
	_, err = c.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(ctx, &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace}, Webhooks: []admissionv1.MutatingWebhook{w}}, metav1.CreateOptions{})
	return err
}

// firstCalling returns the webhook of the configuration with the name "first", and a function that returns the client
// configuration for a path of the server s.
func (c *cluster) firstCalling(ctx context.Context, s *serverProcess) (admissionv1.MutatingWebhook, func(string) admissionv1.WebhookClientConfig, error) {
	first, err := c.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, "first", metav1.GetOptions{})
	if err != nil {
		return admissionv1.MutatingWebhook{}, nil, err
	}
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return admissionv1.MutatingWebhook{}, nil, err
	}
	at := func(path string) admissionv1.WebhookClientConfig {
		// The API server would use HTTP/2 with localhost or a loopback address. With 0.0.0.0 it uses HTTP/1.1, as with a
		// Service.
		return admissionv1.WebhookClientConfig{URL: new("https://0.0.0.0:" + port + path), CABundle: first.Webhooks[0].ClientConfig.CABundle}
	}
	return first.Webhooks[0], at, nil
}

// callAsShipped registers a webhook server for the Pods of some namespaces, with the shipped webhook configurations, because
// their selectors and match conditions are part of the cost of the product.
func (c *cluster) callAsShipped(ctx context.Context, s *serverProcess, namespaces ...string) error {
	_, at, err := c.firstCalling(ctx, s)
	if err != nil {
		return err
	}
	in := metav1.LabelSelectorRequirement{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: namespaces}
	var mutating admissionv1.MutatingWebhookConfiguration
	var validating admissionv1.ValidatingWebhookConfiguration
	for name, configuration := range map[string]any{
		"50-mutatingwebhookconfiguration.yaml": &mutating, "51-validatingwebhookconfiguration.yaml": &validating} {
		text, err := deploy.Read(name)
		if err == nil {
			err = yaml.UnmarshalStrict([]byte(text), configuration)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for i := range mutating.Webhooks {
		w := &mutating.Webhooks[i]
		w.ClientConfig = at(*w.ClientConfig.Service.Path)
		w.NamespaceSelector.MatchExpressions = append(w.NamespaceSelector.MatchExpressions, in)
	}
	for i := range validating.Webhooks {
		w := &validating.Webhooks[i]
		w.ClientConfig = at(*w.ClientConfig.Service.Path)
		w.NamespaceSelector.MatchExpressions = append(w.NamespaceSelector.MatchExpressions, in)
	}
	registrations := c.client.AdmissionregistrationV1()
	if _, err := registrations.MutatingWebhookConfigurations().Create(ctx, &mutating, metav1.CreateOptions{}); err != nil {
		return err
	}
	_, err = registrations.ValidatingWebhookConfigurations().Create(ctx, &validating, metav1.CreateOptions{})
	return err
}

// awaitSame waits until handlers.Constant, the MutatingAdmissionPolicy and our webhooks make the same Pod. From then on
// all of them are in effect, and the benchmarks compare the same work.
func (c *cluster) awaitSame(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		made := map[string]string{}
		for _, namespace := range []string{inCore, constant, ours, verified} {
			pod, err := c.create(ctx, namespace, true)
			if err != nil {
				return fmt.Errorf("in %s: %w", namespace, err)
			}
			made[namespace] = comparedSpec(pod)
		}
		if made[inCore] == made[ours] && made[constant] == made[ours] && made[verified] == made[ours] &&
			strings.Contains(made[ours], `"jupyter-user-init"`) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("they do not make the same pod:\n%s\n%s\n%s\n%s", made[inCore], made[constant], made[ours], made[verified])
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// comparedSpec returns the spec of a Pod as text, for comparisons. It replaces the name of the token's volume, which is
// different in each Pod, by "token".
func comparedSpec(pod *corev1.Pod) string {
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Projected != nil {
			pod.Spec.Volumes[i].Name = "token"
		}
	}
	for i := range pod.Spec.Containers[0].VolumeMounts {
		if m := &pod.Spec.Containers[0].VolumeMounts[i]; len(m.Name) > 16 && m.Name[:16] == "kube-api-access-" {
			m.Name = "token"
		}
	}
	written, err := json.Marshal(pod.Spec)
	if err != nil {
		return err.Error()
	}
	return string(written)
}
