// Package sbom compares the bills of materials of make sbom with the programs, and tests the size and imports of the programs.
package sbom
