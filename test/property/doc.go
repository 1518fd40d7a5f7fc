// Package property tests what must be true for every Pod. The webhook denies a claimed Pod or injects everything, and does
// not change a Pod that is not claimed. It keeps all values of the Pod except those that it must set. It decides the same
// way each time, and a second call changes nothing.
//
// The tests use the golden Pods and 5,000 random Pods. Each random Pod is tested with discovery at start and with
// discovery at admission. Random Pods have values in any field of the Pod type, or names and paths that the webhook
// uses.
package property
