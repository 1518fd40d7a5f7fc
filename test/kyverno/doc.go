// Package kyverno tests the Pods of the golden files, as the webhook changes them, against Kyverno policies. Kyverno's
// command line checks the Pods, with the same engine that runs in a cluster. Building Kyverno takes long, so make
// release-check runs this test and make test does not.
package kyverno
