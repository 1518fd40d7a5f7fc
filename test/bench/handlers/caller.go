package handlers

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
)

// Caller posts reviews to a handler, and allocates nothing itself.
type Caller struct {
	handler http.Handler
	bodies  [][]byte
	turn    int
	request *http.Request
	body    bytes.Reader
	header  http.Header

	// Answer and Status of the last call.
	Response bytes.Buffer
	Status   int
}

// NewCaller calls the handler with one body after the other.
func NewCaller(handler http.Handler, bodies [][]byte) *Caller {
	c := &Caller{handler: handler, bodies: bodies, header: http.Header{}, request: httptest.NewRequest(http.MethodPost, "/mutate", nil)}
	c.request.Header.Set("Content-Type", "application/json")
	c.request.Body = io.NopCloser(&c.body)
	return c
}

// Call posts the next one.
func (c *Caller) Call() {
	c.body.Reset(c.bodies[c.turn%len(c.bodies)])
	c.turn++
	c.Response.Reset()
	c.Status = http.StatusOK
	c.handler.ServeHTTP(c, c.request)
}

// Header is a http.ResponseWriter's.
func (c *Caller) Header() http.Header { return c.header }

// Write is a http.ResponseWriter's.
func (c *Caller) Write(part []byte) (int, error) { return c.Response.Write(part) }

// WriteHeader is a http.ResponseWriter's.
func (c *Caller) WriteHeader(status int) { c.Status = status }
