package chaos

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// reviewOf returns the AdmissionReview of the creation of a Pod, as an API server writes it.
func reviewOf(pod string) string {
	return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"` + uid + `","kind":{"group":"","version":"v1",` +
		`"kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"name":"nb","namespace":"lab","operation":"CREATE",` +
		`"userInfo":{"username":"carol","groups":["g"]},"object":` + pod + `,"oldObject":null,"dryRun":false,"options":null}}`
}

const uid = "0d8f6cb5-7a3f-4f3a-9c0e-3f1d6f6e1a11"

var goodReview = reviewOf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},` +
	`"spec":{"containers":[{"name":"nb","image":"quay.io/jupyter/minimal-notebook"}]}}`)

// A reply has the fields of an AdmissionReview's response that the tests read. It spells them out and does not use the
// types of k8s.io/api, so that a renamed field fails the tests.
type reply struct {
	Response *struct {
		UID     string `json:"uid"`
		Allowed bool   `json:"allowed"`
		Patch   string `json:"patch"`
		Status  struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"status"`
	} `json:"response"`
}

// startAlone starts a replica without an API server, and returns it with an HTTP client.
func startAlone(t *testing.T, flags ...string) (*replica, *http.Client) {
	t.Helper()
	return startAloneWith(t, options{flags: flags})
}

func startAloneWith(t *testing.T, o options) (*replica, *http.Client) {
	t.Helper()
	pair := pki.Make(t, time.Hour)
	o.certs = newSecret(t, pair).dir
	r := serve(t, o)
	// Like an API server, the client keeps up to 25 idle connections.
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pair.Roots()}, MaxIdleConnsPerHost: 25}
	t.Cleanup(transport.CloseIdleConnections)
	return r, &http.Client{Transport: transport, Timeout: sendTimeout}
}

// send sends a review. A response that is no AdmissionReview, or has another status than 200, is an error.
func (r *replica) send(client *http.Client, path, body string) (reply, time.Duration, error) {
	return r.sendReader(client, path, strings.NewReader(body))
}

func (r *replica) sendReader(client *http.Client, path string, body io.Reader) (a reply, took time.Duration, err error) {
	began := time.Now()
	response, err := client.Post("https://"+r.reviews+path, "application/json", body)
	if err != nil {
		return a, time.Since(began), err
	}
	defer response.Body.Close() //nolint:errcheck // only reading
	text, err := io.ReadAll(response.Body)
	took = time.Since(began)
	if err != nil {
		return a, took, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, took, fmt.Errorf("%s: %w: %.200s", response.Status, err, text)
	}
	if response.StatusCode != http.StatusOK || a.Response == nil {
		return a, took, fmt.Errorf("%s: %.200s", response.Status, text)
	}
	return a, took, nil
}
