package cache

import (
	"fmt"
	"os"
	"path/filepath"
)

// Variable names the environment variable that puts all caches elsewhere, for instance where a CI keeps things: into a
// folder of each kind in the folder that it names.
const Variable = "JUPYTER_USER_CACHE"

// Folder is where things of a kind are kept, such as tools or images.
func Folder(kind string) (string, error) {
	if folder := os.Getenv(Variable); folder != "" {
		absolute, err := filepath.Abs(folder)
		if err != nil {
			return "", fmt.Errorf("find the folder that %s names: %w", Variable, err)
		}
		return filepath.Join(absolute, kind), nil
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder to keep %s in, set %s to one: %w", kind, Variable, err)
	}
	return filepath.Join(folder, "jupyter-user-webhook", kind), nil
}
