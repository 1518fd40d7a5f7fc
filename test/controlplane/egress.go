package controlplane

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// An Egress is a proxy through which the API server connects to Services. With it, the API server calls a webhook by the
// name of its Service, over HTTP/1.1, and checks the certificate for this name, although there is no cluster network.
type Egress struct {
	// File is the value of the API server's flag egress-selector-config-file.
	File string

	folder string
	server *http.Server
	choose func() (address string)
}

// StartEgress starts a proxy, which the caller must stop. For each connection, the proxy calls the function "choose", and
// connects to the address (host:port) that the function returns.
func StartEgress(choose func() (address string)) (*Egress, error) {
	// Not t.TempDir: its path can be too long for a Unix socket.
	folder, err := os.MkdirTemp("", "egress-")
	if err != nil {
		return nil, err
	}
	e := &Egress{File: filepath.Join(folder, "egress.yaml"), folder: folder, choose: choose}
	e.server = &http.Server{Handler: e}
	socket := filepath.Join(folder, "egress")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	go func() { _ = e.server.Serve(listener) }()
	text := fmt.Sprintf(`apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  - name: cluster
    connection:
      proxyProtocol: HTTPConnect
      transport:
        uds:
          udsName: %s
`, socket)
	if err := os.WriteFile(e.File, []byte(text), 0o600); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

// Stop stops the proxy and removes its files.
func (e *Egress) Stop() error { return errors.Join(e.server.Close(), os.RemoveAll(e.folder)) }

func (e *Egress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT is allowed", http.StatusMethodNotAllowed)
		return
	}
	to, err := net.Dial("tcp", e.choose())
	if err != nil {
		http.Error(w, "no replica accepts a connection: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer to.Close() //nolint:errcheck // nothing is sent after that
	from, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer from.Close() //nolint:errcheck // nothing is sent after that
	if _, err := io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	for _, direction := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(direction[0], direction[1])
			done <- struct{}{}
		}()
	}
	<-done
}
