// Package project finds the folder of this project's sources, and the folders of the modules that the project depends on.
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

const module = "jupyter-user.io/jupyter-user-webhook"

// Folder returns the root of the project's sources. It walks up from the working directory. Source paths recorded by the
// compiler do not help, because -trimpath removes them.
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
			return "", fmt.Errorf("%s is not inside the sources of %s: run this command in the project's folder",
				start, module)
		}
	}
}

// Module returns the folder of a module, in the version that a go.mod of the project requires. That go.mod is in the folder
// requiredIn, a path from the project's root. The module is downloaded if the module cache does not have it.
func Module(ctx context.Context, requiredIn, path string) (string, error) {
	folder, err := Folder()
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", path)
	command.Dir = filepath.Join(folder, requiredIn)
	output, err := command.Output() // The output names the error of a failed download too.
	var downloaded struct{ Dir, Error string }
	if err := errors.Join(err, json.Unmarshal(output, &downloaded)); err != nil {
		return "", fmt.Errorf("find the module %s: %w: %s", path, err, downloaded.Error)
	}
	return downloaded.Dir, nil
}
