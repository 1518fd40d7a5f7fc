// Package sbom holds the bill of materials of make sbom against the programs.
package sbom
