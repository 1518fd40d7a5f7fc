package check

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// wanted is the name of an input of the checks, as the constants in state.go are: the objects that should be installed. They
// come from the caller's manifest, or from Helm's record of the deployed release. They do not come from a copy in the
// installed object, because an attacker who changes the object could change the copy too.
const wanted = "the objects as they were rendered"

// Manifest has the objects that should be installed.
type Manifest struct {
	// from is the source of the manifest, for messages.
	from    string
	objects []unstructured.Unstructured
}

// ReadManifest reads the output of helm get manifest or helm template, or deploy/install.yaml. It returns an error if a kind
// that the checks compare (installedKinds) is missing.
func ReadManifest(r io.Reader) (*Manifest, error) {
	m := &Manifest{from: "the manifest given with -f"}
	for decoder := yaml.NewYAMLOrJSONDecoder(r, 4096); ; {
		var document runtime.RawExtension
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if raw := bytes.TrimSpace(document.Raw); err == nil && len(raw) > 0 && string(raw) != "null" {
			var object unstructured.Unstructured
			if err = object.UnmarshalJSON(raw); err == nil {
				m.objects = append(m.objects, object)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read the manifest: %w", err)
		}
	}
	for _, kind := range slices.Sorted(maps.Values(installedKinds)) {
		if len(m.ofKind(kind)) == 0 {
			return nil, fmt.Errorf("the manifest has no %s: give all of it, as helm get manifest prints it", kind)
		}
	}
	return m, nil
}

// ofKind returns the objects of a kind of the API group admissionregistration.k8s.io.
func (m *Manifest) ofKind(kind string) (found []unstructured.Unstructured) {
	for _, object := range m.objects {
		if object.GetKind() == kind && strings.HasPrefix(object.GetAPIVersion(), "admissionregistration.k8s.io/") {
			found = append(found, object)
		}
	}
	return found
}

// release has the fields of Helm's record that this package needs.
type release struct {
	Name, Manifest string
	Version        int
	Chart          struct{ Metadata struct{ Name string } }
}

// readWanted reads the wanted objects from Helm's record of the release, unless the caller gave a manifest.
func (s *state) readWanted(ctx context.Context) error {
	if s.Manifest != nil {
		return nil
	}
	const give = "give the manifest to check: helm get manifest " + webhookName + " -n " + systemNamespace + " | " + webhookName +
		" check -f -"
	var records corev1.SecretList
	err := s.cluster.client.List(ctx, &records, client.InNamespace(systemNamespace),
		client.MatchingLabels{"owner": "helm", "status": "deployed"})
	if err != nil {
		// The error is not wrapped, so that the method "unreadable" does not recommend deploy/examples/checker.yaml: that
		// file deliberately does not give the right to list Secrets.
		return fmt.Errorf("%s, or have it read Helm's record of the release: %s", give, oneLine(err))
	}
	last := release{}
	for _, record := range records.Items {
		r, err := readRelease(record.Data["release"])
		if err != nil {
			return fmt.Errorf("%s: the Secret %s, which is Helm's record: %s", give, record.Name, oneLine(err))
		}
		if r.Chart.Metadata.Name == webhookName && r.Version > last.Version {
			last = r
		}
	}
	if last.Version == 0 {
		return fmt.Errorf("namespace %s has no Helm record of this chart: %s; without Helm, give the manifest that was "+
			"applied: %s check -f deploy/install.yaml", systemNamespace, give, webhookName)
	}
	if s.Manifest, err = ReadManifest(strings.NewReader(last.Manifest)); err == nil {
		s.Manifest.from = fmt.Sprintf("revision %d of the Helm release %s", last.Version, last.Name)
	}
	return err
}

// readRelease decodes a record of Helm 3 or 4, which is JSON, compressed by gzip and encoded in base64.
func readRelease(data []byte) (r release, err error) {
	compressed, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(data)))
	if err != nil {
		return r, err
	}
	const maxSize = 32 << 20
	err = json.NewDecoder(io.LimitReader(compressed, maxSize)).Decode(&r)
	return r, err
}
