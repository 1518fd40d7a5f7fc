// Command release writes the files of a release: one OCI archive with the image for each platform, the chart, the manifest
// for kubectl, and the checksums. It writes them beside the programs, which "make release" has built before. The same input
// gives the same bytes on any machine and on any day.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	var r release
	flag.StringVar(&r.version, "version", "", "the version, such as v0.2.0")
	flag.StringVar(&r.revision, "revision", "", "the commit that the programs were built from")
	flag.StringVar(&r.dist, "dist", "dist/release",
		"the folder with the programs, <program>-<os>-<architecture>, and for the results")
	platforms := flag.String("platforms", "linux/amd64 linux/arm64", "the platforms of the programs")
	flag.Parse()
	r.platforms, r.deploy = strings.Fields(*platforms), "deploy"
	if err := r.pack(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

type release struct {
	version, revision string
	// platforms are names such as linux/amd64.
	platforms []string
	// deploy is the folder with the chart and install.yaml.
	deploy string
	// dist is the folder with the programs, to which the results are written.
	dist string
}

// pack writes the image, the chart and the manifest to dist, and then the checksums of all files in dist.
func (r release) pack() error {
	image, err := r.image()
	if err != nil {
		return fmt.Errorf("pack the image: %w", err)
	}
	chart, name, err := packChart(filepath.Join(r.deploy, "chart"))
	if err != nil {
		return fmt.Errorf("pack the chart: %w", err)
	}
	install, err := os.ReadFile(filepath.Join(r.deploy, "install.yaml"))
	if err != nil {
		return fmt.Errorf("read the manifest: %w", err)
	}
	for name, content := range map[string][]byte{
		imageName + "-" + r.version + ".oci.tar": image,
		name:                                     chart,
		"install.yaml":                           install,
	} {
		if err := os.WriteFile(filepath.Join(r.dist, name), content, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return r.sum()
}

// sumsFile is the file that sha256sum --check reads.
const sumsFile = "SHA256SUMS"

// sum writes the checksums of all files in dist, sorted by name.
func (r release) sum() error {
	files, err := os.ReadDir(r.dist)
	if err != nil {
		return fmt.Errorf("list the release: %w", err)
	}
	var sums strings.Builder
	for _, file := range files {
		if file.Name() == sumsFile || file.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(r.dist, file.Name()))
		if err != nil {
			return fmt.Errorf("sum the release: %w", err)
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(content), file.Name())
	}
	if err := os.WriteFile(filepath.Join(r.dist, sumsFile), []byte(sums.String()), 0o644); err != nil {
		return fmt.Errorf("write the checksums: %w", err)
	}
	return nil
}
