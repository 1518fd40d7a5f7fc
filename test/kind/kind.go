// Package kind has the script of make kind, which installs the webhook on a cluster of kind, on a machine with Docker. The
// tests on a real node use the same share.
package kind

import _ "embed"

// Share is a manifest: the PersistentVolume and the claim of the share in namespace notebooks, on the directory /srv/hpc of
// the node.
//
//go:embed share.yaml
var Share string
