package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// imageName is the name of the image, and of the program that the image starts.
const imageName = "jupyter-user-webhook"

// programs are the names of the files in the image.
var programs = []string{imageName, "jupyter-user-init"}

// The media types of the OCI image specification.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// config is the image's configuration. It has no date of creation, so that each build gives the same image.
type config struct {
	platform
	Config runtime `json:"config"`
	RootFS rootFS  `json:"rootfs"`
}

type runtime struct {
	User       string            `json:"User"`
	Entrypoint []string          `json:"Entrypoint"`
	Cmd        []string          `json:"Cmd"`
	Labels     map[string]string `json:"Labels"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

// layout has the files of an OCI image layout, by path: the blobs, which are named by their digests, index.json and
// oci-layout.
type layout struct{ files map[string][]byte }

// add stores a blob and returns its descriptor.
func (l layout) add(mediaType string, content []byte) descriptor {
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	l.files["blobs/sha256/"+sum] = content
	return descriptor{MediaType: mediaType, Digest: "sha256:" + sum, Size: len(content)}
}

// addJSON stores a document as a JSON blob, and returns its descriptor. Equal documents give equal bytes, because the keys
// of maps are sorted.
func (l layout) addJSON(mediaType string, document any) (descriptor, error) {
	content, err := json.Marshal(document)
	return l.add(mediaType, content), err
}

// image returns one archive with the image for each platform. A build from the Dockerfile gives the same files and
// settings, but needs a container engine.
func (r release) image() ([]byte, error) {
	l := layout{files: map[string][]byte{}}
	platforms := index{SchemaVersion: 2, MediaType: typeIndex}
	for _, name := range r.platforms {
		system, architecture, _ := strings.Cut(name, "/")
		d, err := r.imageOf(l, platform{OS: system, Architecture: architecture})
		if err != nil {
			return nil, err
		}
		platforms.Manifests = append(platforms.Manifests, d)
	}
	whole, err := l.addJSON(typeIndex, platforms)
	if err != nil {
		return nil, err
	}
	whole.Annotations = map[string]string{
		// skopeo and buildah find the image by the first annotation; containerd names the image by the second annotation.
		"org.opencontainers.image.ref.name": r.version,
		"io.containerd.image.name":          "docker.io/library/" + imageName + ":" + r.version,
	}
	entry, err := json.Marshal(index{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{whole}})
	if err != nil {
		return nil, err
	}
	l.files["index.json"], l.files["oci-layout"] = entry, []byte(`{"imageLayoutVersion":"1.0.0"}`)
	var files []file
	for name, content := range l.files {
		files = append(files, file{name: name, mode: 0o644, content: content})
	}
	return pack(files)
}

// imageOf adds the image for one platform to the layout.
func (r release) imageOf(l layout, target platform) (descriptor, error) {
	var files []file
	for _, program := range programs {
		content, err := os.ReadFile(filepath.Join(r.dist, program+"-"+target.OS+"-"+target.Architecture))
		if err != nil {
			return descriptor{}, fmt.Errorf("read a program: %w", err)
		}
		files = append(files, file{name: program, mode: 0o755, content: content})
	}
	layer, err := pack(files)
	if err != nil {
		return descriptor{}, err
	}
	compressed, err := compress(layer)
	if err != nil {
		return descriptor{}, fmt.Errorf("compress the programs: %w", err)
	}
	written, err := l.addJSON(typeConfig, config{
		platform: target,
		Config:   runtime{User: "65532:65532", Entrypoint: []string{"/" + imageName}, Cmd: []string{"serve"}, Labels: r.labels()},
		RootFS:   rootFS{Type: "layers", DiffIDs: []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		return descriptor{}, err
	}
	d, err := l.addJSON(typeManifest, manifest{
		SchemaVersion: 2, MediaType: typeManifest, Config: written, Layers: []descriptor{l.add(typeLayer, compressed)},
	})
	d.Platform = &target
	return d, err
}

// labels returns the image's labels, which are the same as in the Dockerfile.
func (r release) labels() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       imageName,
		"org.opencontainers.image.description": "One label makes a Pod run as a user, with that user's home",
		"org.opencontainers.image.version":     r.version,
		"org.opencontainers.image.revision":    r.revision,
		"org.opencontainers.image.source":      "https://jupyter-user.io/jupyter-user-webhook",
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}
}
