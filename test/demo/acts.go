package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// namespace is the example's.
const namespace = "jupyter-system"

type demo struct {
	binary string
	keep   bool
	out    io.Writer

	plane *controlplane.ControlPlane
	carol *controlplane.User
	serving
}

// serving is the webhook as a process.
type serving struct {
	process *exec.Cmd
	ended   chan error
	health  string
}

func (d *demo) say(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) title(text string) {
	d.say("\n%s", strings.Repeat("─", 100))
	d.say("%s\n", text)
}

// start brings up etcd and kube-apiserver with the webhook configuration that ships.
func (d *demo) start(ctx context.Context) (err error) {
	d.say("Starting a Kubernetes control plane on loopback (the first time its programs are downloaded, or else built) …")
	began := time.Now()
	policies, err := deploy.Policies()
	if err != nil {
		return err
	}
	d.plane, err = controlplane.Start(ctx, controlplane.Options{
		Webhooks: []string{"deploy/install.yaml"}, Policies: policies, Progress: os.Stderr,
	})
	if err != nil {
		return err
	}
	d.say("  etcd and kube-apiserver are up after %.0f s; deploy/install.yaml has said which pods the webhook sees, and who may be whom.",
		time.Since(began).Seconds())
	return nil
}

// serve runs the webhook's own program, as the Deployment does.
func (d *demo) serve(ctx context.Context) error {
	log, err := os.Create(filepath.Join(d.plane.Folder(), "webhook.log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the child has its own
	if d.health, err = freeAddress(); err != nil {
		return err
	}
	at := d.plane.Webhook
	d.process = exec.Command(d.binary, "serve", "--listen", net.JoinHostPort(at.Host, strconv.Itoa(at.Port)),
		"--http-listen", d.health, "--cert-dir", at.CertDir, "--drain=0s")
	d.process.Stdout, d.process.Stderr = log, log
	// A group of its own: Ctrl-C at the terminal is for the demo, which ends it in its turn.
	d.process.SysProcAttr = dieWithUs()
	if err := d.process.Start(); err != nil {
		return fmt.Errorf("start the webhook: %w", err)
	}
	d.ended = make(chan error, 1)
	go func() { d.ended <- d.process.Wait() }()
	return d.awaitReady(ctx)
}

func (d *demo) awaitReady(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.health+"/readyz", nil)
		if err != nil {
			return false, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, nil
		}
		return resp.StatusCode == http.StatusOK, resp.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("the webhook does not get ready: %w", err)
	}
	d.say("  The webhook serves, and is ready.")
	return nil
}

// furnish makes what the example has: the namespace, the PV, the PVC; and somebody who may create pods there.
func (d *demo) furnish(ctx context.Context) (err error) {
	if err := d.plane.Namespace(ctx, namespace, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}); err != nil {
		return err
	}
	if err := d.command(ctx, d.plane.Admin, example, "create", "-n", namespace, "-f", "-"); err != nil {
		return err
	}
	if d.carol, err = d.plane.User("carol"); err != nil {
		return err
	}
	d.say("  The namespace %s has the example's PersistentVolume and claim. carol, no admin, may create pods in it, and use\n"+
		"  the home of qiang.guo03 (a Role as in deploy/examples/one-home.yaml).", namespace)
	return d.plane.Allow(ctx, namespace, d.carol, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"pods", "secrets"},
		Verbs: []string{"create", "get", "list", "watch", "delete"},
	}, rbacv1.PolicyRule{
		APIGroups: []string{"jupyter-user.io"}, Resources: []string{"homes"}, ResourceNames: []string{"qiang.guo03"},
		Verbs: []string{"use"},
	})
}

// admitted is the main thing: a bare pod with a label.
func (d *demo) admitted(ctx context.Context) error {
	typed := []string{"run", "nb", "-n", namespace, "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user=qiang.guo03"}
	submitted, err := d.output(ctx, append(typed, "--dry-run=client", "-o", "yaml")...)
	if err != nil {
		return err
	}
	d.title("carol types:  kubectl " + strings.Join(typed, " "))
	if _, err := d.output(ctx, typed...); err != nil {
		return err
	}
	stored, err := d.output(ctx, "get", "pod", "nb", "-n", namespace, "-o", "yaml")
	if err != nil {
		return err
	}
	left, right, err := readable(submitted, stored)
	if err != nil {
		return err
	}
	beside(d.out, left, right)
	d.say("\n(What a cluster adds to every Pod is left out: status, tolerations, the ServiceAccount's token and the like.\n"+
		"The same for a browser: %s)", pagePath)
	return writePage(pagePath, strings.Join(typed, " "), left, right)
}

// greedy is a pod that reaches for the whole share.
func (d *demo) greedy(ctx context.Context) error {
	d.title("carol asks for the whole share beside the home:")
	d.say("%s", greedy)
	return d.denied(ctx, greedy, "create", "-n", namespace, "-f", "-")
}

// another is a pod with the name of somebody whom she may not be.
func (d *demo) another(ctx context.Context) error {
	typed := []string{"run", "nb2", "-n", namespace, "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user=alice"}
	d.title("carol types another's name:  kubectl " + strings.Join(typed, " "))
	return d.denied(ctx, "", typed...)
}

// denied shows what kubectl says.
func (d *demo) denied(ctx context.Context, input string, arguments ...string) error {
	cmd := d.carol.Command(ctx, arguments...)
	cmd.Stdin = strings.NewReader(input)
	answer, err := cmd.CombinedOutput()
	if err == nil {
		return fmt.Errorf("it was admitted: %s", answer)
	}
	d.say("%s", answer)
	return ctx.Err()
}

// linger leaves everything up for a user to play with.
func (d *demo) linger(ctx context.Context) error {
	if !d.keep {
		d.say("\nKEEP=1 leaves it running. Everything is taken down again.")
		return nil
	}
	d.title("It stays up until Ctrl-C. In another terminal:")
	d.say("  export KUBECONFIG=%s     # carol, who may create pods in %s\n", d.carol.Kubeconfig, namespace)
	d.say("  export KUBECONFIG=%s     # the admin", d.plane.Admin.Kubeconfig)
	d.say("  alias kubectl=%s", d.carol.Command(ctx).Path)
	d.say("  tail -f %s", filepath.Join(d.plane.Folder(), "webhook.log"))
	<-ctx.Done()
	return nil
}

// end takes everything down that was started, also after a failure.
func (d *demo) end() error {
	var errs []error
	if d.process != nil && d.ended != nil {
		errs = append(errs, d.process.Process.Signal(syscall.SIGTERM), <-d.ended)
	}
	if d.plane != nil {
		errs = append(errs, d.plane.Stop())
	}
	return errors.Join(errs...)
}

func (d *demo) output(ctx context.Context, arguments ...string) (string, error) {
	result, err := d.carol.Kubectl(ctx, arguments...)
	if err == nil && result.ExitCode != 0 {
		err = fmt.Errorf("kubectl %s: %s", arguments[0], result.Stderr)
	}
	return result.Stdout, err
}

func (d *demo) command(ctx context.Context, who *controlplane.User, input string, arguments ...string) error {
	cmd := who.Command(ctx, arguments...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %s: %w", arguments[0], out, err)
	}
	return nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
