package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// cluster is a real API server, with the pods that are created in it.
type cluster struct {
	*controlplane.ControlPlane
	client kubernetes.Interface
	made   int
}

func startPlane(ctx context.Context) (*cluster, error) {
	// The address that webhooks are called at, and the certificate for it, come with the first webhook configuration.
	file, err := os.CreateTemp("", "bench-*.yaml")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // it is the system's to clear too
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

// install makes the namespaces, starts a server process for each kind of webhook, and has the API server call it.
func (c *cluster) install(ctx context.Context) (stop func() error, err error) {
	var servers []*document
	stop = func() (err error) {
		for _, s := range servers {
			err = errors.Join(err, s.stop())
		}
		return err
	}
	for _, name := range []string{nothing, inCore, constant, empty, ours, verified} {
		// As a notebook's namespace is with the policies, and baseline costs the same everywhere.
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
		if err := c.call(ctx, w.namespace, s, w.path); err != nil {
			return stop, err
		}
	}
	if err := c.Admin.Do(ctx, inCorePolicy(), "apply", "-f", "-"); err != nil {
		return stop, err
	}
	return stop, c.awaitSame(ctx)
}

// call has the API server call a server for the pods of one namespace.
func (c *cluster) call(ctx context.Context, namespace string, s *document, path string) error {
	first, err := c.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, "first", metav1.GetOptions{})
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return err
	}
	base := "https://0.0.0.0:" + port // It is neither localhost nor a loopback address: see controlplane.
	w := first.Webhooks[0]
	w.Name = namespace + ".bench.example"
	w.ClientConfig = admissionv1.WebhookClientConfig{URL: new(base + path), CABundle: w.ClientConfig.CABundle}
	w.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}}
	_, err = c.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(ctx, &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace}, Webhooks: []admissionv1.MutatingWebhook{w}}, metav1.CreateOptions{})
	if err != nil || namespace != verified {
		return err
	}
	v := admissionv1.ValidatingWebhook{Name: w.Name, ClientConfig: w.ClientConfig, Rules: w.Rules, FailurePolicy: w.FailurePolicy,
		NamespaceSelector: w.NamespaceSelector, SideEffects: w.SideEffects, AdmissionReviewVersions: w.AdmissionReviewVersions}
	v.ClientConfig.URL = new(base + "/verify")
	_, err = c.client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace}, Webhooks: []admissionv1.ValidatingWebhook{v}}, metav1.CreateOptions{})
	return err
}

// awaitSame waits until every way but the empty ones makes the pod that ours makes: it is how they are known to be in effect, and
// what is compared does the same.
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
			made[namespace] = specOf(pod)
		}
		if made[inCore] == made[ours] && made[constant] == made[ours] && made[verified] == made[ours] &&
			len(made[ours]) > len(`"jupyter-user-init"`) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("they do not make the same pod:\n%s\n%s\n%s", made[inCore], made[constant], made[ours])
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// specOf is what of a pod has to be the same: all but the token volume's name, which is another one each time.
func specOf(pod *corev1.Pod) string {
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
