package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// serveSource serves the namespace of the way at admission. The program in our image has no source of identities yet, so the
// same handler runs here with one, in the test's own process, and the shipped webhook configuration, changed to point at it
// and at that namespace alone, sends reviews to it.
func (w *World) serveSource(ctx context.Context) error {
	pair, err := pki.New(24*time.Hour, "localhost")
	if err != nil {
		return err
	}
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return err
	}
	handler, log, err := w.sourceHandler()
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := webhook.NewServer(listener, handler, webhook.ServerOptions{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil }, Log: log,
	})
	go func() { _ = server.Run(context.WithoutCancel(ctx)) }()
	return w.installSource(ctx, listener.Addr().String(), pair)
}

// sourceHandler is the webhook with the configuration of the one in the cluster, and with the share as its source.
func (w *World) sourceHandler() (http.Handler, *slog.Logger, error) {
	text, err := configMap()
	if err != nil {
		return nil, nil, err
	}
	object := corev1.ConfigMap{}
	if err := yaml.UnmarshalStrict([]byte(text), &object); err != nil {
		return nil, nil, err
	}
	parsed, err := config.Parse([]byte(object.Data["config.yaml"]))
	if err != nil {
		return nil, nil, err
	}
	file, err := os.Create(filepath.Join(w.Room.Folder, "source-of-identities.log"))
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.NewJSONHandler(file, nil))
	metrics, err := webhook.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		return nil, nil, err
	}
	handler, err := webhook.New(parsed, w.share).Handler(log, metrics, nil)
	return handler, log, err
}

// installSource sends the reviews of one namespace to an address.
func (w *World) installSource(ctx context.Context, address string, trusted pki.Pair) error {
	mutating, validating := admissionv1.MutatingWebhookConfiguration{}, admissionv1.ValidatingWebhookConfiguration{}
	for file, shipped := range map[string]any{mutatingFile: &mutating, validatingFile: &validating} {
		text, err := manifest(file)
		if err != nil {
			return err
		}
		if err := yaml.UnmarshalStrict([]byte(text), shipped); err != nil {
			return err
		}
	}
	client := func(c admissionv1.WebhookClientConfig) admissionv1.WebhookClientConfig {
		url := "https://" + address + *c.Service.Path
		return admissionv1.WebhookClientConfig{URL: &url, CABundle: trusted.Cert}
	}
	here := metav1.LabelSelectorRequirement{
		Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: []string{atAdmission.namespace},
	}
	mutating.Name, mutating.Annotations = atAdmission.namespace, nil
	for i := range mutating.Webhooks {
		entry := &mutating.Webhooks[i]
		entry.ClientConfig = client(entry.ClientConfig)
		entry.NamespaceSelector.MatchExpressions = append(entry.NamespaceSelector.MatchExpressions, here)
	}
	validating.Name, validating.Annotations = atAdmission.namespace, nil
	for i := range validating.Webhooks {
		entry := &validating.Webhooks[i]
		entry.ClientConfig = client(entry.ClientConfig)
		entry.NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{here}}
	}
	api := w.Client.AdmissionregistrationV1()
	_, err := api.MutatingWebhookConfigurations().Create(ctx, &mutating, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = api.ValidatingWebhookConfigurations().Create(ctx, &validating, metav1.CreateOptions{})
	return err
}

// awaitWebhooks waits until the API server, which watches webhook configurations like any client, acts on them.
func (w *World) awaitWebhooks(ctx context.Context) error {
	for _, way := range ways {
		err := await(ctx, time.Minute, func(ctx context.Context) (bool, error) {
			result, err := w.carol.Kubectl(ctx, "run", "probe", "-n", way.namespace, "--image=x", "--labels=jupyter-user=alice",
				"--dry-run=server", "-o", `jsonpath={.metadata.annotations.jupyter-user\.io/way}`)
			return result.Stdout == way.name, err
		})
		if err != nil {
			return fmt.Errorf("the webhook for namespace %s: %w", way.namespace, err)
		}
	}
	return nil
}
