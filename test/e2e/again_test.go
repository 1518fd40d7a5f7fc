package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/progress"
	"jupyter-user.io/jupyter-user-webhook/test/project"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// mustInstallAgain reports whether installAgain must run: if all tests run, or with -run Again. No test has this name,
// because installAgain can run only after the tests.
func mustInstallAgain() bool {
	named := flag.Lookup("test.run").Value.String()
	return named == "" || named == "Again"
}

// installAgain runs after all tests and after the removal of the shipped installation. It removes the second installation,
// and then tests two other methods of deploy/docs/install.md: kubectl with install.yaml, and Helm with cert-manager. With
// each method it installs the webhook, runs a notebook, and removes the webhook.
func (c *testCluster) installAgain(ctx context.Context) error {
	if err := c.removeSecondInstallation(ctx); err != nil {
		return err
	}
	for _, method := range []struct {
		name            string
		install, remove func(context.Context) error
	}{
		{"install.yaml", c.installByKubectl, c.removeByKubectl},
		{"cert-manager", c.installWithCertManager, c.uninstall},
	} {
		err := progress.Stage(os.Stderr, "from nothing to a notebook with "+method.name, func() error {
			steps := []func(context.Context) error{c.awaitNamespaceGone, method.install, c.runAlicesNotebook, method.remove, c.awaitNamespaceGone}
			for _, step := range steps {
				if err := step(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("with %s: %w", method.name, err)
		}
	}
	return nil
}

// awaitNamespaceGone waits until the namespace of the installation, and so every object in it, is gone.
func (c *testCluster) awaitNamespaceGone(ctx context.Context) error {
	return c.Admin.Do(ctx, "", "wait", "--for=delete", "namespace/"+systemNamespace, "--timeout=2m")
}

// removeSecondInstallation deletes the webhook configurations and the namespace of the second installation. deploy/docs has
// no commands for this, because a cluster normally has one installation.
func (c *testCluster) removeSecondInstallation(ctx context.Context) error {
	err := c.Admin.Do(ctx, "", "delete", "mutatingwebhookconfiguration/"+secondInstallation.mutating(), "validatingwebhookconfiguration/"+secondInstallation.name)
	return errors.Join(err, c.Admin.Do(ctx, "", "delete", "namespace", secondInstallation.namespace))
}

// installByKubectl installs without Helm, as deploy/docs/install.md describes for a share whose claim exists already. The
// node has the image of the webhook under the name that deploy/install.yaml contains.
func (c *testCluster) installByKubectl(ctx context.Context) error {
	if err := c.apply(ctx, fmt.Sprintf(shareTemplate, atStart.namespace, c.share.root)); err != nil {
		return err
	}
	if err := c.runPageCommand(ctx, "kubectl apply --server-side -f deploy/install.yaml"); err != nil {
		return err
	}
	return c.awaitInstalled(ctx)
}

func (c *testCluster) removeByKubectl(ctx context.Context) error {
	return errors.Join(
		c.runPageCommand(ctx, "kubectl delete --ignore-not-found -f deploy/install.yaml"),
		c.Admin.Do(ctx, "", "delete", "pvc/hpc-shared-pvc", "-n", atStart.namespace),
		c.Admin.Do(ctx, "", "delete", "pv/hpc-pv-"+atStart.namespace),
		c.awaitNothingLeft(ctx))
}

// runPageCommand runs a command of deploy/docs/install.md as the admin.
func (c *testCluster) runPageCommand(ctx context.Context, command string) error {
	page, err := os.ReadFile("../../deploy/docs/install.md")
	if err != nil {
		return err
	}
	if !strings.Contains(string(page), "`"+command+"`") {
		return fmt.Errorf("deploy/docs/install.md does not contain the command %q", command)
	}
	return c.Admin.Do(ctx, "", strings.Fields(strings.ReplaceAll(command, "deploy/", "../../deploy/"))[1:]...)
}

// installWithCertManager starts cert-manager, and runs the helm install of deploy/docs/install.md with one more value. The
// chart must then make no Deployment for certificates.
func (c *testCluster) installWithCertManager(ctx context.Context) error {
	if err := c.startCertManager(ctx); err != nil {
		return err
	}
	if err := c.installByHelm(ctx, "", "--set", "certificates.source=certManager"); err != nil {
		return err
	}
	deployments, err := c.Client.AppsV1().Deployments(systemNamespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(deployments.Items) != 1 {
		return fmt.Errorf("there are %d Deployments, but with cert-manager the chart makes only the webhook's", len(deployments.Items))
	}
	return nil
}

// startCertManager applies cert-manager's CustomResourceDefinitions, and starts one program with cert-manager's controllers
// and CA injector. The program runs until the enclosure ends (see the package sealed).
func (c *testCluster) startCertManager(ctx context.Context) error {
	program, err := tools.Build(ctx, os.Stderr, tools.CertManager)
	if err != nil {
		return err
	}
	module, err := project.Module(ctx, ".", "github.com/cert-manager/cert-manager")
	if err != nil {
		return err
	}
	if err := c.Admin.Do(ctx, "", "apply", "--server-side", "-f", filepath.Join(module, "deploy", "crds")); err != nil {
		return err
	}
	if err := c.Admin.Do(ctx, "", "wait", "--for=condition=Established", "crd", "--all"); err != nil {
		return err
	}
	return exec.Command(program[tools.CertManager], "-kubeconfig="+c.Admin.Kubeconfig).Start()
}

// awaitInstalled waits until the rollout of the shipped webhook is complete and its policies are in effect.
func (c *testCluster) awaitInstalled(ctx context.Context) error {
	if err := c.awaitReplicas(ctx, shippedInstallation); err != nil {
		return err
	}
	return c.AwaitPolicies(ctx)
}

// runAlicesNotebook runs a notebook of alice, as carol, and checks that its processes run as alice.
func (c *testCluster) runAlicesNotebook(ctx context.Context) error {
	p := pod{atStart.namespace, "again"}
	err := await(ctx, machine.Patience, func(ctx context.Context) (bool, error) {
		result, err := c.carol.Kubectl(ctx, "run", p.name, "-n", p.namespace, "--image="+images.DockerStacks,
			"--labels=jupyter-user=alice")
		// The API server cannot call the webhook before it has read the Service's endpoints and the webhook's CA.
		if err == nil && result.ExitCode != 0 && !strings.Contains(result.Stderr, "failed calling webhook") {
			err = fmt.Errorf("carol's notebook is denied: %s", result.Stderr)
		}
		return result.ExitCode == 0, err
	})
	if err != nil {
		return err
	}
	err = await(ctx, readyLimit, func(ctx context.Context) (bool, error) {
		got, err := c.Client.CoreV1().Pods(p.namespace).Get(ctx, p.name, metav1.GetOptions{})
		if err != nil || !node.IsReady(got) {
			return false, err
		}
		return true, checkAlicesProcesses(processesOf(got))
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.describe(ctx))
	}
	return p.remove(ctx)
}

// checkAlicesProcesses returns an error unless there is a process and every process has alice's UID and GID.
func checkAlicesProcesses(processes []node.Process) error {
	alice := homeOf("alice")
	for _, process := range processes {
		for i := range process.UIDs {
			if process.UIDs[i] != int64(alice.uid) || process.GIDs[i] != int64(alice.gid) {
				return fmt.Errorf("%s runs as %v:%v", strings.Join(process.Args, " "), process.UIDs, process.GIDs)
			}
		}
	}
	if len(processes) == 0 {
		return errors.New("the notebook is Ready, and has no process")
	}
	return nil
}
