package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

type file struct {
	name    string
	mode    int64
	content []byte
}

// pack returns a tar archive. The files are sorted by name and have no times and no owners, so that the same files give the
// same bytes.
func pack(files []file) ([]byte, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.content)), Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
		if _, err := archive.Write(f.content); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("end the archive: %w", err)
	}
	return packed.Bytes(), nil
}

// compress returns a gzip stream without file name and time.
func compress(content []byte) ([]byte, error) {
	var compressed bytes.Buffer
	stream, err := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := stream.Write(content); err != nil {
		return nil, err
	}
	if err := stream.Close(); err != nil {
		return nil, err
	}
	return compressed.Bytes(), nil
}

// packChart returns the package of a chart, and the file name that Helm gives to the package. It does not use helm package,
// because helm package writes the time of packing into the archive.
func packChart(folder string) (packed []byte, name string, err error) {
	text, err := os.ReadFile(filepath.Join(folder, "Chart.yaml"))
	if err != nil {
		return nil, "", err
	}
	var chart struct{ Name, Version string }
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return nil, "", fmt.Errorf("read Chart.yaml: %w", err)
	}
	files, err := read(folder, chart.Name)
	if err != nil {
		return nil, "", err
	}
	whole, err := pack(files)
	if err != nil {
		return nil, "", err
	}
	packed, err = compress(whole)
	return packed, chart.Name + "-" + chart.Version + ".tgz", err
}

// read returns the files in a folder and its subfolders, with paths that begin with the argument name. It follows symbolic
// links, because "monitoring" in the folder of the chart is a symbolic link.
func read(folder, name string) ([]file, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, entry := range entries {
		source, target := filepath.Join(folder, entry.Name()), path.Join(name, entry.Name())
		if info, err := os.Stat(source); err == nil && info.IsDir() {
			below, err := read(source, target)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
			continue
		}
		content, err := os.ReadFile(source)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: target, mode: 0o644, content: content})
	}
	return files, nil
}
