// Package kind is what make kind runs: the webhook on a cluster of kind, for machines with Docker. The tests on a real node use the
// same share.
package kind

import _ "embed"

// Share holds the example's PersistentVolume and claim in namespace notebooks, on the directory /srv/hpc of the node.
//
//go:embed share.yaml
var Share string
