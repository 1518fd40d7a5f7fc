// Package uml runs a second machine beside a sealed enclosure. It uses User Mode Linux, a Linux kernel that runs as one ordinary
// process. This kernel has an NFS server and an NFS client, which this machine's own may lack, and it needs no hardware support.
//
// The machine's root is a folder of this machine (hostfs). Its first process is the program that starts the machine, in another
// stage (see Inside): it makes the usual mounts, and then runs commands for the program outside, over a network of two. All other
// setup of the machine is done by such commands, so that it is in one place.
//
// The machine ends with the enclosure. One CPU is emulated, and a system call takes about 70 µs, so time limits must be generous.
package uml
