// Package kyverno holds the pods of the golden corpus, as the webhook makes them, against policies in the real Kyverno: its
// command line, which runs the engine that it has in a cluster. Run it with make release-check: building Kyverno takes long, so
// this is no part of make test.
package kyverno
