package cache

import (
	"fmt"
	"os"
	"path/filepath"
)

// variable is the name of an environment variable. If the variable is set, its value is the folder of all caches, for
// example a folder that a CI system keeps between its runs.
const variable = "JUPYTER_USER_CACHE"

// Folder returns the folder of the cache for one kind of entries, such as tools or images.
func Folder(kind string) (string, error) {
	if folder := os.Getenv(variable); folder != "" {
		absolute, err := filepath.Abs(folder)
		if err != nil {
			return "", fmt.Errorf("find the folder that %s names: %w", variable, err)
		}
		return filepath.Join(absolute, kind), nil
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder to keep %s in, set %s to one: %w", kind, variable, err)
	}
	return filepath.Join(folder, "jupyter-user-webhook", kind), nil
}
