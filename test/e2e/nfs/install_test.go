package nfs

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// secondName is the name and the namespace of the second installation. Its webhook mounts the share.
const secondName = "jupyter-user-known"

// patience is how many seconds the API server waits for a webhook, instead of the chart's two seconds: a slow machine takes
// longer. The tests measure how fast the responses are.
const patience = 30

// configuration has the values for such small nodes and such a slow kernel.
const configuration = `
replicas: 1
config:
  notebook:
    resources: {requests: {cpu: 5m, memory: 32Mi}, limits: {memory: 1Gi}}
    probes:
      startup: {periodSeconds: 2, timeoutSeconds: 30, failureThreshold: 300}
      readiness: {periodSeconds: 3, timeoutSeconds: 30, failureThreshold: 10}
      liveness: {periodSeconds: 10, timeoutSeconds: 60, failureThreshold: 30}
`

// directories are what notebooks see in addition to the home, with discovery at admission. Both installations have this value,
// because the policies are of the first installation and the webhook is of the second one.
const directories = `directories: [{subPath: groups, mountPath: /groups, access: ReadWrite}]`

// shippedValues are the values of the documents, for one namespace, and for a webhook on the node without NFS.
const shippedValues = `
share: {nfs: {server: ` + serverAddress + `, path: %s}, ` + directories + `}
namespaces: [%s]
onlyNamespaces: [%s]
nodeSelector: {kubernetes.io/hostname: node}
`

// secondValues are the values for a webhook on the node with NFS. The webhook mounts the share with the chart's mount options,
// and reads groups from files. It caches an identity only as long as a response of the NFS server takes.
const secondValues = `
share: {nfs: {server: ` + serverAddress + `, path: %s}, ` + directories + `}
namespaces: [%s]
onlyNamespaces: [%s]
identity: {share: true, passwdConfigMap: people}
nodeSelector: {kubernetes.io/hostname: ` + nodeName + `}
certificates: {source: secret, caBundle: %q}
`

// installShipped runs helm install as in the documents, with discovery at start and the chart's mount options. The namespaces
// with NFS 4 get the objects that the chart renders for them.
func (w *World) installShipped(ctx context.Context) error {
	chart, err := helm.Chart()
	if err != nil {
		return err
	}
	var names []string
	for _, s := range spaces() {
		names = append(names, s.name)
	}
	values := configuration + fmt.Sprintf(shippedValues, start3.path, start3.name, strings.Join(names, ", "))
	if _, err := w.helm.Run(ctx, values, "install", helm.Release, chart, "--namespace", helm.Namespace, "--create-namespace",
		"--values", "-"); err != nil {
		return err
	}
	for _, s := range spaces() {
		// helm install makes the share of the first namespace. admission3 has the share of the webhook that mounts it.
		if s.name == start3.name || s.name == admission3.name {
			continue
		}
		if err := w.applyShare(ctx, s); err != nil {
			return err
		}
	}
	if err := w.Admin.Do(ctx, "", "rollout", "status", "deployment/"+helm.Release, "-n", helm.Namespace, "--timeout=180s"); err != nil {
		return err
	}
	if err := w.AwaitPolicies(ctx); err != nil {
		return err
	}
	return w.excludeSecond(ctx)
}

// applyShare applies the chart's PersistentVolume and claim for a namespace.
func (w *World) applyShare(ctx context.Context, s space) error {
	values := configuration + fmt.Sprintf(shippedValues, s.path, s.name, s.name)
	rendered, err := w.helm.Template(ctx, values, "--set", "share.mountOptions={"+strings.Join(s.options, ",")+"}")
	if err != nil {
		return err
	}
	share, err := rendered.Read("21-share.yaml")
	if err != nil {
		return err
	}
	return w.Admin.Do(ctx, share, "apply", "-f", "-")
}

// excludeSecond excludes the namespaces of the second installation from the webhook configurations of the first one. A cluster
// with one installation does not need this.
func (w *World) excludeSecond(ctx context.Context) error {
	requirement := metav1.LabelSelectorRequirement{
		Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{admission3.name, admission4.name},
	}
	configurations := w.Client.AdmissionregistrationV1()
	mutating, err := configurations.MutatingWebhookConfigurations().Get(ctx, "00-"+helm.Release, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for i := range mutating.Webhooks {
		selector := mutating.Webhooks[i].NamespaceSelector
		selector.MatchExpressions = append(selector.MatchExpressions, requirement)
		mutating.Webhooks[i].TimeoutSeconds = ptr.To[int32](patience)
	}
	if _, err := configurations.MutatingWebhookConfigurations().Update(ctx, mutating, metav1.UpdateOptions{}); err != nil {
		return err
	}
	validating, err := configurations.ValidatingWebhookConfigurations().Get(ctx, helm.Release, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].TimeoutSeconds = ptr.To[int32](patience)
		validating.Webhooks[i].NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement}}
	}
	_, err = configurations.ValidatingWebhookConfigurations().Update(ctx, validating, metav1.UpdateOptions{})
	return err
}

// installSecond applies the objects that the chart renders for a webhook that mounts the share, in another namespace and with
// other names. The policies are those of the first installation.
func (w *World) installSecond(ctx context.Context) error {
	pair, err := pki.New(24*time.Hour, helm.Release+"."+secondName+".svc")
	if err != nil {
		return err
	}
	names := admission3.name + ", " + admission4.name
	rendered, err := w.helm.Template(ctx, "createNamespace: true\n"+configuration+
		fmt.Sprintf(secondValues, admission3.path, admission3.name, names, pair.Cert))
	if err != nil {
		return err
	}
	certificates, err := yaml.Marshal(&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: helm.Release + "-certs", Namespace: secondName},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: pair.Cert, corev1.TLSPrivateKeyKey: pair.Key},
	})
	if err != nil {
		return err
	}
	accounts, err := users()
	if err != nil {
		return err
	}
	var manifests []string
	for _, file := range []string{"00-namespace.yaml", "71-access.yaml", "21-share.yaml", "10-serviceaccount.yaml", "20-configmap.yaml",
		"30-deployment.yaml", "31-service.yaml", "50-mutatingwebhookconfiguration.yaml", "51-validatingwebhookconfiguration.yaml"} {
		text, err := rendered.Read(file)
		if err != nil {
			return err
		}
		text = strings.ReplaceAll(text, helm.Namespace, secondName)
		// The tests measure how fast responses are. A kubelet that waits only for a second would fail because its node is slow.
		text = strings.Replace(text, "            timeoutSeconds: 5\n", "            timeoutSeconds: 30\n", 1)
		if strings.HasPrefix(file, "5") {
			text = strings.ReplaceAll(text, "timeoutSeconds: 2\n", fmt.Sprintf("timeoutSeconds: %d\n", patience))
			for _, name := range []string{"  name: ", "  name: 00-"} {
				text = strings.Replace(text, name+helm.Release+"\n", name+secondName+"\n", 1)
			}
		}
		manifests = append(manifests, text)
		if file == "00-namespace.yaml" {
			manifests = append(manifests, string(certificates), accounts)
		}
	}
	if err := w.Admin.Do(ctx, strings.Join(manifests, "\n---\n"), "apply", "-f", "-"); err != nil {
		return err
	}
	err = w.Admin.Do(ctx, "", "rollout", "status", "deployment/"+helm.Release, "-n", secondName, "--timeout=180s")
	if err != nil {
		said, _ := w.Admin.Kubectl(ctx, "describe", "pods", "-n", secondName)
		return fmt.Errorf("%w\n%s\n%s", err, said.Stdout, w.nfs.Logs(ctx))
	}
	return nil
}

const (
	// firstGroup is the first group of the user called grouped. mostGroups is the number of groups that a user may have by default,
	// and this user has so many.
	firstGroup, mostGroups = 9001, 15
	// askedOnce is the number of users whose notebooks only TestTheServerGoesAway creates, one for each user.
	askedOnce = 50
)

// askedOnceName returns the name of one of these users.
func askedOnceName(n int) string { return fmt.Sprintf("judy%d", n) }

// askedOnceID returns the UID and the GID of one of these users. They are the same number.
func askedOnceID(n int) int { return 5500 + n }

// users returns the ConfigMap with the passwd and group files of the webhook that mounts the share.
func users() (string, error) {
	var passwd, group strings.Builder
	account := func(name string, uid, gid int) {
		fmt.Fprintf(&passwd, "%s:x:%d:%d::/home/%s:/bin/sh\n", name, uid, gid, name)
	}
	for _, h := range homes {
		account(h.name, h.uid, h.gid)
	}
	for n := range askedOnce {
		account(askedOnceName(n), askedOnceID(n), askedOnceID(n))
	}
	for n := range mostGroups {
		fmt.Fprintf(&group, "project%d:x:%d:grouped\n", n, firstGroup+n)
	}
	group.WriteString("physics:x:9101:lena\nchemistry:x:9102:\n")
	text, err := yaml.Marshal(&corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "people", Namespace: secondName},
		Data:       map[string]string{"passwd": passwd.String(), "group": group.String()},
	})
	return string(text), err
}

// awaitWebhooks waits until the webhook configurations are in effect in the API server.
func (w *World) awaitWebhooks(ctx context.Context) error {
	for _, s := range spaces() {
		var said string
		err := await(ctx, machine.Patience, func(ctx context.Context) (bool, error) {
			result, err := w.carol.Kubectl(ctx, "run", "probe", "-n", s.name, "--image=x", "--labels=jupyter-user=alice",
				"--dry-run=server", "-o", "yaml")
			said = result.Stdout + result.Stderr
			return strings.Contains(result.Stdout, ": "+s.discovery+"\n"), err
		})
		if err != nil {
			return fmt.Errorf("the webhook for namespace %s: %w: %s", s.name, err, said)
		}
	}
	return nil
}
