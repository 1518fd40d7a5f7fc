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

// unknownGeneration is what a replica answers that cannot tell.
var unknownGeneration = metav1.StatusReason(denial.GenerationUnknown("", "").Reason)

const (
	// peerTimeout is how long the other replicas may take to answer. With it an answer takes less than a second yet.
	peerTimeout = 800 * time.Millisecond
	// lastReplicaTimeout is how long the one that could tell last has for itself, before all are asked.
	lastReplicaTimeout = 200 * time.Millisecond
	// peerIdleTimeout is how long a connection to another replica is kept, which is less than that one keeps it.
	peerIdleTimeout = 30 * time.Second
	// maxPeers that are asked. There are as many replicas as the Deployment has, and those that end.
	maxPeers = 16
	// maxPeerRequests that are out at once. Each holds a review, of up to 4 MiB, and a connection to every replica; a rollout has
	// one now and then, and whoever sends junk to the port is not to have more.
	maxPeerRequests = 8
)

// Peers are the other replicas of this webhook. While one configuration or release takes over from another, replicas of both
// serve, and the API server may have a pod made by one and verified by the other. Neither can hold it against a plan that it
// does not know, the older one least of all; so it asks the others, of which one has made the pod.
type Peers struct {
	addresses      []address
	getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	slots          chan struct{}
	// lastAnswered could tell the last time. During a rollout that is every second review, and one question is cheaper than one to
	// each.
	lastAnswered atomic.Pointer[string]

	lock sync.Mutex
	// httpClient is the client, with its connections, of the certificate keptFor.
	httpClient    *http.Client
	httpClientFor []byte
}

// address of one replica, or by a name of all.
type address struct{ host, port string }

// NewPeers takes host:port of the replicas, where a host may be a name that stands for all of them, as that of a headless
// Service does. They serve with the same certificate as this one, which is how they are known.
func NewPeers(addresses []string, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (*Peers, error) {
	p := &Peers{getCertificate: getCertificate, slots: make(chan struct{}, maxPeerRequests)}
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

// ask passes a review on to the replica that could tell last, or to each one at once, and answers what the first that can tell
// says, and which it is.
func (p *Peers) ask(ctx context.Context, review []byte) (*admissionv1.AdmissionResponse, string, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return nil, "", fmt.Errorf("%d questions were out, and none was answered in time", maxPeerRequests)
	}
	// Those who answer late still read it when the buffer that it came in has the next one.
	review = bytes.Clone(review)
	client, err := p.client()
	if err != nil {
		return nil, "", err
	}
	if last := p.lastAnswered.Load(); last != nil {
		if resp, err := askReplica(ctx, client, *last, review, lastReplicaTimeout); err == nil {
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
		return nil, "", errors.New("there is none to ask (--peers)")
	}
	answers := make(chan peerResponse, len(addresses))
	for _, address := range addresses {
		go func() {
			resp, err := askReplica(ctx, client, address, review, peerTimeout)
			answers <- peerResponse{resp, address, err}
		}()
	}
	var failures []error
	for range addresses {
		a := <-answers
		if a.err == nil {
			p.lastAnswered.Store(&a.peer)
			return a.resp, a.peer, nil
		}
		failures = append(failures, a.err)
	}
	return nil, "", errors.Join(failures...)
}

// decisionOfReplica is what another replica has decided, as far as its response tells.
func decisionOfReplica(resp *admissionv1.AdmissionResponse, peer string) webhook.Decision {
	d := webhook.Decision{Claimed: true, Peer: peer}
	if !resp.Allowed && resp.Result != nil {
		d.Denials = []denial.Denial{{
			Code: resp.Result.Code, Reason: denial.Reason(resp.Result.Reason), Message: resp.Result.Message,
		}}
	}
	return d
}

// resolve finds all replicas.
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

// client trusts the certificate that this replica serves with, and nothing else, and presents it, by which the others know this
// one. Connections are kept, because a handshake costs as much as several reviews, and given up with the certificate.
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

// isReplica tells whether who has connected has the key of the certificate that is served here: a handshake proves that.
func isReplica(state tls.ConnectionState, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) bool {
	own, err := getCertificate(&tls.ClientHelloInfo{})
	return err == nil && len(state.PeerCertificates) > 0 && bytes.Equal(state.PeerCertificates[0].Raw, own.Certificate[0])
}

// askReplica answers an error where this replica cannot tell either.
func askReplica(ctx context.Context, client *http.Client, address string, body []byte, limit time.Duration) (
	*admissionv1.AdmissionResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+PeerPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	// Not sent: it lets the client ask again where the other has closed a kept connection meanwhile.
	req.Header["Idempotency-Key"] = nil
	got, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close() //nolint:errcheck // it is only read
	review := admissionv1.AdmissionReview{}
	if err := json.NewDecoder(io.LimitReader(got.Body, maxBody)).Decode(&review); err != nil {
		return nil, fmt.Errorf("%s answered %s: %w", address, got.Status, err)
	}
	switch resp := review.Response; {
	case resp == nil:
		return nil, fmt.Errorf("%s answered %s without a response", address, got.Status)
	case !resp.Allowed && resp.Result != nil && resp.Result.Reason == unknownGeneration:
		return nil, fmt.Errorf("%s does not know the configuration either", address)
	default:
		return resp, nil
	}
}
