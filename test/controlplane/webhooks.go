package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// calledHost is the host in the URLs of the webhooks. The API server uses HTTP/1.1 with a Service, but HTTP/2 with
// localhost and loopback addresses. The address 0.0.0.0 is no loopback address, and a connection to 0.0.0.0 reaches this
// machine. So the API server calls the webhooks as in a cluster, and no name has to be resolved.
const calledHost = "0.0.0.0"

// A WebhookAddress is the address at which the API server calls the webhooks.
type WebhookAddress struct {
	// Host and Port are the address at which the webhook must listen.
	Host string
	Port int
	// CertDir is the folder with the serving certificate, tls.crt and tls.key. The installed webhook configurations trust
	// this certificate.
	CertDir string
}

// installWebhooks installs webhook configurations, and waits until they are in effect. With a timeout of 0 the webhooks
// keep their own timeouts.
func (c *ControlPlane) installWebhooks(ctx context.Context, paths []string, timeout int32) error {
	options := envtest.WebhookInstallOptions{Paths: paths, LocalServingHostExternalName: calledHost}
	if err := options.PrepWithoutInstalling(); err != nil {
		return errors.Join(fmt.Errorf("prepare the webhook configurations: %w", err), options.Cleanup())
	}
	// envtest writes the certificate to another folder, which the guard would not remove.
	certificates := c.folder.join("webhook-certificates")
	if err := os.Rename(options.LocalServingCertDir, certificates); err != nil {
		return errors.Join(fmt.Errorf("keep the webhook's certificate: %w", err), options.Cleanup())
	}
	options.LocalServingCertDir = certificates
	if len(paths) > 0 && len(options.MutatingWebhooks)+len(options.ValidatingWebhooks) == 0 {
		return fmt.Errorf("there is no webhook configuration in %v", paths)
	}
	if timeout > 0 {
		setTimeout(&options, timeout)
	}
	if err := options.Install(c.Admin.Config); err != nil {
		return fmt.Errorf("install the webhook configurations: %w", err)
	}
	c.Webhook = WebhookAddress{
		Host: options.LocalServingHost, Port: options.LocalServingPort, CertDir: options.LocalServingCertDir,
	}
	if len(paths) == 0 {
		return nil
	}
	return c.awaitWebhooks(ctx)
}

// setTimeout sets the timeout of each webhook, in seconds.
func setTimeout(options *envtest.WebhookInstallOptions, seconds int32) {
	for _, configuration := range options.MutatingWebhooks {
		for i := range configuration.Webhooks {
			configuration.Webhooks[i].TimeoutSeconds = &seconds
		}
	}
	for _, configuration := range options.ValidatingWebhooks {
		for i := range configuration.Webhooks {
			configuration.Webhooks[i].TimeoutSeconds = &seconds
		}
	}
}

// awaitWebhooks waits until all stored webhook configurations are in effect. The API server reads them by a watch, in the
// order in which they were stored. So awaitWebhooks stores one more webhook configuration of each kind, a marker that
// denies a certain object. When the marker is in effect, all earlier webhook configurations are too.
func (c *ControlPlane) awaitWebhooks(ctx context.Context) error {
	configurations := c.client.AdmissionregistrationV1()
	create, remove := metav1.CreateOptions{}, metav1.DeleteOptions{}

	mutating := &admissionv1.MutatingWebhookConfiguration{
		ObjectMeta: markerMeta("mutating"),
		Webhooks: []admissionv1.MutatingWebhook{{
			Name: markerName, ClientConfig: markerClient(), Rules: markerRules(), ObjectSelector: markerSelector("mutating"),
			SideEffects: new(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		}},
	}
	validating := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: markerMeta("validating"),
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: markerName, ClientConfig: markerClient(), Rules: markerRules(), ObjectSelector: markerSelector("validating"),
			SideEffects: new(admissionv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		}},
	}
	if _, err := configurations.MutatingWebhookConfigurations().Create(ctx, mutating, create); err != nil {
		return fmt.Errorf("mark the end of the mutating webhooks: %w", err)
	}
	if _, err := configurations.ValidatingWebhookConfigurations().Create(ctx, validating, create); err != nil {
		return fmt.Errorf("mark the end of the validating webhooks: %w", err)
	}
	for _, kind := range []string{"mutating", "validating"} {
		if err := await(ctx, func(ctx context.Context) (bool, error) { return c.markerInEffect(ctx, kind) }); err != nil {
			return fmt.Errorf("wait for the %s webhooks to be in effect: %w", kind, err)
		}
	}
	if err := configurations.MutatingWebhookConfigurations().Delete(ctx, mutating.Name, remove); err != nil {
		return fmt.Errorf("remove the mark of the mutating webhooks: %w", err)
	}
	if err := configurations.ValidatingWebhookConfigurations().Delete(ctx, validating.Name, remove); err != nil {
		return fmt.Errorf("remove the mark of the validating webhooks: %w", err)
	}
	return nil
}

// markerInEffect creates the object that the marker denies, in a dry run, and reports whether the API server denies the
// object. kind is "mutating" or "validating".
func (c *ControlPlane) markerInEffect(ctx context.Context, kind string) (bool, error) {
	object := &corev1.ConfigMap{ObjectMeta: markerMeta(kind)}
	_, err := c.client.CoreV1().ConfigMaps("default").Create(ctx, object, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll},
	})
	if apierrors.IsInternalError(err) {
		return true, nil // The API server returns an internal error if it cannot call a webhook.
	}
	return false, err
}

const markerName = "marker.controlplane.jupyter-user.io"

func markerMeta(kind string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: kind + "." + markerName, Labels: map[string]string{markerName: kind}}
}

func markerSelector(kind string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{markerName: kind}}
}

// markerClient has the URL of a port at which no server listens. The API server denies an object if it cannot call a
// webhook.
func markerClient() admissionv1.WebhookClientConfig {
	return admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")}
}

func markerRules() []admissionv1.RuleWithOperations {
	return []admissionv1.RuleWithOperations{{
		Operations: []admissionv1.OperationType{admissionv1.Create},
		Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}
}
