// Package rotation renews certificates and authorities while admissions go on, in each way that the certificate can come from,
// with a real API server that calls the webhook as it is installed: by its Service, two processes of it, and files that come
// from the Secret as a kubelet brings them.
package rotation
