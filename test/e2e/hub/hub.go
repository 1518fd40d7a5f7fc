package hub

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

//go:embed jupyterhub_config.py
var configFile []byte

const (
	// startLimit is the time limit for the start of a hub, and for the end of a server, on a busy machine. On an idle
	// machine a hub starts in three seconds.
	startLimit = machine.Patience
	// stopLimit is the time limit for the end of a hub or a proxy. After that the process is killed.
	stopLimit    = 20 * time.Second
	pollInterval = 50 * time.Millisecond
)

// Options configures the hub that Start starts.
type Options struct {
	Programs Programs
	Release  Release
	// Folder is the folder for the hub's database and logs. Start creates it.
	Folder string
	// Kubeconfig is the file with which the hub calls the API server, as the ServiceAccount called hub.
	Kubeconfig string
	// Namespace is the namespace of the servers' Pods.
	Namespace string
	// Address is an address of this machine that Pods can reach.
	Address string
	// Image is the image of the servers.
	Image string
	// Servers has settings (traits) of KubeSpawner for individual servers. A key is user/server. The default server has no
	// name, so the key of alice's default server is alice/.
	Servers map[string]map[string]any
	// Config is Python code that runs after the chart's configuration.
	Config string
}

// Patient is a value of Options.Config that makes a hub wait longer for the API server. KubeSpawner's own limit of 3
// seconds also counts the time in which the hub itself waits for a CPU. On a busy machine the hub would therefore send a
// request twice, and the second request would find the Pod of the first.
const Patient = "c.KubeSpawner.k8s_api_request_timeout = 120\nc.KubeSpawner.k8s_api_request_retry_timeout = 300\n"

// Hub is a JupyterHub with its proxy: two processes that Start has started.
type Hub struct {
	// URL is the address for users, without a / at the end.
	URL string

	options    Options
	hub, proxy *process
	// inner is the URL of the hub process, and api the URL of the proxy's API.
	inner, api string
}

// Start starts a hub with its proxy, and waits until the hub responds.
func Start(ctx context.Context, options Options) (*Hub, error) {
	ports, err := freePorts(ctx, options.Address, 3)
	if err != nil {
		return nil, err
	}
	h := &Hub{URL: ports[0], inner: ports[1], api: ports[2], options: options}
	if err := h.prepare(); err != nil {
		return nil, fmt.Errorf("prepare the hub: %w", err)
	}
	if err := h.startProxy(); err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	if err := h.startHub(ctx); err != nil {
		h.Stop()
		return nil, fmt.Errorf("start the hub: %w\n%s", err, h.Log())
	}
	return h, nil
}

// prepare writes the files that the hub reads.
func (h *Hub) prepare() error {
	servers := h.options.Servers
	if servers == nil {
		servers = map[string]map[string]any{}
	}
	settings, err := json.Marshal(map[string]any{
		"release": h.options.Release, "public": h.URL, "hub": h.inner, "proxyAPI": h.api, "namespace": h.options.Namespace,
		"image": h.options.Image, "servers": servers, "config": h.options.Config,
	})
	if err != nil {
		return err
	}
	return errors.Join(
		os.MkdirAll(h.options.Folder, 0o755),
		os.WriteFile(h.path("settings.json"), settings, 0o600),
		os.WriteFile(h.path("jupyterhub_config.py"), configFile, 0o644),
	)
}

func (h *Hub) path(name string) string { return filepath.Join(h.options.Folder, name) }

// proxyToken is the environment variable with the hub's token for the proxy.
const proxyToken = "CONFIGPROXY_AUTH_TOKEN=e2e"

func (h *Hub) startProxy() (err error) {
	arguments := []string{h.options.Programs.Proxy, "--error-target=" + h.inner + "/hub/error", "--log-level=warn"}
	for name, address := range map[string]string{"": h.URL, "api-": h.api} {
		ip, port, err := net.SplitHostPort(address[len("http://"):])
		if err != nil {
			return err
		}
		arguments = append(arguments, "--"+name+"ip="+ip, "--"+name+"port="+port)
	}
	command := exec.Command(h.options.Programs.Node, append(arguments, "--default-target="+h.inner)...)
	command.Env = append(os.Environ(), proxyToken)
	h.proxy, err = start(command, h.path("proxy.log"))
	return err
}

func (h *Hub) startHub(ctx context.Context) (err error) {
	command := exec.Command(h.options.Programs.Python, "-m", "jupyterhub", "--config=jupyterhub_config.py")
	command.Dir = h.options.Folder
	command.Env = append(os.Environ(), proxyToken, "HUB_SETTINGS="+h.path("settings.json"), "KUBECONFIG="+h.options.Kubeconfig)
	if h.hub, err = start(command, h.path("hub.log")); err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, pollInterval, startLimit, true, func(ctx context.Context) (bool, error) {
		if err := errors.Join(h.hub.dead(), h.proxy.dead()); err != nil {
			return false, err
		}
		return h.healthy(ctx), nil
	})
}

// healthy reports whether the hub's page for health checks responds through the proxy.
func (h *Hub) healthy(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+"/hub/health", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// Restart ends the hub and starts it again, as an upgrade of the chart does. The proxy and the servers keep running.
func (h *Hub) Restart(ctx context.Context) error {
	h.hub.stop()
	if err := h.startHub(ctx); err != nil {
		return fmt.Errorf("start the hub again: %w\n%s", err, h.Log())
	}
	return nil
}

// Stop ends the hub and the proxy. The servers keep running.
func (h *Hub) Stop() {
	for _, p := range []*process{h.hub, h.proxy} {
		if p != nil {
			p.stop()
		}
	}
}

// Log returns the log of the hub since its first start.
func (h *Hub) Log() string {
	text, err := os.ReadFile(h.path("hub.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// freePorts returns n HTTP URLs with this address and n different unused ports.
func freePorts(ctx context.Context, address string, n int) ([]string, error) {
	var urls []string
	for range n {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(address, "0"))
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		urls = append(urls, "http://"+net.JoinHostPort(address, strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)))
	}
	return urls, nil
}

// process is a started process. When the process has ended, done is closed, and err is the result of waiting for it.
type process struct {
	command *exec.Cmd
	done    chan struct{}
	err     error
}

// start starts a process that appends its output to the file log.
func start(command *exec.Cmd, log string) (*process, error) {
	file, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	command.Stdout, command.Stderr = file, file
	if err := command.Start(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	p := &process{command: command, done: make(chan struct{})}
	go func() {
		p.err = errors.Join(command.Wait(), file.Close())
		close(p.done)
	}()
	return p, nil
}

// dead returns an error if the process has ended.
func (p *process) dead() error {
	select {
	case <-p.done:
		return fmt.Errorf("%v has ended: %w", p.command.Args, errors.Join(p.err, errors.New("it must keep running")))
	default:
		return nil
	}
}

// stop sends SIGTERM and waits until the process has ended. If the process has not ended after stopLimit, stop kills it.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM) // The process may have ended already.
	select {
	case <-p.done:
	case <-time.After(stopLimit):
		_ = p.command.Process.Kill()
		<-p.done
	}
}
