package tools

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

const (
	// projectModule is the module whose folder this package is looked for in.
	projectModule = "jupyter-user.io/jupyter-user-webhook"
	// cacheVariable names the environment variable that puts the cache elsewhere, for instance where a CI keeps things.
	cacheVariable = "JUPYTER_USER_TOOLS_CACHE"
)

// cacheFolder is where built tools are kept.
func cacheFolder() (string, error) {
	if folder := os.Getenv(cacheVariable); folder != "" {
		absolute, err := filepath.Abs(folder)
		if err != nil {
			return "", fmt.Errorf("find the folder that %s names: %w", cacheVariable, err)
		}
		return absolute, nil
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder to keep built tools in, set %s to one: %w", cacheVariable, err)
	}
	return filepath.Join(folder, "jupyter-user-webhook", "tools"), nil
}

// modulesFolder is the folder of this package, with the tools' modules in it. It is found by walking up from the working
// directory: what the compiler remembers of source files is gone with -trimpath, and files of another module cannot be
// embedded.
func modulesFolder() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the project's folder: %w", err)
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		data, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find the project's folder: %w", err)
		}
		if modfile.ModulePath(data) == projectModule {
			return filepath.Join(folder, "test", "tools"), nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("%s is not in the sources of %s, which say what to build: run this inside of them",
				start, projectModule)
		}
	}
}
