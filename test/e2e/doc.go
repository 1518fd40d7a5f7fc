// Package e2e runs notebooks in a real cluster of one node on this machine. The webhook is installed from deploy/ and called
// through its Service. JupyterLab runs in images that start like Jupyter's own images, and homes have real owners.
//
// Tests that mostly wait for the node run in parallel, after all others. Each of them has its own Pods. Tests that share a home
// only add files to it. A test that empties, replaces or configures a home has this home for itself.
//
// The tests also start a JupyterHub, which spawns servers in the same cluster. The configuration of the hub does not mention
// the webhook: see the package hub.
//
// make e2e runs the package, as root. The share is a directory of this machine, mounted with hostPath. The tests of package
// nfs have a share on NFS. test/README.md lists what is not tested.
package e2e
