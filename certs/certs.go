// Package certs provides the serving certificate. The webhook only reads files (Files), from a mounted Secret, and calls no
// API. The Secret is written by one of three: cert-manager (Issued), the companion Deployment with its own authority
// (SelfSigned), or an admin.
package certs

// The names of objects in deploy/.
const (
	// webhookName is the name of the Deployment, of its Service, and of the ValidatingWebhookConfiguration.
	webhookName = "jupyter-user-webhook"
	// mutatingName is the name of the MutatingWebhookConfiguration. API servers call webhooks in the order of these names,
	// and ours must precede that of a service mesh, which rewrites the probes that it finds and is not called again by
	// default.
	mutatingName = "00-" + webhookName
	// secretName is the Secret that the webhook mounts: tls.crt and tls.key.
	secretName = webhookName + "-certs"
)

// serviceDNS returns the name that the certificate of a webhook in a namespace must have.
func serviceDNS(namespace string) string { return webhookName + "." + namespace + ".svc" }
