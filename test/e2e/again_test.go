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

// At the end the shared installation is removed. Then the cluster is empty again, and the other ways to install of
// deploy/docs/install.md are tried on it.

// mustInstallAgain reports whether the other ways to install must be tried. They run after all tests, so this function itself
// compares their name with the flag -run.
func mustInstallAgain() bool {
	named := flag.Lookup("test.run").Value.String()
	return named == "" || named == "Again"
}

// installAgain installs and uninstalls in each of the other ways.
func (w *World) installAgain(ctx context.Context) error {
	if err := w.removeSecond(ctx); err != nil {
		return err
	}
	for _, discovery := range []struct {
		name            string
		install, remove func(context.Context) error
	}{
		{"install.yaml", w.installByKubectl, w.removeByKubectl},
		{"cert-manager", w.installWithCertManager, w.uninstall},
	} {
		err := progress.Stage(os.Stderr, "from nothing to a notebook with "+discovery.name, func() error {
			for _, step := range []func(context.Context) error{w.awaitGone, discovery.install, w.runAlice, discovery.remove, w.awaitGone} {
				if err := step(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("with %s: %w", discovery.name, err)
		}
	}
	return nil
}

// awaitGone waits until our namespace and everything in it is gone.
func (w *World) awaitGone(ctx context.Context) error {
	return w.Admin.Do(ctx, "", "wait", "--for=delete", "namespace/"+systemSpace, "--timeout=2m")
}

// removeSecond removes the second installation. Only these tests have two installations on one cluster.
func (w *World) removeSecond(ctx context.Context) error {
	err := w.Admin.Do(ctx, "", "delete", "mutatingwebhookconfiguration/"+knowing.mutating(), "validatingwebhookconfiguration/"+knowing.name)
	return errors.Join(err, w.Admin.Do(ctx, "", "delete", "namespace", knowing.space))
}

// installByKubectl installs without Helm, as in deploy/docs/install.md, where the claim exists already. The node has the image
// under the name that is in the file.
func (w *World) installByKubectl(ctx context.Context) error {
	if err := w.apply(ctx, fmt.Sprintf(storage, atStart.namespace, w.share.root)); err != nil {
		return err
	}
	if err := w.runAsAdmin(ctx, "kubectl apply --server-side -f deploy/install.yaml"); err != nil {
		return err
	}
	return w.awaitInstalled(ctx)
}

func (w *World) removeByKubectl(ctx context.Context) error {
	return errors.Join(
		w.runAsAdmin(ctx, "kubectl delete --ignore-not-found -f deploy/install.yaml"),
		w.Admin.Do(ctx, "", "delete", "pvc/hpc-shared-pvc", "-n", atStart.namespace),
		w.Admin.Do(ctx, "", "delete", "pv/hpc-pv-"+atStart.namespace),
		w.awaitNothingLeft(ctx))
}

// runAsAdmin runs a command of deploy/docs/install.md as the admin.
func (w *World) runAsAdmin(ctx context.Context, command string) error {
	page, err := os.ReadFile("../../deploy/docs/install.md")
	if err != nil {
		return err
	}
	if !strings.Contains(string(page), "`"+command+"`") {
		return fmt.Errorf("deploy/docs/install.md does not contain the command %q", command)
	}
	return w.Admin.Do(ctx, "", strings.Fields(strings.ReplaceAll(command, "deploy/", "../../deploy/"))[1:]...)
}

// installWithCertManager runs the helm install of deploy/docs/install.md with one more value, in a cluster with cert-manager: no
// Deployment of ours makes the certificate.
func (w *World) installWithCertManager(ctx context.Context) error {
	if err := w.startCertManager(ctx); err != nil {
		return err
	}
	if err := w.installByHelm(ctx, "", "--set", "certificates.source=certManager"); err != nil {
		return err
	}
	deployments, err := w.Client.AppsV1().Deployments(systemSpace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(deployments.Items) != 1 {
		return fmt.Errorf("there are %d Deployments, but with cert-manager ours is only the webhook", len(deployments.Items))
	}
	return nil
}

// startCertManager runs cert-manager's controllers and its CA injector until the context ends, and applies its definitions.
func (w *World) startCertManager(ctx context.Context) error {
	program, err := tools.Build(ctx, os.Stderr, tools.CertManager)
	if err != nil {
		return err
	}
	module, err := project.Module(ctx, ".", "github.com/cert-manager/cert-manager")
	if err != nil {
		return err
	}
	if err := w.Admin.Do(ctx, "", "apply", "--server-side", "-f", filepath.Join(module, "deploy", "crds")); err != nil {
		return err
	}
	if err := w.Admin.Do(ctx, "", "wait", "--for=condition=Established", "crd", "--all"); err != nil {
		return err
	}
	return exec.Command(program[tools.CertManager], "-kubeconfig="+w.Admin.Kubeconfig).Start()
}

// awaitInstalled waits until the replicas serve, and the API server knows all objects.
func (w *World) awaitInstalled(ctx context.Context) error {
	if err := w.awaitReplicas(ctx, shipped); err != nil {
		return err
	}
	return w.AwaitPolicies(ctx)
}

// runAlice runs a notebook of alice, as carol, and checks the owner of the notebook's processes.
func (w *World) runAlice(ctx context.Context) error {
	p := pod{atStart.namespace, "again"}
	err := await(ctx, machine.Patience, func(ctx context.Context) (bool, error) {
		result, err := w.carol.Kubectl(ctx, "run", p.name, "-n", p.namespace, "--image="+images.DockerStacks, "--labels=jupyter-user=alice")
		// An API server learns of the replicas and of the CA a moment later.
		if err == nil && result.ExitCode != 0 && !strings.Contains(result.Stderr, "failed calling webhook") {
			err = fmt.Errorf("carol's notebook is denied: %s", result.Stderr)
		}
		return result.ExitCode == 0, err
	})
	if err != nil {
		return err
	}
	err = await(ctx, readyLimit, func(ctx context.Context) (bool, error) {
		got, err := w.Client.CoreV1().Pods(p.namespace).Get(ctx, p.name, metav1.GetOptions{})
		if err != nil || !node.IsReady(got) {
			return false, err
		}
		return true, ownedByAlice(processesOf(got))
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.story(ctx))
	}
	return p.remove(ctx)
}

// ownedByAlice returns an error unless every process of a notebook has alice's UID and GID.
func ownedByAlice(processes []node.Process) error {
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
