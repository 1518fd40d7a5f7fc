// Package certs provides the serving certificate. The webhook only reads files (Files), from a mounted Secret, and calls no
// API. The Secret is written by one of three: cert-manager (Issued), the companion Deployment with its own authority
// (SelfSigned), or an admin.
package certs

// The names of objects in deploy/.
const (
	// WebhookName is the name of the Deployment, of its Service, and of the ValidatingWebhookConfiguration.
	WebhookName = "jupyter-user-webhook"
	// MutatingName is the name of the MutatingWebhookConfiguration. API servers call webhooks in the order of these names,
	// and ours must precede that of a service mesh, which rewrites the probes that it finds and is not called again by
	// default.
	MutatingName = "00-" + WebhookName
	// SecretName is the Secret that the webhook mounts: tls.crt and tls.key.
	SecretName = WebhookName + "-certs"
)

// ServiceDNS returns the name that the certificate of a webhook in a namespace must have.
func ServiceDNS(namespace string) string { return WebhookName + "." + namespace + ".svc" }
