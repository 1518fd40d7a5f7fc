// Package uml runs additional machines in an enclosure (see the package sealed). It uses User Mode Linux: a Linux kernel that
// runs as an ordinary process. This kernel has an NFS server and an NFS client, which the kernel of this machine may lack.
// User Mode Linux needs no hardware support.
//
// The root of such a machine is a folder of this machine (hostfs). Its first process is the program that starts the
// machine, in another stage (see Inside). This process makes the usual mounts, mounts the disk, and connects the network.
// Then it runs the agent, a process that runs commands which the program sends over the network. The rest of the machine is
// set up with such commands.
//
// The machine ends with the enclosure. It has one emulated CPU, and a system call takes about 70 µs, so time limits must be
// generous.
package uml
