// Package project finds the folder of this project's sources, for what is built from them, and those of modules that it depends
// on, for what lies in them beside the code.
package project

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
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

// Module is the folder of a module, in the version that the go.mod in a folder of the project requires. It is downloaded where
// nothing of it has been compiled yet.
func Module(ctx context.Context, requiredIn, path string) (string, error) {
	folder, err := Folder()
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", path)
	command.Dir = filepath.Join(folder, requiredIn)
	said, err := command.Output() // A module that cannot be had is said there too.
	var downloaded struct{ Dir, Error string }
	if err := errors.Join(err, json.Unmarshal(said, &downloaded)); err != nil {
		return "", fmt.Errorf("find the module %s: %w: %s", path, err, downloaded.Error)
	}
	return downloaded.Dir, nil
}
