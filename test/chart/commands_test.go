package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/pages"
	"jupyter-user.io/jupyter-user-webhook/test/project"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// TestCommandsOfThePages runs the commands that test/pages/commands.txt lists for this test, in the order of that file,
// exactly as the pages have them. Only placeholders such as <name> are replaced. The API server, the chart, Helm and the
// webhook are real. The test creates the objects that controllers and kubelets would create.
func TestCommandsOfThePages(t *testing.T) {
	t.Parallel()
	l := newInstallation(t, startEmpty)
	for _, namespace := range []string{"lab", "jhub"} {
		require.NoError(t, l.Namespace(t.Context(), namespace, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"}))
	}
	shell := l.shell(t)
	filled := strings.NewReplacer("<requester>", "carol", "<name>", "alice", "<namespace>", "lab", "<pod>", "jupyter-alice", "<replica>", "replica",
		"<node>", "n1", "<hub>", "hub", "<n>", "1")
	installed := false
	for _, command := range pages.CommandsIn(t, "TestCommandsOfThePages") {
		if !installed && strings.HasPrefix(command.Line(), "helm get values") {
			l.installInUse(t, shell)
			installed = true
		}
		output, status := shell.Run(t, filled.Replace(command.Text))
		wanted := expected(command.Line())
		assert.Equal(t, wanted.status, status, "%s: %s\n%s", command.Page, command.Text, output)
		assert.Contains(t, output, wanted.message, "%s: %s", command.Page, command.Text)
	}
	require.True(t, installed)
}

// An ending is the expected exit status of a command and a part of its output.
type ending struct {
	status  int
	message string
}

// expected returns the expected ending of a command. A command that is not in the list must succeed.
func expected(line string) ending {
	for _, e := range []struct {
		begins, message string
		status          int
	}{
		{begins: "kubectl -n jupyter-user-system create configmap users --from-file=passwd --from-file=group --dry-run", message: "configmap/users replaced"},
		{begins: "kubectl -n jupyter-user-system create secret generic ldap --from-file=password --dry-run", message: "secret/ldap replaced"},
		{begins: "getent passwd alice", status: 2}, // This machine has no account alice.
		{begins: "kubectl label --dry-run=server --overwrite namespace lab", message: "namespace/lab"},
		{begins: "helm get values jupyter-user-webhook -n jupyter-user-system --all -o json | jq", message: "secret\n"},
		{begins: "helm get values jupyter-user-webhook -n jupyter-user-system --all", message: `"mode":"Enforce"`},
		{begins: "kubectl -n jupyter-user-system rollout restart", message: "restarted"},
		{begins: "helm history", message: "deployed"},
		{begins: "helm get manifest jupyter-user-webhook -n jupyter-user-system --revision", message: "kind: Deployment"},
		{begins: "helm get values jupyter-user-webhook", message: "namespaces:\n- lab"},
		{begins: "kubectl -n lab run nb", message: "pod/nb created"},
		{begins: "kubectl -n jupyter-system run nb", message: "pod/nb created"},
		{begins: "kubectl get pod nb --show-labels", message: "jupyter-user=qiang.guo03"},
		{begins: "kubectl delete node <node>", message: `node "n1" deleted`},
		{begins: "kubectl get pod nb -o yaml", message: "jupyter-user.io/discovery: AtStart"},
		{begins: "kubectl describe pod nb", message: "jupyter-user.io/user: qiang.guo03"},
		{begins: "jupyter-user-webhook inject", message: "becomes a notebook of alice"},
		{begins: "kubectl -n jhub get pod", message: "pod/jupyter-alice becomes a notebook of alice"},
		// The check command exits with status 1 if a finding has the status "failed", and check access exits with status
		// 1 if access is denied.
		{begins: "jupyter-user-webhook check access --as carol", message: "no", status: 1},
		{begins: "jupyter-user-webhook check access --as <requester>", message: "no", status: 1},
		{begins: "jupyter-user-webhook check access --as system:serviceaccount:jhub:hub", message: `RoleBinding "jupyter-user-hub-uses-every-home/jhub"`},
		{begins: "jupyter-user-webhook check access --user alice -n lab", message: "Group system:masters"},
		{begins: "jupyter-user-webhook check --only=share-pods", message: "no Pod has a claim of the share"},
		{begins: "jupyter-user-webhook check -n lab --only=egress", message: "0 failed, 0 unknown"},
		{begins: "jupyter-user-webhook check -n lab --only=reachable,dry-run", message: "ok      dry-run"},
		{begins: "kubectl get rolebindings,clusterrolebindings -A -o wide", message: "ClusterRole/jupyter-user-use-every-home"},
		{begins: "jupyter-user-webhook check -f deploy/install.yaml", message: "as in the manifest given with -f", status: 1},
		{begins: "jupyter-user-webhook check", message: " ok\n", status: 1},
		{begins: "helm get manifest", message: "as in the manifest given with -f", status: 1},
		{begins: "kubectl get pods -A -o json | jq -r --arg since", message: "\tlab\t"},
		{begins: "kubectl get pods -A -o json | jq -r '.items[] | [.metadata.namespace,", message: "jhub\troad\tnfs\n"},
		{begins: "kubectl get pods -A -o json", message: "lab\tbefore\n"},
		{begins: "kubectl get persistentvolumes,persistentvolumeclaims", message: "persistentvolume/hpc-pv-lab"},
		{begins: "helm list", message: "jupyter-user-webhook-0.2.0"},
		{begins: "kubectl get clusterrolebindings,rolebindings", message: "RoleBinding\tjhub\tjupyter-user-hub-uses-every-home"},
		{begins: "kubectl get clusterroles,roles", message: "ClusterRole\t\tjupyter-user-use-every-home"},
		{begins: "kubectl -n jupyter-user-system get deployment jupyter-user-webhook", message: current},
		{begins: "kubectl get namespaces -L", message: "baseline"},
		{begins: "kubectl -n jupyter-user-system scale", message: "deployment.apps/jupyter-user-webhook scaled"},
		{begins: "kubectl -n jupyter-user-system get deployments,pods,endpointslices", message: "10.1.0.1,10.1.0.2"},
		{begins: "kubectl -n jupyter-user-system describe pods -l", message: "Events:"},
		{begins: "kubectl -n jupyter-user-system rollout status", message: "successfully rolled out"},
		{begins: "kubectl get mutatingwebhookconfiguration 00-jupyter-user-webhook", message: "1\n"},
		{begins: "ca=$(kubectl", message: "validatingwebhookconfiguration.admissionregistration.k8s.io/jupyter-user-webhook replaced"},
		{begins: "kubectl -n lab delete pod nb", message: "deleted"},
		{begins: "kubectl -n <namespace> delete pods -l jupyter-user", message: `pod "nb" deleted`},
		{begins: "kubectl -n lab create -f nb.yaml --dry-run=server", message: "jupyter-user.io/user: qiang.guo03"},
		{begins: "kubectl -n lab create -f nb.yaml", message: "pod/nb created"},
		{begins: "kubectl -n jupyter-user-system create configmap hub-names --from-file=names --dry-run", message: "configmap/hub-names replaced"},
		{begins: "kubectl -n jhub get deployment <hub>", message: "hub"},
		{begins: "kubectl -n jupyter-user-homes create job", message: "job.batch/first-homes created"},
		{begins: "helm upgrade", message: "STATUS: deployed"},
		{begins: "helm rollback", message: "Rollback was a success"},
	} {
		if strings.HasPrefix(line, e.begins) {
			return ending{e.status, e.message}
		}
	}
	return ending{}
}

// hubPod is the Pod of a user's server, as a JupyterHub creates it.
const hubPod = `apiVersion: v1
kind: Pod
metadata:
  name: jupyter-alice
  namespace: jhub
  labels: {component: singleuser-server, hub.jupyter.org/username: alice}
  annotations: {hub.jupyter.org/username: alice}
spec:
  containers: [{name: notebook, image: quay.io/jupyter/minimal-notebook, args: [jupyterhub-singleuser]}]
`

// installation.shell returns a shell with the rights of the admin. The shell's folder has the folder deploy and the
// files that the commands read.
func (l *installation) shell(t *testing.T) *pages.Shell {
	t.Helper()
	built, err := tools.Build(t.Context(), t.Output(), tools.Helm)
	require.NoError(t, err)
	kubectl := l.Admin.Command(t.Context())
	shell := pages.NewShell(t, kubectl.Env, map[string]string{"kubectl": kubectl.Path, "helm": built[tools.Helm], "jupyter-user-webhook": l.program},
		"jq", "openssl", "getent")
	folder, err := project.Folder()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(filepath.Join(folder, "deploy"), filepath.Join(shell.Folder, "deploy")))
	shown := func(page, has string) string {
		blocks := pages.YAML(t)
		at := slices.IndexFunc(blocks, func(c pages.Command) bool { return c.Page == "deploy/docs/"+page && strings.Contains(c.Text, has) })
		require.NotEqual(t, -1, at, "%s shows no YAML with %s", page, has)
		return blocks[at].Text
	}
	for name, content := range map[string]string{
		"tls.crt": string(l.pair.Cert), "tls.key": string(l.pair.Key), "pod.yaml": hubPod, "values.yaml": shown("access.md", "rights:"),
		"nb.yaml": shown("pods.md", "my-jupyter:1"), "names": "alice@x.org alice\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(shell.Folder, name), []byte(content), 0o600))
	}
	return shell
}

// installInUse installs the chart, starts the webhook, and creates the objects that the commands expect in a cluster that
// is in use.
func (l *installation) installInUse(t *testing.T, shell *pages.Shell) {
	t.Helper()
	shell.Must(t, `kubectl create serviceaccount default -n jupyter-system
kubectl create serviceaccount default -n jupyter-user-system
(cat deploy/examples/kubectl-user.yaml; echo ---; cat deploy/examples/one-home.yaml) | sed 's/namespace: lab/namespace: jupyter-system/' | kubectl apply -f -
kubectl run before -n lab --image=a --labels=jupyter-user=alice
kubectl run road -n jhub --image=a --overrides='{"spec": {"volumes": [{"name": "v", "nfs": {"server": "192.0.2.9", "path": "/"}}]}}'`)
	l.run(t, fmt.Sprintf("{namespaces: [lab], share: {nfs: {server: 192.0.2.10}}, spawners: [{namespace: jhub, serviceAccount: hub}], "+
		"certificates: {source: secret, caBundle: %q}}", l.pair.Cert), "install", helm.Release, l.chart,
		"--namespace", helm.Namespace, "--values", "-")
	l.createObjects(t)
	deployment := l.deployment(t)
	deployment.Status.ObservedGeneration, deployment.Status.UpdatedReplicas = deployment.Generation, 2
	_, err := l.client.AppsV1().Deployments(helm.Namespace).UpdateStatus(t.Context(), deployment, metav1.UpdateOptions{})
	require.NoError(t, err)
	l.serve(t)
	require.NoError(t, l.AwaitPolicies(t.Context()))
	shell.Must(t, `kubectl create serviceaccount hub -n jhub
kubectl create deployment hub -n jhub --image=a --replicas=0
kubectl set serviceaccount deployment hub hub -n jhub
kubectl create role spawner -n jhub --verb=create --resource=pods
kubectl create rolebinding spawner -n jhub --role=spawner --serviceaccount=jhub:hub
kubectl create role jupyter-user-policy -n jupyter-user-system --verb=get --resource=configmaps
kubectl get mutatingwebhookconfiguration 00-jupyter-user-webhook -o json |
  jq 'del(.metadata.resourceVersion, .metadata.uid) | .metadata.name = "jupyter-user-webhook" | .webhooks = []' | kubectl create -f -
for secret in jupyter-user-webhook-ca jupyter-user-webhook-self-signed; do
  kubectl create secret tls $secret -n jupyter-user-system --cert=tls.crt --key=tls.key
done
kubectl run replica -n jupyter-user-system --image=a --labels=app.kubernetes.io/name=jupyter-user-webhook --overrides='{"spec": {
  "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "a", "image": "a",
    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}}'
kubectl config set-context --current --namespace=lab`)
	require.NoError(t, l.Admin.Do(t.Context(), hubPod, "create", "-f", "-"))
}
