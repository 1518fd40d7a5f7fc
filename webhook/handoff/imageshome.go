package handoff

import (
	"path"
	"strings"
)

// imagesHomes are the homes of the users of images: of jovyan in Jupyter images, of rstudio in rocker's images, and of onyxia in
// Onyxia's.
var imagesHomes = [...]string{"/home/jovyan", "/home/rstudio", "/home/onyxia"}

// BelowImagesHome reports whether dir is one of imagesHomes, or inside one of them. It returns false if dir is the user's home
// (the argument "home") or inside it, as for a user named jovyan. below is the part of the path after the image's home, such as
// /.cache; empty for the image's home itself.
func BelowImagesHome(dir, home string) (below string, ok bool) {
	dir = path.Clean(dir)
	if _, isUsers := cutDirectory(dir, home); isUsers {
		return "", false
	}
	for _, imagesHome := range imagesHomes {
		if below, ok := cutDirectory(dir, imagesHome); ok {
			return below, true
		}
	}
	return "", false
}

// cutDirectory returns the part of a clean path after a directory; false if the path is neither the directory nor inside it.
func cutDirectory(dir, outer string) (below string, ok bool) {
	below, ok = strings.CutPrefix(dir, outer)
	return below, ok && (below == "" || below[0] == '/')
}
