// Package nfs runs notebooks on a home that is on NFS: in a cluster whose second node, called nfs, has another kernel (see the
// package uml), with the kernel's NFS server in a network namespace of its own and the kernel's NFS client. The webhook runs on
// the first node and is called by the API server; the chart makes the PersistentVolumes and claims from the NFS server's
// address.
//
// make e2e runs it, as root. On a machine that cannot run such a node every test is skipped, with the reason.
package nfs
