package chaos

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// connects matches system calls that connect or send to an address.
	connects = regexp.MustCompile(`(?:connect|sendto|sendmsg|sendmmsg)\([^)]*?(sa_family=[^}]*)}`)
	// opens matches system calls that open a file.
	opens = regexp.MustCompile(`open(?:at2?)?\([^"]*"([^"]*)"`)
)

// TestNoEgressAndNoCredentials traces the system calls with which a replica connects, sends or opens a file, from its
// start to its end, with reviews in between. The replica's environment has the variables with which a Kubernetes client
// finds an API server. The replica must not use them.
func TestNoEgressAndNoCredentials(t *testing.T) {
	_, err := exec.LookPath("strace")
	require.NoError(t, err, "install strace: make e2e-packages")
	folder := t.TempDir()
	trace, decoy := filepath.Join(folder, "trace"), filepath.Join(folder, "kubeconfig")
	require.NoError(t, os.WriteFile(decoy, []byte("apiVersion: v1\nkind: Config\n"), 0o600))
	r, client := startAloneWith(t, options{
		// With -D the replica is the child of this test, and strace traces it from another process.
		wrapper: []string{"strace", "-D", "-f", "-qq", "-s", "200", "-o", trace, "-e", "trace=%network,open,openat,openat2"},
		flags:   []string{"--drain=0s"},
		env:     []string{"KUBECONFIG=" + decoy, "HOME=" + folder, "KUBERNETES_SERVICE_HOST=192.0.2.1", "KUBERNETES_SERVICE_PORT=443"},
	})
	callMany(50, r.reviewing(client)).assertWhole(t)
	r.goroutines(t)
	r.signal(t, syscall.SIGTERM)
	r.untilEnded(t)

	calls, err := os.ReadFile(trace)
	require.NoError(t, err)
	text := string(calls)
	require.Contains(t, text, "accept4(", "the trace has the replica's system calls")
	host, port, err := net.SplitHostPort(r.reviews)
	require.NoError(t, err)
	itself := `sa_family=AF_INET, sin_port=htons(` + port + `), sin_addr=inet_addr("` + host + `")`
	outbound, own := 0, 0
	for _, found := range connects.FindAllStringSubmatch(text, -1) {
		if found[1] == itself {
			own++
			continue
		}
		outbound++
		assert.Fail(t, "the replica connects to another address", found[0])
	}
	assert.NotZero(t, own, "the readiness check connects to the replica itself, so the trace shows connections")
	files := 0
	for _, found := range opens.FindAllStringSubmatch(text, -1) {
		files++
		for _, secret := range []string{"kubeconfig", ".kube", "serviceaccount", "token"} {
			assert.NotContains(t, found[1], secret)
		}
	}
	assert.NotZero(t, files, "the replica has read its certificate")
	report(t, "no outbound connection in a system-call trace", "%d lines of trace: %d connections to others, %d to itself (readiness), "+
		"%d files opened and no credentials among them", strings.Count(text, "\n"), outbound, own, files)
}
