// Package certs provides the serving certificate, and checks the certificates of clients. The webhook reads its
// certificate from the files of a mounted Secret (Files), and never from the API server. The Secret is written by
// cert-manager (Issued), by the command rotate-certificates, which has its own authority (SelfSigned), or by an admin.
package certs

// The names of objects in deploy/.
const (
	// webhookName is the name of the Deployment, of its Service, and of the ValidatingWebhookConfiguration.
	webhookName = "jupyter-user-webhook"
	// mutatingName is the name of the MutatingWebhookConfiguration. API servers call mutating webhooks in the order of
	// these objects' names. This object must come before that of a service mesh: the mesh's webhook rewrites the probes
	// that it finds in a Pod, and by default it is not called again after later changes.
	mutatingName = "00-" + webhookName
	// secretName is the name of the Secret that the webhook mounts. It has the keys tls.crt and tls.key.
	secretName = webhookName + "-certs"
)

// serviceDNS returns the DNS name of the webhook's Service, with which API servers compare the serving certificate.
func serviceDNS(namespace string) string { return webhookName + "." + namespace + ".svc" }
