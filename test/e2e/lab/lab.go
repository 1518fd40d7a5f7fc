// Package lab is a client of a running Jupyter server, for tests. It calls the REST API and runs code in kernels.
package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// apiLimit is the time limit for a call of Jupyter on a busy machine.
const apiLimit = machine.Patience

// Server is the base URL of a running Jupyter server, with a / at the end, and a token that the server accepts.
type Server struct{ Base, Token string }

// Call sends a request to a path below the base URL, with body as JSON, and returns the body of the response. The test fails if
// the status is not want.
func (s Server) Call(t *testing.T, method, path string, body any, want int) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), apiLimit)
	defer cancel()
	sent, err := json.Marshal(body)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(ctx, method, s.Base+path, bytes.NewReader(sent))
	require.NoError(t, err)
	request.Header.Set("Authorization", "token "+s.Token)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, want, response.StatusCode, "%s %s: %s", method, path, answer)
	return answer
}

// Save saves an empty notebook document, with the request that a browser sends.
func (s Server) Save(t *testing.T, name string) {
	t.Helper()
	s.Call(t, http.MethodPut, "api/contents/"+name, map[string]any{
		"type": "notebook", "format": "json",
		"content": map[string]any{"cells": []any{}, "metadata": map[string]any{}, "nbformat": 4, "nbformat_minor": 5},
	}, http.StatusCreated)
}

// Kernel is a kernel that Server.Kernel has started.
type Kernel struct {
	Server
	id string
}

// Kernel starts a Python kernel.
func (s Server) Kernel(t *testing.T) Kernel {
	t.Helper()
	made := struct {
		ID string `json:"id"`
	}{}
	require.NoError(t, json.Unmarshal(s.Call(t, http.MethodPost, "api/kernels", map[string]string{"name": "python3"},
		http.StatusCreated), &made))
	require.NotEmpty(t, made.ID)
	return Kernel{s, made.ID}
}

// kernelMessage is a message of a kernel. Each kind of message uses some of its fields.
type kernelMessage struct {
	Header struct {
		Type string `json:"msg_type"`
	} `json:"header"`
	Parent struct {
		ID string `json:"msg_id"`
	} `json:"parent_header"`
	Content struct {
		Text      string   `json:"text"`
		State     string   `json:"execution_state"`
		Name      string   `json:"ename"`
		Value     string   `json:"evalue"`
		Traceback []string `json:"traceback"`
	} `json:"content"`
}

// Run executes Python code, and returns the printed text. The test fails if the code raises an exception.
func (k Kernel) Run(t *testing.T, code string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), apiLimit)
	defer cancel()
	address := strings.Replace(k.Base, "http:", "ws:", 1) + "api/kernels/" + k.id + "/channels"
	connection, _, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"token " + k.Token}},
	})
	require.NoError(t, err)
	defer func() { _ = connection.CloseNow() }()
	connection.SetReadLimit(16 << 20)

	const id = "the-only-one"
	require.NoError(t, wsjson.Write(ctx, connection, map[string]any{
		"channel": "shell",
		"header": map[string]any{"msg_id": id, "msg_type": "execute_request", "session": "e2e", "username": "e2e",
			"version": "5.3", "date": time.Now().UTC().Format(time.RFC3339)},
		"parent_header": map[string]any{}, "metadata": map[string]any{}, "buffers": []any{},
		"content": map[string]any{"code": code, "silent": false, "store_history": false, "user_expressions": map[string]any{},
			"allow_stdin": false, "stop_on_error": true},
	}))
	var printed strings.Builder
	for {
		var message kernelMessage
		require.NoError(t, wsjson.Read(ctx, connection, &message), "after %q", printed.String())
		if message.Parent.ID != id {
			continue
		}
		switch message.Header.Type {
		case "stream":
			printed.WriteString(message.Content.Text)
		case "error":
			require.Fail(t, message.Content.Name+": "+message.Content.Value, strings.Join(message.Content.Traceback, "\n"))
		case "status":
			if message.Content.State == "idle" {
				return printed.String()
			}
		}
	}
}
