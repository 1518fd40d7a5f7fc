package handlers

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
)

// Caller sends reviews to a handler. It allocates nothing itself.
type Caller struct {
	handler http.Handler
	bodies  [][]byte
	next    int
	request *http.Request
	body    bytes.Reader
	header  http.Header

	// Response and Status are the body and the status of the last response.
	Response bytes.Buffer
	Status   int
}

// NewCaller returns a Caller that sends the bodies in turn.
func NewCaller(handler http.Handler, bodies [][]byte) *Caller {
	c := &Caller{handler: handler, bodies: bodies, header: http.Header{}, request: httptest.NewRequest(http.MethodPost, "/mutate", nil)}
	c.request.Header.Set("Content-Type", "application/json")
	c.request.Body = io.NopCloser(&c.body)
	return c
}

// Call sends the next body, and stores the response in Response and Status.
func (c *Caller) Call() {
	c.body.Reset(c.bodies[c.next%len(c.bodies)])
	c.next++
	c.Response.Reset()
	c.Status = http.StatusOK
	c.handler.ServeHTTP(c, c.request)
}

// Header implements http.ResponseWriter.
func (c *Caller) Header() http.Header { return c.header }

// Write implements http.ResponseWriter.
func (c *Caller) Write(part []byte) (int, error) { return c.Response.Write(part) }

// WriteHeader implements http.ResponseWriter.
func (c *Caller) WriteHeader(status int) { c.Status = status }
