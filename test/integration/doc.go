// Package integration holds the webhook against a real API server, with the configuration that ships in deploy/.
package integration
