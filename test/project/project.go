// Package project finds the folder of this project's sources, for what is built from them.
package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

// module is the one whose folder is looked for.
const module = "jupyter-user.io/jupyter-user-webhook"

// Folder is found by walking up from the working directory: what the compiler remembers of source files is gone with
// -trimpath, and files of another module cannot be embedded.
func Folder() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the project's folder: %w", err)
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		data, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find the project's folder: %w", err)
		}
		if modfile.ModulePath(data) == module {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("%s is not in the sources of %s, which say what to build: run this inside of them",
				start, module)
		}
	}
}
