// Package uml runs a second machine beside an enclosure: User Mode Linux, which is a Linux kernel as one ordinary process. Its
// kernel has what the machine's own may lack, an NFS server and an NFS client, and no hardware support is needed for it.
//
// The machine's root is a folder of this machine (hostfs). Its first process is the very program that starts the machine, in a
// stage of its own (see Inside): it mounts what a machine has, and then runs commands for the program outside, over a network
// of two. Everything else of the machine is done by such commands, so that it is written in one place.
//
// All of it goes with the enclosure. One CPU is emulated, and a system call takes about 70 µs: limits in time must be generous.
package uml
