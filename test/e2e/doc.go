// Package e2e runs notebooks for real: a whole cluster of one node on this machine, the webhook in it, installed from deploy/
// and reached through its Service, JupyterLab in images that start the way Jupyter's own do, and homes with owners.
//
// make e2e runs it, as root. hostPath stands in for NFS; what that does not prove is said in README.md.
package e2e
