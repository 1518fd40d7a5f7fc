// Package certs says where the serving certificate comes from. There are three sources, and one place where they meet: the
// Secret that the webhook mounts. The webhook reads files (Files) and talks to no API server; who writes the Secret is
// cert-manager (Issued), the companion that signs by itself (SelfSigned), or a person.
package certs

// The names of what is shipped in deploy/.
const (
	// WebhookName is that of the Deployment, of its Service, and of both webhook configurations.
	WebhookName = "jupyter-user-webhook"
	// SecretName is the Secret that the webhook mounts: tls.crt and tls.key.
	SecretName = WebhookName + "-certs"
)

// ServiceDNS is the name for which an API server wants the certificate of a webhook in a namespace.
func ServiceDNS(namespace string) string { return WebhookName + "." + namespace + ".svc" }
