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

// An Egress is where an API server comes with what it calls in the cluster. So it calls a webhook by its Service's name, over
// HTTP/1.1, with the certificate that the name asks for, though there is no network of a cluster.
type Egress struct {
	// File is for the API server's flag egress-selector-config-file.
	File string

	folder string
	server *http.Server
	choose func() (address string)
}

// StartEgress leads each connection to the address that is chosen then.
func StartEgress(choose func() (address string)) (*Egress, error) {
	// The names of tests' own folders are longer than a socket's may be.
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

// Stop leads nowhere any more.
func (e *Egress) Stop() error { return errors.Join(e.server.Close(), os.RemoveAll(e.folder)) }

func (e *Egress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "CONNECT alone", http.StatusMethodNotAllowed)
		return
	}
	to, err := net.Dial("tcp", e.choose())
	if err != nil {
		http.Error(w, "nobody is ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer to.Close() //nolint:errcheck // both ends are done with it
	from, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer from.Close() //nolint:errcheck // likewise
	if _, err := io.WriteString(from, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done
}
