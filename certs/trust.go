package certs

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// registrationVersion is the API group and version of the WebhookConfiguration objects.
var registrationVersion = schema.GroupVersion{Group: "admissionregistration.k8s.io", Version: "v1"}

// webhookConfigurations are the MutatingWebhookConfiguration and the ValidatingWebhookConfiguration, whose caBundle fields have
// the authorities that the API server trusts.
var webhookConfigurations = []struct{ resource, name string }{
	{"mutatingwebhookconfigurations", mutatingName},
	{"validatingwebhookconfigurations", webhookName},
}

// trust writes an authority into the caBundle fields, so that API servers trust it. If alone is true, all other
// authorities are removed from these fields; otherwise only those that are expired or unreadable.
func (s *SelfSigned) trust(ctx context.Context, authority []byte, alone bool, now time.Time) error {
	first := true
	for _, object := range webhookConfigurations {
		api := s.configurations.Resource(registrationVersion.WithResource(object.resource))
		configuration, err := api.Get(ctx, object.name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue // A missing object has no caBundle field.
		}
		if err != nil {
			return fmt.Errorf("read whom the API server trusts: %w", err)
		}
		if other := configuration.GetAnnotations()[certmanagerv1.WantInjectAnnotation]; other != "" {
			return fmt.Errorf("%s %s has the annotation %s: %s, so cert-manager writes the same caBundle: take the annotation off, "+
				"or this Deployment down", object.resource, object.name, certmanagerv1.WantInjectAnnotation, other)
		}
		first = first && !trustsAny(configuration)
		changed, err := trustIn(configuration, authority, alone, now)
		if err != nil {
			return fmt.Errorf("read whom the API server trusts, in %s %s: %w", object.resource, object.name, err)
		}
		if !changed {
			continue
		}
		if _, err := api.Update(ctx, configuration, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("have the API server trust the authority, in %s %s: %w", object.resource, object.name, err)
		}
		s.trusted = nil
		s.Log.Info("the API server is told whom to trust", "in", object.resource, "alone", alone)
	}
	switch {
	case bytes.Equal(s.trusted, authority):
	case first:
		// No caBundle had an authority before, so no replica serves a certificate that API servers trust, and there is
		// nothing to wait for.
		s.trusted, s.trustedSince = authority, time.Time{}
	default:
		s.trusted, s.trustedSince = authority, time.Now()
	}
	return nil
}

// trustsAny reports whether an entry of a WebhookConfiguration has a caBundle.
func trustsAny(configuration *unstructured.Unstructured) bool {
	entries, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	return slices.ContainsFunc(entries, func(entry any) bool {
		fields, _ := entry.(map[string]any)
		text, _, _ := unstructured.NestedString(fields, "clientConfig", "caBundle")
		return text != ""
	})
}

// trustIn changes the caBundle fields of one WebhookConfiguration, and reports whether a field changed. Unknown fields stay.
func trustIn(configuration *unstructured.Unstructured, authority []byte, alone bool, now time.Time) (changed bool, err error) {
	entries, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		fields, ok := entry.(map[string]any)
		if !ok {
			return false, fmt.Errorf("webhooks has a %T", entry)
		}
		text, _, err := unstructured.NestedString(fields, "clientConfig", "caBundle")
		if err != nil {
			return false, err
		}
		has, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return false, err
		}
		wanted := bundleWith(authority, has, alone, now)
		if bytes.Equal(has, wanted) {
			continue
		}
		changed = true
		text = base64.StdEncoding.EncodeToString(wanted)
		if err := unstructured.SetNestedField(fields, text, "clientConfig", "caBundle"); err != nil {
			return false, err
		}
	}
	return changed, unstructured.SetNestedSlice(configuration.Object, entries, "webhooks")
}

// bundleWith returns a bundle with an authority. Unless alone is true, the bundle also has the unexpired authorities of
// the bundle others.
func bundleWith(authority, others []byte, alone bool, now time.Time) []byte {
	bundle := bytes.Clone(authority)
	for block, rest := pem.Decode(others); block != nil && !alone; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || now.After(cert.NotAfter) {
			continue
		}
		if text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}); !bytes.Contains(bundle, text) {
			bundle = append(bundle, text...)
		}
	}
	return bundle
}
