package webhook

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
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/answer"
)

// unknownGeneration is what a replica answers that cannot tell.
var unknownGeneration = metav1.StatusReason(answer.GenerationUnknown("", "").Reason)

const (
	// peerTime is how long the other replicas may take to answer, all of them asked at once.
	peerTime = 500 * time.Millisecond
	// maxPeers that are asked. There are as many replicas as the Deployment has, and those that end.
	maxPeers = 16
	// maxQuestions that are out at once. Each holds a review, of up to 4 MiB, and a connection to every replica; a rollout has
	// one now and then, and whoever sends junk to the port is not to have more.
	maxQuestions = 8
)

// Peers are the other replicas of this webhook. While one configuration or release takes over from another, replicas of both
// serve, and the API server may have a pod made by one and verified by the other. Neither can hold it against a plan that it
// does not know, the older one least of all; so it asks the others, of which one has made the pod.
type Peers struct {
	addresses      []address
	getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	questions      chan struct{}
}

// address of one replica, or by a name of all.
type address struct{ host, port string }

// NewPeers takes host:port of the replicas, where a host may be a name that stands for all of them, as that of a headless
// Service does. They serve with the same certificate as this one, which is how they are known.
func NewPeers(addresses []string, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (*Peers, error) {
	p := &Peers{getCertificate: getCertificate, questions: make(chan struct{}, maxQuestions)}
	for _, text := range addresses {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			return nil, fmt.Errorf("the peer %q is not host:port: %w", text, err)
		}
		p.addresses = append(p.addresses, address{host, port})
	}
	return p, nil
}

type peerAnswer struct {
	resp *admissionv1.AdmissionResponse
	peer string
	err  error
}

// ask passes a review on to every replica at once, and answers what the first one says that can tell, and which that is.
func (p *Peers) ask(ctx context.Context, review []byte) (*admissionv1.AdmissionResponse, string, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTime)
	defer cancel()
	select {
	case p.questions <- struct{}{}:
		defer func() { <-p.questions }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return nil, "", fmt.Errorf("%d questions were out, and none was answered in time", maxQuestions)
	}
	// Those who answer late still read it when the buffer that it came in has the next one.
	review = bytes.Clone(review)
	client, err := p.client()
	if err != nil {
		return nil, "", err
	}
	addresses, err := p.resolve(ctx)
	if err != nil {
		return nil, "", err
	}
	if len(addresses) == 0 {
		return nil, "", errors.New("there is none to ask (--peers)")
	}
	answers := make(chan peerAnswer, len(addresses))
	for _, address := range addresses {
		go func() {
			resp, err := askOne(ctx, client, address, review)
			answers <- peerAnswer{resp, address, err}
		}()
	}
	var failures []error
	for range addresses {
		a := <-answers
		if a.err == nil {
			return a.resp, a.peer, nil
		}
		failures = append(failures, a.err)
	}
	return nil, "", errors.Join(failures...)
}

// elsewhere is what another replica has decided, as far as its response tells.
func elsewhere(resp *admissionv1.AdmissionResponse, peer string) Decision {
	d := Decision{Claimed: true, Peer: peer}
	if !resp.Allowed && resp.Result != nil {
		d.Refusals = []answer.Answer{{
			Code: resp.Result.Code, Reason: answer.Reason(resp.Result.Reason), Message: resp.Result.Message,
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
// one. It keeps no connection: the others are asked while they are being replaced.
func (p *Peers) client() (*http.Client, error) {
	own, err := p.getCertificate(nil)
	if err != nil {
		return nil, err
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
	return &http.Client{Transport: &http.Transport{TLSClientConfig: trusted, DisableKeepAlives: true}}, nil
}

// isReplica tells whether who has connected has the key of the certificate that is served here: a handshake proves that.
func isReplica(state tls.ConnectionState, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) bool {
	own, err := getCertificate(&tls.ClientHelloInfo{})
	return err == nil && len(state.PeerCertificates) > 0 && bytes.Equal(state.PeerCertificates[0].Raw, own.Certificate[0])
}

// askOne answers an error where this replica cannot tell either.
func askOne(ctx context.Context, client *http.Client, address string, body []byte) (*admissionv1.AdmissionResponse, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+address+PeerPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
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
