// Package certs provides the serving certificate, and checks the certificates of clients. The webhook only reads files (Files),
// from a mounted Secret, and calls no API. The Secret is written by cert-manager (Issued), by the Deployment of
// rotate-certificates with its own authority (SelfSigned), or by an admin.
package certs

// The names of objects in deploy/.
const (
	// webhookName is the name of the Deployment, of its Service, and of the ValidatingWebhookConfiguration.
	webhookName = "jupyter-user-webhook"
	// mutatingName is the name of the MutatingWebhookConfiguration. API servers call webhooks in the order of these names.
	// Ours must precede the webhook of a service mesh: that webhook rewrites the probes that it finds, and by default it
	// is not called again.
	mutatingName = "00-" + webhookName
	// secretName is the name of the Secret that the webhook mounts. It has the keys tls.crt and tls.key.
	secretName = webhookName + "-certs"
)

// serviceDNS returns the name that the certificate of a webhook in a namespace must have.
func serviceDNS(namespace string) string { return webhookName + "." + namespace + ".svc" }
