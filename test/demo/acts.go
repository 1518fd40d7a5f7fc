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
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// namespace is the namespace with the notebooks.
const namespace = "jupyter-system"

type demo struct {
	binary string
	keep   bool
	out    io.Writer

	plane *controlplane.ControlPlane
	carol *controlplane.User
	webhookProcess
}

type webhookProcess struct {
	process *exec.Cmd
	ended   chan error
	health  string
}

func (d *demo) say(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) title(text string) {
	d.say("\n%s", strings.Repeat("─", 100))
	d.say("%s\n", text)
}

// start starts etcd and kube-apiserver, with the webhook configurations and policies of deploy/install.yaml.
func (d *demo) start(ctx context.Context) (err error) {
	d.say("Starting a Kubernetes control plane on loopback (the first run downloads or builds its programs) …")
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
	d.say("  etcd and kube-apiserver are ready after %.0f s. They have the webhook configurations and the policies of deploy/install.yaml.",
		time.Since(began).Seconds())
	return nil
}

// serve starts the program that the Deployment runs, and waits until it is ready.
func (d *demo) serve(ctx context.Context) error {
	log, err := os.Create(filepath.Join(d.plane.Folder(), "webhook.log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has a file descriptor of its own
	if d.health, err = freeAddress(); err != nil {
		return err
	}
	at := d.plane.Webhook
	d.process = exec.Command(d.binary, "serve", "--listen", net.JoinHostPort(at.Host, strconv.Itoa(at.Port)),
		"--http-listen", d.health, "--cert-dir", at.CertDir, "--drain=0s")
	d.process.Stdout, d.process.Stderr = log, log
	// Ctrl-C at the terminal must reach only the demo. The demo ends the webhook later.
	if err := startInOwnGroup(d.process); err != nil {
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
		return fmt.Errorf("the webhook does not become ready: %w", err)
	}
	d.say("  The webhook is ready.")
	return nil
}

// createObjects creates the namespace, the volume and the claim of the share, and the user carol with her rights.
func (d *demo) createObjects(ctx context.Context) (err error) {
	if err := d.plane.Namespace(ctx, namespace, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}); err != nil {
		return err
	}
	if err := d.command(ctx, d.plane.Admin, shareManifests, "create", "-n", namespace, "-f", "-"); err != nil {
		return err
	}
	if d.carol, err = d.plane.User("carol"); err != nil {
		return err
	}
	d.say("  The namespace %s has the share's claim. carol is no admin. She may create Pods in this namespace, and use the\n"+
		"  home of qiang.guo03 (by a Role like the one in deploy/examples/one-home.yaml).", namespace)
	return d.plane.Allow(ctx, namespace, d.carol, rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"pods", "secrets"},
		Verbs: []string{"create", "get", "list", "watch", "delete"},
	}, rbacv1.PolicyRule{
		APIGroups: []string{"jupyter-user.io"}, Resources: []string{"homes"}, ResourceNames: []string{"qiang.guo03"},
		Verbs: []string{"use"},
	})
}

// showAdmitted lets carol create a Pod with a label and an image, and shows the Pod before and after admission.
func (d *demo) showAdmitted(ctx context.Context) error {
	arguments := []string{"run", "nb", "-n", namespace, "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user=qiang.guo03"}
	submitted, err := d.output(ctx, append(arguments, "--dry-run=client", "-o", "yaml")...)
	if err != nil {
		return err
	}
	d.title("carol types:  kubectl " + strings.Join(arguments, " "))
	if _, err := d.output(ctx, arguments...); err != nil {
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
	printBeside(d.out, left, right)
	d.say("\n(Fields that a cluster adds to every Pod are not shown: status, tolerations, the ServiceAccount's token and others.\n"+
		"The same page for a browser: %s)", pagePath)
	return writePage(pagePath, strings.Join(arguments, " "), left, right)
}

// showWholeShare shows that carol's Pod is denied if it mounts the whole share.
func (d *demo) showWholeShare(ctx context.Context) error {
	d.title("carol creates a Pod that mounts the whole share, and not only the home:")
	d.say("%s", wholeShare)
	return d.runDenied(ctx, wholeShare, "create", "-n", namespace, "-f", "-")
}

// showOtherUser shows that carol's Pod is denied if its label names a user whose home she may not use.
func (d *demo) showOtherUser(ctx context.Context) error {
	arguments := []string{"run", "nb2", "-n", namespace, "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user=alice"}
	d.title("carol types the name of another user:  kubectl " + strings.Join(arguments, " "))
	return d.runDenied(ctx, "", arguments...)
}

// deniedRequest matches the message of a denial, by a webhook or by a policy.
var deniedRequest = regexp.MustCompile(`denied (the )?request`)

// runDenied runs kubectl as carol, and prints the output. It returns an error unless a policy or a webhook denies the Pod.
func (d *demo) runDenied(ctx context.Context, input string, arguments ...string) error {
	cmd := d.carol.Command(ctx, arguments...)
	cmd.Stdin = strings.NewReader(input)
	output, err := cmd.CombinedOutput()
	if err == nil {
		return fmt.Errorf("the Pod was admitted, and must be denied: %s", output)
	}
	if !deniedRequest.Match(output) {
		return fmt.Errorf("the Pod must be denied, and kubectl failed in another way: %w: %s", err, output)
	}
	d.say("%s", output)
	return ctx.Err()
}

// awaitInterrupt waits for Ctrl-C if the demo must keep running. Before that it prints how to use the cluster.
func (d *demo) awaitInterrupt(ctx context.Context) error {
	if !d.keep {
		d.say("\nThe demo ends and removes everything. make demo KEEP=1 leaves the cluster running.")
		return nil
	}
	d.title("The cluster runs until Ctrl-C. In another terminal:")
	d.say("  export KUBECONFIG=%s     # carol, who may create Pods in %s\n", d.carol.Kubeconfig, namespace)
	d.say("  export KUBECONFIG=%s     # the admin", d.plane.Admin.Kubeconfig)
	d.say("  alias kubectl=%s", d.carol.Command(ctx).Path)
	d.say("  tail -f %s", filepath.Join(d.plane.Folder(), "webhook.log"))
	<-ctx.Done()
	return nil
}

// end stops the webhook and the control plane, if they were started.
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

func (d *demo) command(ctx context.Context, requester *controlplane.User, input string, arguments ...string) error {
	cmd := requester.Command(ctx, arguments...)
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
