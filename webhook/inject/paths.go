package inject

import (
	"path"
	"strings"
)

// directory ends a clean path with a slash, so that it is the beginning of those that are inside of it and of no others.
func directory(at string) string { return strings.TrimSuffix(at, "/") + "/" }

// within tells whether a clean path is inside of another.
func within(inner, outer string) bool {
	below, ok := strings.CutPrefix(inner, strings.TrimSuffix(outer, "/"))
	return ok && strings.HasPrefix(below, "/")
}

// does is what a mount does, however it says so: None is what no propagation means.
func (m Mount) does() Mount {
	m.MountPath = clean(m.MountPath)
	if m.MountPropagation == "None" {
		m.MountPropagation = ""
	}
	if m.RecursiveReadOnly == "Disabled" {
		m.RecursiveReadOnly = ""
	}
	return m
}

// clean is a mount path as the container runtime understands it.
func clean(mountPath string) string {
	if !strings.HasPrefix(mountPath, "/") {
		mountPath = "/" + mountPath
	}
	return path.Clean(mountPath)
}
