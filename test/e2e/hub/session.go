package hub

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Session is the session of a user who is logged in to a hub, with the cookies that a browser would have.
type Session struct {
	// User is the user's name in the hub.
	User string

	hub    *Hub
	client *http.Client
}

// LogIn logs a user in with the form of the hub's page.
func (h *Hub) LogIn(ctx context.Context, user string) (*Session, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	s := &Session{User: user, hub: h, client: &http.Client{Jar: jar}}
	const page = "/hub/login?next=%2Fhub%2Fhome"
	if _, err := s.do(ctx, http.MethodGet, page, nil); err != nil {
		return nil, fmt.Errorf("open the form to log in: %w", err)
	}
	if _, err := s.do(ctx, http.MethodPost, page, url.Values{"username": {user}, "password": {"any"}, "_xsrf": {s.xsrf()}}); err != nil {
		return nil, fmt.Errorf("log %s in: %w", user, err)
	}
	return s, nil
}

// xsrf returns the token that the hub requires in requests that change something.
func (s *Session) xsrf() string {
	hub, _ := url.Parse(s.hub.URL + "/hub/") // The URL is valid: freePorts made it.
	for _, cookie := range s.client.Jar.Cookies(hub) {
		if cookie.Name == "_xsrf" {
			return cookie.Value
		}
	}
	return ""
}

// open sends a request and returns the response, whose body the caller must close. A status of 400 or more is an error. open
// sends url.Values as a form, like a browser, and any other body as JSON, like the scripts of the hub's pages.
func (s *Session) open(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var sent io.Reader
	kind := "application/json"
	switch body := body.(type) {
	case nil:
	case url.Values:
		sent, kind = strings.NewReader(body.Encode()), "application/x-www-form-urlencoded"
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.hub.URL+path, sent)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("X-XSRFToken", s.xsrf())
	request.Header.Set("Referer", s.hub.URL+"/hub/home")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(response.Body)
		return nil, &statusError{method + " " + path, response.StatusCode, string(text), response.Body.Close()}
	}
	return response, nil
}

// statusError is an unsuccessful response of the hub.
type statusError struct {
	request string
	status  int
	page    string

	closing error
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s: status %d\n%s", e.request, e.status, e.page)
}

func (e *statusError) Unwrap() error { return e.closing }

// do is like open, but returns the whole body of the response.
func (s *Session) do(ctx context.Context, method, path string, body any) ([]byte, error) {
	response, err := s.open(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(response.Body)
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	return text, err
}

// serverPath returns the path of a server in the hub's API. The default server has an empty name.
func (s *Session) serverPath(server string) string {
	return "/hub/api/users/" + url.PathEscape(s.User) + "/servers/" + url.PathEscape(server)
}

// Server returns the URL of a server's pages, with a / at the end.
func (s *Session) Server(server string) string {
	address := s.hub.URL + "/user/" + url.PathEscape(s.User) + "/"
	if server != "" {
		address += url.PathEscape(server) + "/"
	}
	return address
}

// Spawn asks the hub to start a server. options are the values that the user has chosen in the form of KubeSpawner's
// profile list, or nil.
func (s *Session) Spawn(ctx context.Context, server string, options map[string]any) error {
	if _, err := s.do(ctx, http.MethodPost, s.serverPath(server), options); err != nil {
		return fmt.Errorf("spawn %s/%s: %w", s.User, server, err)
	}
	return nil
}

// Event is an event that the hub's page shows while a server starts.
type Event struct {
	Message string `json:"message"`
	Ready   bool   `json:"ready"`
	Failed  bool   `json:"failed"`
}

// Progress returns the events that the hub's page shows, until an event says that the server is ready or has failed. It
// returns earlier when the function stopAt, which may be nil, returns true for an event.
func (s *Session) Progress(ctx context.Context, server string, stopAt func(Event) bool) ([]Event, error) {
	response, err := s.open(ctx, http.MethodGet, s.serverPath(server)+"/progress", nil)
	if err != nil {
		return nil, fmt.Errorf("follow the start of %s/%s: %w", s.User, server, err)
	}
	defer func() { _ = response.Body.Close() }()
	var events []Event
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		event := Event{}
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return events, fmt.Errorf("read what the page would show: %w", err)
		}
		events = append(events, event)
		if event.Ready || event.Failed || stopAt != nil && stopAt(event) {
			return events, nil
		}
	}
	if err := lines.Err(); err != nil {
		return events, fmt.Errorf("read what the page would show: %w", err)
	}
	return events, fmt.Errorf("the hub said no more of %s/%s than: %v", s.User, server, events)
}

// Stop stops a server, and waits until the hub no longer lists it.
func (s *Session) Stop(ctx context.Context, server string) error {
	if _, err := s.do(ctx, http.MethodDelete, s.serverPath(server), nil); err != nil {
		return fmt.Errorf("stop %s/%s: %w", s.User, server, err)
	}
	err := wait.PollUntilContextTimeout(ctx, pollInterval, startLimit, true, func(ctx context.Context) (bool, error) {
		ready, err := s.Servers(ctx)
		_, there := ready[server]
		return !there, err
	})
	if err != nil {
		return fmt.Errorf("wait until %s/%s is gone: %w", s.User, server, err)
	}
	return nil
}

// Servers returns the user's servers, and whether each is ready.
func (s *Session) Servers(ctx context.Context) (map[string]bool, error) {
	text, err := s.do(ctx, http.MethodGet, "/hub/api/users/"+url.PathEscape(s.User), nil)
	if err != nil {
		return nil, err
	}
	var user struct {
		Servers map[string]struct{ Ready bool }
	}
	if err := json.Unmarshal(text, &user); err != nil {
		return nil, fmt.Errorf("read what the hub says of %s: %w", s.User, err)
	}
	ready := map[string]bool{}
	for name, server := range user.Servers {
		ready[name] = server.Ready
	}
	return ready, nil
}

// Token returns a new token for the API of the user's servers. It sends the same request as the hub's page.
func (s *Session) Token(ctx context.Context) (string, error) {
	text, err := s.do(ctx, http.MethodPost, "/hub/api/users/"+url.PathEscape(s.User)+"/tokens", map[string]any{"note": "e2e"})
	if err != nil {
		return "", fmt.Errorf("make a token for %s: %w", s.User, err)
	}
	var made struct{ Token string }
	if err := json.Unmarshal(text, &made); err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return made.Token, nil
}
