// Package chart tests the Helm chart with a real API server: what the chart renders for many values, which values it
// rejects, and what helm install, upgrade, rollback and uninstall do to a cluster.
package chart
