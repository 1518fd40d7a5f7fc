package tools

import (
	"path/filepath"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
	"jupyter-user.io/jupyter-user-webhook/test/project"
)

// cacheFolder is where built tools are kept.
func cacheFolder() (string, error) { return cache.Folder("tools") }

// modulesFolder is the folder of this package, with the tools' modules in it.
func modulesFolder() (string, error) {
	folder, err := project.Folder()
	if err != nil {
		return "", err
	}
	return filepath.Join(folder, "test", "tools"), nil
}
