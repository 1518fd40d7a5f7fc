package tools

import (
	"path/filepath"

	"jupyter-user.io/jupyter-user-webhook/test/cache"
	"jupyter-user.io/jupyter-user-webhook/test/project"
)

func cacheFolder() (string, error) { return cache.Folder("tools") }

// modulesFolder returns the folder of this package, which has the tools' modules.
func modulesFolder() (string, error) {
	folder, err := project.Folder()
	if err != nil {
		return "", err
	}
	return filepath.Join(folder, "test", "tools"), nil
}
