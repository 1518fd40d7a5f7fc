// Package rotation tests that no admission fails while rotate-certificates or cert-manager renews certificates and CAs. It
// also tests the client certificate that the API server presents. A real API server calls two processes of the webhook.
// Each process reads its serving certificate from files, which the test writes from the Secret like a kubelet.
package rotation
