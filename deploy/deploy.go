// Package deploy holds the manifests as they are shipped, for whoever compares a cluster with them. kubectl apply -f deploy/
// takes no notice of it.
package deploy

import "embed"

// Files are the manifests of this folder, without the examples.
//
//go:embed *.yaml
var Files embed.FS
