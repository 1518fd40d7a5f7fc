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
	// connects are the calls with which a process reaches for another, by the address in them.
	connects = regexp.MustCompile(`(?:connect|sendto|sendmsg|sendmmsg)\([^)]*?(sa_family=[^}]*)}`)
	opens    = regexp.MustCompile(`open(?:at2?)?\([^"]*"([^"]*)"`)
)

// TestNoEgressAndNoCredentials reads every system call by which a server connects to anybody or opens a file, from its start to its
// end, with reviews in between. Everything that would lead a client of an API server to one is there; it is not looked at.
func TestNoEgressAndNoCredentials(t *testing.T) {
	_, err := exec.LookPath("strace")
	require.NoError(t, err, "install strace: make e2e-packages")
	folder := t.TempDir()
	trace, decoy := filepath.Join(folder, "trace"), filepath.Join(folder, "kubeconfig")
	require.NoError(t, os.WriteFile(decoy, []byte("apiVersion: v1\nkind: Config\n"), 0o600))
	r, client := aloneIn(t, options{
		// With -D the server is the child, and strace looks on from the side.
		around: []string{"strace", "-D", "-f", "-qq", "-s", "200", "-o", trace, "-e", "trace=%network,open,openat,openat2"},
		flags:  []string{"--drain=0s"},
		env:    []string{"KUBECONFIG=" + decoy, "HOME=" + folder, "KUBERNETES_SERVICE_HOST=192.0.2.1", "KUBERNETES_SERVICE_PORT=443"},
	})
	burst(50, r.reviewing(client)).assertWhole(t)
	r.goroutines(t)
	r.signal(t, syscall.SIGTERM)
	r.untilEnded(t)

	said, err := os.ReadFile(trace)
	require.NoError(t, err)
	text := string(said)
	require.Contains(t, text, "accept4(", "the trace has what the server does")
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
		assert.Fail(t, "it reaches for somebody", found[0])
	}
	assert.NotZero(t, own, "its own readiness is asked by a handshake, so what is looked for would be found")
	files := 0
	for _, found := range opens.FindAllStringSubmatch(text, -1) {
		files++
		for _, secret := range []string{"kubeconfig", ".kube", "serviceaccount", "token"} {
			assert.NotContains(t, found[1], secret)
		}
	}
	assert.NotZero(t, files, "it has read its certificate")
	report(t, "no outbound connection in a system-call trace", "%d lines of trace: %d connections to others, %d to itself (readiness), "+
		"%d files opened and no credentials among them", strings.Count(text, "\n"), outbound, own, files)
}
