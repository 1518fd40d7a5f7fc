package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/bench/handlers"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

// usage has the processor time of a process, and its peak resident memory in bytes.
type usage struct {
	CPU      time.Duration `json:"cpu"`
	Resident int64         `json:"resident"`
}

// serve runs a server process: it serves one handler with TLS, prints its address, and ends when its standard input is closed.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	name := flags.String("handler", "", "name of the handler, as in package handlers")
	address := flags.String("address", "127.0.0.1:0", "address to listen at")
	dir := flags.String("certificate", "", "folder of tls.crt and tls.key")
	http2 := flags.Bool("http2", false, "offer HTTP/2, which the webhook itself does not offer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	handler, err := handlers.New(*name)
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(*dir+"/tls.crt", *dir+"/tls.key")
	if err != nil {
		return err
	}
	current := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.HandleFunc("GET /usage", serveUsage)
	fmt.Println(listener.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if !*http2 {
		return server.New(listener, mux, server.Options{
			GetCertificate: current, Log: slog.New(slog.DiscardHandler)}).Run(ctx)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: current}}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func serveUsage(w http.ResponseWriter, _ *http.Request) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(usage{CPU: time.Duration(r.Utime.Nano() + r.Stime.Nano()), Resident: peakResident()})
}

// peakResident returns the peak resident memory of this process in bytes. getrusage would include the memory of the parent
// process at the start.
func peakResident() int64 {
	for line := range strings.Lines(read("/proc/self/status")) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "VmHWM:" {
			size, _ := strconv.ParseInt(words[1], 10, 64)
			return size << 10
		}
	}
	return 0
}

// serverProcess is a running server process with an HTTP client for it. started is the time that the process took to start.
type serverProcess struct {
	address string
	url     string
	client  *http.Client
	started time.Duration
	stop    func() error
}

// start starts a server process, and waits until it has responded once.
func start(ctx context.Context, name, certificate, address string, http2 bool) (*serverProcess, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	process := exec.CommandContext(ctx, own, "serve", "-handler", name, "-certificate", certificate, "-address", address, fmt.Sprintf("-http2=%t", http2))
	process.Stderr = os.Stderr
	input, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, err
	}
	s := &serverProcess{stop: func() error { return errors.Join(input.Close(), process.Wait()) }}
	line := make([]byte, 64)
	n, err := output.Read(line)
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.address = strings.TrimSpace(string(line[:n]))
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	// The client uses a host name, as an API server does for a webhook that has a Service.
	s.url = "https://localhost:" + port
	s.client, err = client(certificate, http2)
	if err == nil {
		_, err = s.usage(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.started = time.Since(began)
	return s, nil
}

// client returns an HTTP client that keeps as many connections open as an API server.
func client(certificate string, http2 bool) (*http.Client, error) {
	trusted, err := os.ReadFile(certificate + "/tls.crt")
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trusted)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, MaxIdleConnsPerHost: 25, ForceAttemptHTTP2: http2}}, nil
}

// post sends a review and returns the time until the response was read.
func (s *serverProcess) post(ctx context.Context, path string, review io.Reader) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, review)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close() //nolint:errcheck // everything was read
	body := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(body)
	body.Reset()
	_, err = body.ReadFrom(response.Body)
	took := time.Since(began)
	if err == nil && (response.StatusCode != http.StatusOK || !bytes.Contains(body.Bytes(), []byte(`"allowed":true`))) {
		err = fmt.Errorf("%s responded %s: %s", s.url, response.Status, body)
	}
	return took, err
}

// buffers are reused for the response bodies. Without them, the client's garbage collection would take processor time from the
// server, the more the larger its responses are, and a handler with larger responses would seem slower than it is.
var buffers = sync.Pool{New: func() any { return &bytes.Buffer{} }}

func (s *serverProcess) usage(ctx context.Context) (u usage, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/usage", nil)
	if err != nil {
		return u, err
	}
	response, err := s.client.Do(req)
	if err != nil {
		return u, err
	}
	defer response.Body.Close() //nolint:errcheck // everything was read
	return u, json.NewDecoder(response.Body).Decode(&u)
}

// certificate writes a serving certificate for localhost and its key into a folder.
func certificate(dir string) error {
	pair, err := pki.New(24*time.Hour, "localhost")
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(dir+"/tls.crt", pair.Cert, 0o600), os.WriteFile(dir+"/tls.key", pair.Key, 0o600))
}
