// Package certs says where the serving certificate comes from. There are three sources, and one place where they meet: the
// Secret that the webhook mounts. The webhook reads files (Files) and talks to no API server; who writes the Secret is
// cert-manager (Issued), the companion that signs by itself (SelfSigned), or a user.
package certs

// The names of what is shipped in deploy/.
const (
	// WebhookName is the name of the Deployment, of its Service, and of the ValidatingWebhookConfiguration.
	WebhookName = "jupyter-user-webhook"
	// MutatingName is the name of the MutatingWebhookConfiguration. API servers call webhooks in the order of these names, and ours
	// must come before a mesh's, which rewrites the probes that it finds and is not called again by default.
	MutatingName = "00-" + WebhookName
	// SecretName is the Secret that the webhook mounts: tls.crt and tls.key.
	SecretName = WebhookName + "-certs"
)

// ServiceDNS is the name for which an API server wants the certificate of a webhook in a namespace.
func ServiceDNS(namespace string) string { return WebhookName + "." + namespace + ".svc" }
