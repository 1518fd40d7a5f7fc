package images

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// workshop is a folder in which buildah builds images. The folder has the results, and buildah's storage, which is separate
// from the storage of the system.
type workshop struct {
	folder string
	// out receives the progress messages.
	out io.Writer
}

// newWorkshop returns a workshop in this folder, which must exist.
func newWorkshop(folder string, out io.Writer) (workshop, error) {
	if err := need("buildah"); err != nil {
		return workshop{}, err
	}
	w := workshop{folder: folder, out: out}
	storage := fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n",
		w.storage(), w.running())
	if err := os.Mkdir(w.temporary(), 0o755); err != nil {
		return workshop{}, fmt.Errorf("create a folder for buildah: %w", err)
	}
	if err := os.WriteFile(w.configuration(), []byte(storage), 0o644); err != nil {
		return workshop{}, fmt.Errorf("say where buildah keeps images: %w", err)
	}
	return w, nil
}

func (w workshop) configuration() string { return filepath.Join(w.folder, "storage.conf") }

// storage and running are buildah's folders, for images and for data of running processes.
func (w workshop) storage() string { return filepath.Join(w.folder, "storage") }
func (w workshop) running() string { return filepath.Join(w.folder, "running") }

// temporary is buildah's folder for temporary files. A killed buildah leaves them behind, so they are not in /tmp, but in the
// folder of the workshop.
func (w workshop) temporary() string { return filepath.Join(w.folder, "tmp") }

// layout is the folder to which images are pushed. They share their layers there.
func (w workshop) layout() string { return filepath.Join(w.folder, "layout") }

// close removes everything except the packed results.
func (w workshop) close() error {
	for _, path := range []string{w.configuration(), w.layout(), w.storage(), w.running(), w.temporary()} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("clear the workshop up: %w", err)
		}
	}
	return nil
}

func (w workshop) buildah(ctx context.Context, arguments ...string) *exec.Cmd {
	command := offline(ctx, append([]string{"buildah"}, arguments...)...)
	command.Env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+w.configuration(), "TMPDIR="+w.temporary())
	return command
}

// build builds an image from a Dockerfile and files of a folder. The image contains no time.
func (w workshop) build(ctx context.Context, image, dockerfile, folder string, arguments ...string) error {
	arguments = append([]string{"bud", "--pull-never", "--isolation=chroot", "--network=host", "--http-proxy=false",
		"--timestamp=0", "--tag=" + image, "--file=" + dockerfile}, arguments...)
	name, _, _ := strings.Cut(path.Base(image), ":")
	return stage(w.out, name, "building the image", "built", func() error {
		return run(w.buildah(ctx, append(arguments, folder)...))
	})
}

// pack writes images into one archive. compression is the format of their layers; the archive itself is not compressed.
func (w workshop) pack(ctx context.Context, archive, compression string, images ...string) error {
	return stage(w.out, filepath.Base(archive), "writing", "written", func() error {
		for _, image := range images {
			err := run(w.buildah(ctx, "push", "--quiet", "--compression-format="+compression, image, "oci:"+w.layout()+":"+image))
			if err != nil {
				return err
			}
		}
		return writeTar(archive, w.layout())
	})
}

// writeTar packs a folder into a file. The same folder always gives the same file.
func writeTar(name, folder string) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("create the archive: %w", err)
	}
	defer func() {
		if closing := file.Close(); err == nil && closing != nil {
			err = fmt.Errorf("write the archive: %w", closing)
		}
	}()
	files, err := filesIn(folder, ".")
	if err != nil {
		return err
	}
	archive := tar.NewWriter(file)
	for _, file := range files {
		if err := addFile(archive, folder, file); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

func addFile(archive *tar.Writer, folder, name string) error {
	file, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: info.Size(), ModTime: time.Unix(0, 0)}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
