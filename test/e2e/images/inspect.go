package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// imageInfo describes one image of an archive.
type imageInfo struct {
	// User, Entrypoint, Command, WorkingDir and Env are the defaults of a container.
	User       string
	Entrypoint []string
	Command    []string
	WorkingDir string
	Env        []string
	Labels     map[string]string
	// Architecture is the processor architecture in Go's spelling, such as amd64.
	Architecture string
	// Digest is the image's digest in a registry.
	Digest string
	// layers are the file systems of the image, as they are in the archive.
	layers [][]byte
}

type imageFile struct {
	Mode    fs.FileMode
	Content []byte
}

// descriptor refers to a part of the archive.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Annotations map[string]string `json:"annotations"`
}

// refName is the annotation with an image's name.
const refName = "org.opencontainers.image.ref.name"

// inspect reads an image from an archive.
func inspect(archive, name string) (imageInfo, error) {
	parts, err := readTar(archive)
	if err != nil {
		return imageInfo{}, fmt.Errorf("read %s: %w", archive, err)
	}
	image, err := parts.image(name)
	if err != nil {
		return imageInfo{}, fmt.Errorf("find %s in %s: %w", name, archive, err)
	}
	return image, nil
}

// files returns the image's files and folders, by their paths. It can read only the layers of the webhook's archive, which are
// compressed with gzip. Those of the notebooks' archive are compressed with zstd.
func (i imageInfo) files() (map[string]imageFile, error) {
	files := map[string]imageFile{}
	for _, layer := range i.layers {
		unpacked, err := gzip.NewReader(bytes.NewReader(layer))
		if err != nil {
			return nil, fmt.Errorf("unpack a layer: %w", err)
		}
		archive := tar.NewReader(unpacked)
		for {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read a layer: %w", err)
			}
			content, err := io.ReadAll(archive)
			if err != nil {
				return nil, fmt.Errorf("read a layer: %w", err)
			}
			files[strings.TrimSuffix(header.Name, "/")] = imageFile{Mode: header.FileInfo().Mode(), Content: content}
		}
	}
	return files, nil
}

// parts are the files of an archive.
type parts map[string][]byte

func readTar(path string) (parts, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	p := parts{}
	archive := tar.NewReader(file)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		if p[header.Name], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}

func (p parts) image(name string) (imageInfo, error) {
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(p["index.json"], &index); err != nil {
		return imageInfo{}, fmt.Errorf("read the index: %w", err)
	}
	for _, manifest := range index.Manifests {
		if manifest.Annotations[refName] == name {
			return p.manifest(manifest)
		}
	}
	return imageInfo{}, errors.New("there is no image of that name")
}

func (p parts) manifest(d descriptor) (imageInfo, error) {
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	if err := json.Unmarshal(p.blob(d), &manifest); err != nil {
		return imageInfo{}, fmt.Errorf("read the manifest: %w", err)
	}
	var config struct {
		Architecture string
		Config       struct {
			User, WorkingDir     string
			Entrypoint, Cmd, Env []string
			Labels               map[string]string
		}
	}
	if err := json.Unmarshal(p.blob(manifest.Config), &config); err != nil {
		return imageInfo{}, fmt.Errorf("read the configuration: %w", err)
	}
	c := config.Config
	image := imageInfo{User: c.User, Entrypoint: c.Entrypoint, Command: c.Cmd, WorkingDir: c.WorkingDir, Env: c.Env,
		Labels: c.Labels, Architecture: config.Architecture, Digest: d.Digest}
	for _, layer := range manifest.Layers {
		image.layers = append(image.layers, p.blob(layer))
	}
	return image, nil
}

func (p parts) blob(d descriptor) []byte {
	return p["blobs/"+strings.Replace(d.Digest, ":", "/", 1)]
}
