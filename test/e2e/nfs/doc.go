// Package nfs runs notebooks with homes on NFS. The cluster of package node has two additional nodes, with another kernel
// (see the package uml). The node called nfs has the kernel's NFS server, in its own network namespace, and an NFS client.
// The node called nfs-2 has only an NFS client. The webhook is installed twice. The webhook of the shipped installation
// runs on the first node. The webhook of the second installation mounts the share, and runs on the node nfs. The chart
// makes the PersistentVolumes and claims of both installations.
//
// make e2e runs the package, as root. On a machine that cannot run the additional nodes every test is skipped, with the
// reason.
package nfs
