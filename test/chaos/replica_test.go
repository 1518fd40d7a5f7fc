package chaos

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/children"
	"jupyter-user.io/jupyter-user-webhook/test/journal"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// wait is the longest time that a test waits for a condition.
const wait = machine.Patience

// A replica is a process of the webhook.
type replica struct {
	*journal.Journal
	address
	command *exec.Cmd
	// done is closed when the process has ended. From then on, ended is the error with which the process ended, or nil.
	done  chan struct{}
	ended error
}

// options has the settings with which a replica is started.
type options struct {
	// certs is the directory of the replica's certificate.
	certs string
	// at has the addresses at which the replica listens. For an empty address, the kernel chooses a port.
	at    address
	flags []string
	env   []string
	// wrapper is a command that runs the program, such as strace. The program and its flags are the last arguments of the
	// command.
	wrapper []string
	// log is the file for the log. If it is nil, the replica's Journal gets the log.
	log *os.File
}

// launch starts a replica and does not wait until it serves.
func launch(t *testing.T, o options) *replica {
	t.Helper()
	r := &replica{Journal: &journal.Journal{}, address: o.at, done: make(chan struct{})}
	line := append([]string{}, o.wrapper...)
	line = append(line, binary, "serve", "--listen="+cmp.Or(o.at.reviews, anyPort), "--http-listen="+cmp.Or(o.at.http, anyPort),
		"--cert-dir="+o.certs)
	line = append(line, o.flags...)
	r.command = exec.Command(line[0], line[1:]...)
	r.command.Env = append(os.Environ(), o.env...)
	r.command.Stderr = r
	if o.log != nil {
		r.command.Stderr = o.log
	}
	require.NoError(t, children.Start(r.command))
	go func() {
		r.ended = r.command.Wait()
		close(r.done)
	}()
	t.Cleanup(func() { r.kill(t) })
	return r
}

const anyPort = "127.0.0.1:0"

// serve starts a replica and waits until the replica is ready.
func serve(t *testing.T, o options) *replica {
	t.Helper()
	r := launch(t, o)
	if o.log == nil {
		r.untilServing(t)
	}
	r.untilReady(t)
	return r
}

// untilServing waits for the log line with the addresses at which the replica listens, and sets r.address to them.
func (r *replica) untilServing(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		select {
		case <-r.done:
			return true
		default:
			text := r.String()
			return strings.Contains(text, `"msg":"serving"`) && strings.HasSuffix(text, "\n")
		}
	}, wait, 2*time.Millisecond, "the replica does not serve")
	for text := range strings.Lines(r.String()) {
		if strings.Contains(text, `"msg":"serving"`) {
			r.address = address{field(text, "reviews"), field(text, "http")}
			return
		}
	}
	require.Fail(t, "the replica has ended", "%v: %s", r.ended, r.String())
}

// field returns the text of a field in a log line, which is JSON.
func field(line, name string) string {
	_, value, _ := strings.Cut(line, strconv.Quote(name)+`:"`)
	value, _, _ = strings.Cut(value, `"`)
	return value
}

func (r *replica) untilReady(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return ready(r.http) == nil }, wait, 2*time.Millisecond, "the replica is not ready: %s", r)
}

// probe is an HTTP client like the kubelet's. It opens a connection for each request.
var probe = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ready returns nil if GET /readyz succeeds at the address. If the response has another status than 200, the error has
// the status and the first line of the body.
func ready(address string) error {
	response, err := probe.Get("http://" + address + "/readyz")
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // only reading
	if response.StatusCode == http.StatusOK {
		return nil
	}
	why, _ := bufio.NewReader(response.Body).ReadString('\n')
	return fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(why))
}

func (r *replica) signal(t *testing.T, signal os.Signal) {
	t.Helper()
	require.NoError(t, r.command.Process.Signal(signal))
}

// pause suspends the replica until it gets SIGCONT.
func (r *replica) pause(t *testing.T) {
	t.Helper()
	r.signal(t, syscall.SIGSTOP)
	require.Eventually(t, func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.command.Process.Pid))
		return err == nil && strings.Contains(string(status), "\nState:\tT")
	}, wait, time.Millisecond, "the replica is suspended")
}

// kill sends SIGKILL to the replica, which may have ended already, and waits until the replica has ended.
func (r *replica) kill(t *testing.T) {
	t.Helper()
	_ = r.command.Process.Kill()
	r.untilEnded(t)
}

func (r *replica) untilEnded(t *testing.T) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(wait):
		assert.Fail(t, "the process has not ended", r.String())
	}
}

// memory returns the replica's memory in MiB, as the kernel reports it. The key VmRSS is for the current memory, and
// VmHWM for the largest until now.
func (r *replica) memory(t *testing.T, key string) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.command.Process.Pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		if words := strings.Fields(line); words[0] == key+":" {
			size, err := strconv.ParseFloat(words[1], 64)
			require.NoError(t, err)
			return size / 1024
		}
	}
	require.Fail(t, "the kernel does not report", key)
	return 0
}

// goroutines returns the number of the replica's goroutines, from its metrics.
func (r *replica) goroutines(t *testing.T) float64 {
	t.Helper()
	response, err := probe.Get("http://" + r.http + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close() //nolint:errcheck // only reading
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "go_goroutines "); ok {
			value, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			return value
		}
	}
	require.Fail(t, "there is no metric go_goroutines")
	return 0
}

// panics returns how often the log contains the word "panic".
func (r *replica) panics() int { return strings.Count(r.String(), "panic") }

// dial opens a TLS connection, for tests that send bytes that an HTTP client would not send.
func (r *replica) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", r.reviews, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
