package sbom

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSizeAndStart limits the size of the program and the least processor time of five runs of the command `inject`. A
// quarter of the program is API types that client-go's scheme registers. They cannot be left out, because
// controller-runtime's client and certwatcher import that scheme.
func TestSizeAndStart(t *testing.T) {
	t.Parallel()
	program := filepath.Join(bills(t), "jupyter-user-webhook")
	file, err := os.Stat(program)
	require.NoError(t, err)
	assert.Less(t, file.Size(), int64(34<<20), "bytes")

	least := time.Hour
	for range 5 {
		inject := exec.Command(program, "inject", "-f", "../../test/golden/testdata/bare-at-start.yaml")
		output, err := inject.CombinedOutput()
		require.NoError(t, err, "%s", output)
		least = min(least, inject.ProcessState.UserTime()+inject.ProcessState.SystemTime())
	}
	assert.Less(t, least, 100*time.Millisecond, "processor time of inject, from start to end")
}

// TestImportsLeftOut tests that some packages, which no command needs, are not linked into the program, and that none of
// this project's packages in the program imports the clients of every API group.
func TestImportsLeftOut(t *testing.T) {
	t.Parallel()
	listed, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "../../cmd/jupyter-user-webhook").Output()
	require.NoError(t, err)
	require.Contains(t, string(listed), "k8s.io/api/core/v1")
	for line := range strings.Lines(string(listed)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, out := range []string{"helm.sh/", "k8s.io/kubernetes/", "k8s.io/apiserver/", "k8s.io/kubectl/", "google.golang.org/grpc",
			"github.com/google/cel-go", "github.com/stretchr/", "go.opentelemetry.io/", "sigs.k8s.io/controller-runtime/pkg/envtest"} {
			assert.False(t, strings.HasPrefix(path+"/", out), "%s is linked in", path)
		}
		if strings.HasPrefix(path, "jupyter-user.io/") {
			assert.NotContains(t, strings.Fields(imports), "k8s.io/client-go/kubernetes",
				"%s imports the clients of every API group: import those of one group, such as k8s.io/client-go/kubernetes/typed/core/v1", path)
		}
	}
}
