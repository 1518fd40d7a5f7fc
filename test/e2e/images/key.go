package images

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// listed returns a text that identifies the result of a build, for the key of the cache: the recipe, the architecture, and a
// line with the hash of each of the files.
func listed(name, folder string, files ...string) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, recipe %d\narchitecture %s\n", name, recipeVersion, runtime.GOARCH)
	for _, file := range slices.Sorted(slices.Values(files)) {
		path := filepath.Join(folder, file)
		data, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("read what the image is made of: %w", err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return "", fmt.Errorf("read what the image is made of: %w", err)
		}
		// Git keeps only the executable bit of a mode. The other bits depend on the umask, and must not change the key.
		fmt.Fprintf(&text, "%s %t %x\n", file, info.Mode()&0o111 != 0, sha256.Sum256(data))
	}
	return text.String(), nil
}

// filesIn lists all files of these folders, by their paths below folder.
func filesIn(folder string, within ...string) ([]string, error) {
	var files []string
	for _, name := range within {
		err := filepath.WalkDir(filepath.Join(folder, name), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			file, err := filepath.Rel(folder, path)
			files = append(files, file)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list what the image is made of: %w", err)
		}
	}
	return files, nil
}

// goSettings asks the go command for settings, in the project's folder, because its go.mod may require another toolchain.
func (b builder) goSettings(ctx context.Context, names ...string) ([]string, error) {
	command := exec.CommandContext(ctx, "go", append([]string{"env"}, names...)...)
	command.Dir = b.project
	answer, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("ask the go command for its settings: %w", err)
	}
	return strings.Split(strings.TrimSuffix(string(answer), "\n"), "\n"), nil
}
