package sbom

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// bill has the CycloneDX fields that the test reads.
type bill struct {
	BOMFormat  string `json:"bomFormat"`
	Metadata   struct{ Component component }
	Components []component
}

type component struct{ Name, Version, PURL string }

// TestBillOfMaterials tests that a bill lists Go itself and exactly the modules that are linked into the program, each with
// its version. The bill has no timestamp and no serial number, so that building it again gives the same bytes.
func TestBillOfMaterials(t *testing.T) {
	t.Parallel()
	folder := bills(t)
	for _, program := range []string{"jupyter-user-webhook", "jupyter-user-init"} {
		built, err := buildinfo.ReadFile(filepath.Join(folder, program))
		require.NoError(t, err)
		want := map[string]string{"std": built.GoVersion}
		for _, module := range built.Deps {
			if module.Replace != nil {
				module = module.Replace
			}
			want[module.Path] = module.Version
		}
		text, err := os.ReadFile(filepath.Join(folder, program+".cdx.json"))
		require.NoError(t, err)
		var b bill
		require.NoError(t, json.Unmarshal(text, &b))
		assert.Equal(t, "CycloneDX", b.BOMFormat)
		assert.Equal(t, "jupyter-user.io/jupyter-user-webhook", b.Metadata.Component.Name)
		assert.Equal(t, handoff.Version, b.Metadata.Component.Version)
		got := map[string]string{}
		for _, c := range b.Components {
			got[c.Name] = c.Version
			assert.Contains(t, c.PURL, "pkg:golang/"+c.Name+"@", "scanners find vulnerabilities by this URL")
		}
		assert.Equal(t, want, got, program)
		assert.NotContains(t, string(text), "timestamp", "the same bill each time")
		assert.NotContains(t, string(text), "serialNumber")
	}
}

// The function "bills" runs `make sbom` and returns the folder with the programs and their bills of materials.
func bills(t *testing.T) string {
	t.Helper()
	dist := t.TempDir()
	output, err := exec.Command("make", "-C", "../..", "--no-print-directory", "sbom", "DIST="+dist).CombinedOutput()
	require.NoError(t, err, "%s", output)
	return dist
}
