// Package sbom tests the bills of materials that `make sbom` writes, and the size, processor time and imports of the
// program jupyter-user-webhook.
package sbom
