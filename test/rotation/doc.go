// Package rotation renews certificates and CAs while Pods are created, with rotate-certificates and with cert-manager. A
// real API server calls two processes of the webhook through a Service. Each process reads the certificate from files,
// which the test writes from the Secret like a kubelet.
package rotation
