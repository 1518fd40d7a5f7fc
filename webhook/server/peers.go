package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// unknownGeneration is the reason with which a replica denies a Pod of a configuration that it does not have.
var unknownGeneration = metav1.StatusReason(denial.GenerationUnknown("", "").Reason)

const (
	// peerTimeout is the time limit for the other replicas. The whole review must take less than a second.
	peerTimeout = 800 * time.Millisecond
	// peerIdleTimeout is the time for which an idle connection to another replica is kept. It must be shorter than
	// idleTimeout, after which the other replica closes the connection.
	peerIdleTimeout = 30 * time.Second
	// maxPeers is the maximum number of replicas that are asked. The chart's Deployment has 2 by default, and a rollout adds one.
	maxPeers = 16
	// maxPeerRequests is the maximum number of reviews that are forwarded at the same time. Each takes up to 4 MiB of
	// memory and a connection to every replica. A rollout needs few, and a client that sends made-up reviews must not cause
	// more.
	maxPeerRequests = 8
)

// Peers are the other replicas of this webhook. During a rollout, replicas of two configurations or releases serve, and a
// Pod can be injected by one replica and verified by another. A replica cannot compare the Pod with a plan of an unknown
// configuration, so it asks the other replicas: one of them injected the Pod.
type Peers struct {
	// Timeout is the time limit for a forwarded review. It is set by NewPeers, and changed only by tests.
	Timeout time.Duration

	addresses      []address
	getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	slots          chan struct{}
	// lastReplica is the address of the replica that decided the most recent forwarded review. During a rollout about half
	// of the reviews are forwarded, and a request to one replica is cheaper than requests to all.
	lastReplica atomic.Pointer[string]

	lock sync.Mutex
	// httpClient is the client whose connections use the certificate httpClientFor.
	httpClient    *http.Client
	httpClientFor []byte
}

// address is the address of one replica, or a name that resolves to the addresses of all replicas.
type address struct{ host, port string }

// NewPeers returns the peers at addresses of the form host:port. A host can be a name that resolves to all replicas, such
// as that of a headless Service. All replicas serve with the same certificate, by which they recognize each other.
func NewPeers(addresses []string, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (*Peers, error) {
	p := &Peers{Timeout: peerTimeout, getCertificate: getCertificate, slots: make(chan struct{}, maxPeerRequests)}
	for _, text := range addresses {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			return nil, fmt.Errorf("the peer %q is not host:port: %w", text, err)
		}
		p.addresses = append(p.addresses, address{host, port})
	}
	return p, nil
}

type peerResponse struct {
	resp *admissionv1.AdmissionResponse
	peer string
	err  error
}

// ask forwards a review to the replica that decided the most recent forwarded review, and waits for at most a quarter of
// Timeout. If there is no such replica yet, or if the request fails, ask forwards the review to all replicas at the same
// time. It returns the first decision, and the address of the replica that made it.
func (p *Peers) ask(ctx context.Context, review []byte) (*admissionv1.AdmissionResponse, string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return nil, "", fmt.Errorf("%d requests to other replicas are running, and none has ended in time", maxPeerRequests)
	}
	// A request to a slow replica can still send the body when the buffer of the body is reused for another review.
	review = bytes.Clone(review)
	client, err := p.client()
	if err != nil {
		return nil, "", err
	}
	if last := p.lastReplica.Load(); last != nil {
		if resp, err := askReplica(ctx, client, *last, review, p.Timeout/4); err == nil {
			return resp, *last, nil
		}
	}
	return p.askAll(ctx, client, review)
}

func (p *Peers) askAll(ctx context.Context, client *http.Client, review []byte) (*admissionv1.AdmissionResponse, string, error) {
	addresses, err := p.resolve(ctx)
	if err != nil {
		return nil, "", err
	}
	if len(addresses) == 0 {
		return nil, "", errors.New("there are no other replicas to ask (--peers)")
	}
	responses := make(chan peerResponse, len(addresses))
	for _, address := range addresses {
		go func() {
			resp, err := askReplica(ctx, client, address, review, p.Timeout)
			responses <- peerResponse{resp, address, err}
		}()
	}
	var failures []error
	for range addresses {
		r := <-responses
		if r.err == nil {
			p.lastReplica.Store(&r.peer)
			return r.resp, r.peer, nil
		}
		failures = append(failures, r.err)
	}
	return nil, "", errors.Join(failures...)
}

// decisionOfReplica returns the decision of another replica. From the response it takes only the denial.
func decisionOfReplica(resp *admissionv1.AdmissionResponse, peer string) webhook.Decision {
	d := webhook.Decision{Claimed: true, Peer: peer}
	if !resp.Allowed && resp.Result != nil {
		d.Denials = []denial.Denial{{
			Code: resp.Result.Code, Reason: denial.Reason(resp.Result.Reason), Message: resp.Result.Message,
		}}
	}
	return d
}

// resolve returns the addresses of the replicas, at most maxPeers.
func (p *Peers) resolve(ctx context.Context) (found []string, err error) {
	for _, a := range p.addresses {
		hosts, err := net.DefaultResolver.LookupHost(ctx, a.host)
		if err != nil {
			return nil, err
		}
		for _, host := range hosts {
			found = append(found, net.JoinHostPort(host, a.port))
		}
	}
	return found[:min(len(found), maxPeers)], nil
}

// client returns a client that trusts only this replica's serving certificate and presents it, so that the other replicas
// recognize this replica. Connections are kept until the certificate changes, because a handshake costs as much as several
// reviews.
func (p *Peers) client() (*http.Client, error) {
	own, err := p.getCertificate(nil)
	if err != nil {
		return nil, err
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	if bytes.Equal(p.httpClientFor, own.Certificate[0]) {
		return p.httpClient, nil
	}
	leaf, err := x509.ParseCertificate(own.Certificate[0])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	trusted := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{*own}}
	switch {
	case len(leaf.DNSNames) > 0:
		trusted.ServerName = leaf.DNSNames[0]
	case len(leaf.IPAddresses) > 0:
		trusted.ServerName = leaf.IPAddresses[0].String()
	}
	if p.httpClient != nil {
		p.httpClient.CloseIdleConnections()
	}
	p.httpClient, p.httpClientFor = &http.Client{Transport: &http.Transport{
		TLSClientConfig: trusted, MaxIdleConnsPerHost: maxPeerRequests, IdleConnTimeout: peerIdleTimeout,
	}}, own.Certificate[0]
	return p.httpClient, nil
}

// isReplica reports whether the client of a connection presents the serving certificate of this replica. The handshake has
// proved that the client has the key of the certificate.
func isReplica(state tls.ConnectionState, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) bool {
	own, err := getCertificate(&tls.ClientHelloInfo{})
	return err == nil && len(state.PeerCertificates) > 0 && bytes.Equal(state.PeerCertificates[0].Raw, own.Certificate[0])
}

// askReplica sends a review to one replica. It also returns an error if the replica does not have the configuration with
// which the Pod was injected.
func askReplica(ctx context.Context, client *http.Client, address string, body []byte, limit time.Duration) (
	*admissionv1.AdmissionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+PeerPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	// This header is not sent. It makes the client retry if the replica has closed a kept connection.
	req.Header["Idempotency-Key"] = nil
	got, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close() //nolint:errcheck // the body is only read
	review := admissionv1.AdmissionReview{}
	if err := json.NewDecoder(io.LimitReader(got.Body, maxBody)).Decode(&review); err != nil {
		return nil, fmt.Errorf("%s returned %s: %w", address, got.Status, err)
	}
	switch resp := review.Response; {
	case resp == nil:
		return nil, fmt.Errorf("%s returned %s without a response", address, got.Status)
	case !resp.Allowed && resp.Result != nil && resp.Result.Reason == unknownGeneration:
		return nil, fmt.Errorf("%s does not know the configuration either", address)
	default:
		return resp, nil
	}
}
