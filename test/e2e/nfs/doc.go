// Package nfs runs notebooks with homes on NFS. The cluster has a second node, called nfs, with another kernel (see the package
// uml). It has the kernel's NFS server, in its own network namespace, and the kernel's NFS client. The webhook runs on the first
// node. The chart makes the PersistentVolumes and claims from the NFS server's address.
//
// make e2e runs the package, as root. On a machine that cannot run such a node every test is skipped, with the reason.
package nfs
