// Package e2e runs notebooks in a real cluster of one node on this machine. The webhook is installed from deploy/ and reached
// through its Service. JupyterLab runs in images that start like Jupyter's own, and homes have real owners.
//
// Tests that mostly wait for the node run in parallel, after all others. Each of them has its own Pods and homes, or shares a
// home that no test changes.
//
// A JupyterHub that knows nothing of the webhook spawns servers there too: see the package hub.
//
// make e2e runs the package, as root. It uses hostPath instead of NFS, for which the package nfs has tests. test/README.md lists
// what is not tested.
package e2e
