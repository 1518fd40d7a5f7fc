// Package kind has the script of make kind, which installs the webhook on a cluster of kind, on a machine with Docker. It
// also has a manifest of the share, which the tests on a real node use too.
package kind

import _ "embed"

// Share is a manifest: the PersistentVolume and the claim of the share in namespace notebooks, on the directory /srv/hpc of
// the node.
//
//go:embed share.yaml
var Share string
