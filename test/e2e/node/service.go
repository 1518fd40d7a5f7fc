package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

const (
	// serviceAddress is the address of the Service called kubernetes: the first address of serviceRange.
	serviceAddress = "203.0.113.1"
	// rootsFile is the name of the file with the CAs that Pods trust for the API server.
	rootsFile = "root-ca.crt"
)

// startService makes the API server available at serviceAddress, where Pods look for it. There is no kube-proxy to forward
// connections from there, and the API server's own certificate is not valid for that address. So a proxy listens there,
// with a certificate that Pods trust, and passes on each request with the token of the client.
func (c *Cluster) startService(ctx context.Context, _ Options) error {
	if err := run(ctx, "ip", "address", "add", serviceAddress+"/32", "dev", "lo"); err != nil {
		return err
	}
	pair, err := pki.New(24*time.Hour, serviceAddress)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.path(rootsFile), slices.Concat(c.Admin.Config.CAData, pair.Cert), 0o644); err != nil {
		return err
	}
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return err
	}
	server, err := url.Parse(c.Admin.Config.Host)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.Admin.Config.CAData)
	listener, err := net.Listen("tcp", net.JoinHostPort(serviceAddress, "443"))
	if err != nil {
		return err
	}
	proxy := &http.Server{
		Handler: &httputil.ReverseProxy{
			Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(server) },
			Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
			FlushInterval: -1,
		},
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}},
		ReadHeaderTimeout: stepTimeout,
	}
	go func() { _ = proxy.ServeTLS(listener, "", "") }()
	return nil
}
