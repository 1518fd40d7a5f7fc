// Package e2e runs notebooks for real: a whole cluster of one node on this machine, the webhook in it, installed from deploy/
// and reached through its Service, JupyterLab in images that start the way Jupyter's own do, and homes with owners.
//
// What mostly waits for a node runs beside one another, after everything else: those tests have pods and homes of their own, or
// share a home that none of them changes.
//
// A JupyterHub (see the package hub) spawns there too, which knows nothing of the webhook.
//
// make e2e runs it, as root. hostPath stands in for NFS, which the package nfs has; what is not proven is said in test/README.md.
package e2e
