package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// usersFolder is where kubeconfig files are, in a control plane's folder.
const usersFolder = "users"

// A User is somebody the API server knows by a client certificate.
type User struct {
	// Name and Groups are who the API server takes the user for.
	Name   string
	Groups []string
	// Config is for clients in Go.
	Config *rest.Config
	// Kubeconfig is a file for all others.
	Kubeconfig string

	kubectl string
	cache   string
}

// User makes a user known. It may do what the groups may, and what Allow gives it.
func (c *ControlPlane) User(name string, groups ...string) (*User, error) {
	c.users.Lock() // envtest counts certificates without one.
	defer c.users.Unlock()
	user, err := c.plane.AddUser(envtest.User{Name: name, Groups: groups}, clientConfig())
	if err != nil {
		return nil, fmt.Errorf("make a certificate for user %s: %w", name, err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return nil, fmt.Errorf("make a kubeconfig for user %s: %w", name, err)
	}
	path, err := c.folder.writeKubeconfig(name, kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("write a kubeconfig for user %s: %w", name, err)
	}
	return &User{
		Name: name, Groups: groups, Config: user.Config(), Kubeconfig: path,
		kubectl: c.kubectl, cache: c.folder.join("kubectl-cache"),
	}, nil
}

// writeKubeconfig writes a file that none but the owner can read. A name may be given twice, with other groups. In KUBECONFIG a
// colon would separate two files, and ServiceAccounts have it in their names.
func (f *folder) writeKubeconfig(name string, data []byte) (string, error) {
	file, err := os.CreateTemp(f.join(usersFolder), url.QueryEscape(name)+"-*.kubeconfig")
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	return file.Name(), errors.Join(err, file.Close())
}

// A Result is what a command said, and how it ended.
type Result struct {
	Stdout   string
	Stderr   string
	ExitCode int
}

// Kubectl runs kubectl as the user. That kubectl fails is no error: see Result.ExitCode.
func (u *User) Kubectl(ctx context.Context, arguments ...string) (Result, error) {
	return u.KubectlReading(ctx, "", arguments...)
}

// KubectlReading is Kubectl with something on its standard input.
func (u *User) KubectlReading(ctx context.Context, stdin string, arguments ...string) (Result, error) {
	var stdout, stderr bytes.Buffer
	command := u.Command(ctx, arguments...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil {
		return Result{}, fmt.Errorf("run kubectl: %w", context.Cause(ctx))
	}
	if err != nil && !errors.As(err, &exit) {
		return Result{}, fmt.Errorf("run kubectl: %w", err)
	}
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: command.ProcessState.ExitCode()}, nil
}

// Do is KubectlReading where it is an error that kubectl fails.
func (u *User) Do(ctx context.Context, stdin string, arguments ...string) error {
	result, err := u.KubectlReading(ctx, stdin, arguments...)
	if err == nil && result.ExitCode != 0 {
		err = fmt.Errorf("kubectl %s: %s", strings.Join(arguments, " "), result.Stderr)
	}
	return err
}

// Command prepares to run kubectl as the user, for callers who give it something to read or show what it says.
func (u *User) Command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, u.kubectl, arguments...)
	command.Env = append(command.Environ(),
		"KUBECONFIG="+u.Kubeconfig,
		"KUBECACHEDIR="+u.cache, // Not the cache of whoever runs this.
		"KUBERC=off",            // Nor their preferences.
	)
	return command
}
