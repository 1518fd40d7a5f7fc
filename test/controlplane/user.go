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

// usersFolder is the folder, in a control plane's folder, with the kubeconfig files.
const usersFolder = "users"

// A User has a client certificate that the API server accepts, with a user name and groups.
type User struct {
	// Name and Groups are the user name and the groups in the certificate.
	Name   string
	Groups []string
	// Config is for clients in Go.
	Config *rest.Config
	// Kubeconfig is the path of a kubeconfig file, for other clients.
	Kubeconfig string

	kubectl string
	cache   string
}

// User creates a client certificate with a user name and groups. The user has the rights of the groups, and the rights
// that Allow adds.
func (c *ControlPlane) User(name string, groups ...string) (*User, error) {
	c.users.Lock() // AddUser of envtest is not safe for concurrent use.
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

// writeKubeconfig writes a kubeconfig, and returns its path. Only the account that runs the tests can read the file. Two
// users can have the same name with different groups, so the file name has a random part. A ServiceAccount's name has
// colons, which separate files in KUBECONFIG, so the file name is escaped.
func (f *folder) writeKubeconfig(name string, data []byte) (string, error) {
	file, err := os.CreateTemp(f.join(usersFolder), url.QueryEscape(name)+"-*.kubeconfig")
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	return file.Name(), errors.Join(err, file.Close())
}

// A Result has the output and the exit status of a command.
type Result struct {
	Stdout   string
	Stderr   string
	ExitCode int
}

// Kubectl runs kubectl as the user. If kubectl fails, Kubectl returns no error: Result.ExitCode has the exit status.
func (u *User) Kubectl(ctx context.Context, arguments ...string) (Result, error) {
	return u.KubectlReading(ctx, "", arguments...)
}

// KubectlReading is like Kubectl, with a standard input.
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

// Do is like KubectlReading, but returns an error if kubectl fails.
func (u *User) Do(ctx context.Context, stdin string, arguments ...string) error {
	result, err := u.KubectlReading(ctx, stdin, arguments...)
	if err == nil && result.ExitCode != 0 {
		err = fmt.Errorf("kubectl %s: %s", strings.Join(arguments, " "), result.Stderr)
	}
	return err
}

// Command returns a command that runs kubectl as the user. The caller can set its input and output.
func (u *User) Command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, u.kubectl, arguments...)
	command.Env = append(command.Environ(),
		"KUBECONFIG="+u.Kubeconfig,
		"KUBECACHEDIR="+u.cache, // Not the cache of the developer.
		"KUBERC=off",            // Not the preferences of the developer.
	)
	return command
}
