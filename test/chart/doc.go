// Package chart holds the Helm chart against a real API server: what it renders in a matrix of values, what it denies, and what
// becomes of a cluster by helm install, upgrade, rollback and uninstall.
package chart
