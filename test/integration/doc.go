// Package integration tests the webhook with a real API server and with the manifests in deploy/.
package integration
