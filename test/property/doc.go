// Package property holds what is true of every pod, whatever is in it: the webhook denies it or makes it whole, changes
// nothing that is not its own, does the same each time, and does nothing the second time. The pods are the golden ones
// and ten thousand that are made up, from every field of the Pod type and from the names and paths that matter here.
package property
