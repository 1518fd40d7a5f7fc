// Package property tests what must be true for every Pod: the webhook denies the Pod or injects everything; it changes no
// field that is the Pod's; it does the same each time; and a second pass changes nothing. The Pods are those of the golden
// files and ten thousand random ones, with every field of the Pod type, and with names and paths that the webhook uses.
package property
