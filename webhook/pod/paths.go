package pod

import (
	"path"
	"strings"
)

// WithSlash ends a clean path with a slash, so that it is the beginning of those that are inside of it and of no others.
func WithSlash(at string) string { return strings.TrimSuffix(at, "/") + "/" }

// Inside tells whether a clean path is inside of another.
func Inside(inner, outer string) bool {
	below, ok := strings.CutPrefix(inner, strings.TrimSuffix(outer, "/"))
	return ok && strings.HasPrefix(below, "/")
}

// Normalized is what a mount does, however it says so: None is what no propagation means.
func (m Mount) Normalized() Mount {
	m.MountPath = CleanPath(m.MountPath)
	if m.MountPropagation == "None" {
		m.MountPropagation = ""
	}
	if m.RecursiveReadOnly == "Disabled" {
		m.RecursiveReadOnly = ""
	}
	return m
}

// CleanPath is a mount path as the container runtime understands it.
func CleanPath(mountPath string) string {
	if !strings.HasPrefix(mountPath, "/") {
		mountPath = "/" + mountPath
	}
	return path.Clean(mountPath)
}
