package pod

import (
	"path"
	"strings"
)

// WithSlash returns a clean path with a slash at its end. Each clean path inside that path begins with the result.
func WithSlash(at string) string { return strings.TrimSuffix(at, "/") + "/" }

// Inside reports whether the clean path inner is inside the clean path outer. A path is not inside itself.
func Inside(inner, outer string) bool {
	below, ok := strings.CutPrefix(inner, strings.TrimSuffix(outer, "/"))
	return ok && inner != outer && strings.HasPrefix(below, "/")
}

// Normalized returns the mount with a clean path. In the result, a field that has Kubernetes' default value is empty.
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

// CleanPath returns a mount path in its absolute and shortest form, as the container runtime interprets it: a/../b means
// /b.
func CleanPath(mountPath string) string {
	if !strings.HasPrefix(mountPath, "/") {
		mountPath = "/" + mountPath
	}
	return path.Clean(mountPath)
}
