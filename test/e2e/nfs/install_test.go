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

// secondName is the namespace of the second installation, whose webhook mounts the share. It is also part of the names of
// its webhook configurations.
const secondName = "jupyter-user-known"

// webhookTimeout is how many seconds the API server waits for a webhook in these tests. The two seconds of the chart are
// too short for a slow machine. TestServerOutage measures how fast the responses are.
const webhookTimeout = 30

// smallNodeValues are values of the chart for small nodes with a slow kernel.
const smallNodeValues = `
replicas: 1
config:
  notebook:
    resources: {requests: {cpu: 5m, memory: 32Mi}, limits: {memory: 1Gi}}
    probes:
      startup: {periodSeconds: 2, timeoutSeconds: 30, failureThreshold: 300}
      readiness: {periodSeconds: 3, timeoutSeconds: 30, failureThreshold: 10}
      liveness: {periodSeconds: 10, timeoutSeconds: 60, failureThreshold: 30}
`

// directories is a value of the chart: a directory that notebooks with discovery at admission see in addition to the home.
// Both installations have the value, because the policies of the shipped installation must allow the directory, and the
// webhook of the second installation mounts it into notebooks.
const directories = `directories: [{subPath: groups, mountPath: /groups, access: ReadWrite}]`

// shippedValues are the values of the shipped installation, whose webhook runs on the first node, which has no NFS. The
// placeholders are the path of the export, the namespace for which the chart makes the volume and the claim, and the
// namespaces that the webhook serves.
const shippedValues = `
share: {nfs: {server: ` + serverAddress + `, path: %s}, ` + directories + `}
namespaces: [%s]
onlyNamespaces: [%s]
nodeSelector: {kubernetes.io/hostname: node}
`

// secondValues are the values of the second installation. Its webhook runs on the node with the NFS server, mounts the
// share with the chart's mount options, and reads users and groups from files. The placeholders are the path of the export,
// the namespace for which the chart makes the volume and the claim, the namespaces that the webhook serves, and the CA.
const secondValues = `
share: {nfs: {server: ` + serverAddress + `, path: %s}, ` + directories + `}
namespaces: [%s]
onlyNamespaces: [%s]
identity: {share: true, passwdConfigMap: people}
nodeSelector: {kubernetes.io/hostname: ` + serverNode + `}
certificates: {source: secret, caBundle: %q}
`

// installShipped installs the shipped installation with helm, with discovery at start and the chart's mount options.
// helm install gives all volumes the same path and mount options, so applyShare makes those with another path or version of
// NFS.
func (c *testCluster) installShipped(ctx context.Context) error {
	chart, err := helm.Chart()
	if err != nil {
		return err
	}
	var names []string
	for _, s := range namespaces() {
		names = append(names, s.name)
	}
	values := smallNodeValues + fmt.Sprintf(shippedValues, start3.path, start3.name, strings.Join(names, ", "))
	if _, err := c.helm.Run(ctx, values, "install", helm.Release, chart, "--namespace", helm.Namespace, "--create-namespace",
		"--values", "-"); err != nil {
		return err
	}
	for _, s := range namespaces() {
		// helm install has made the volume and the claim of start3, and installSecond makes those of admission3.
		if s.name == start3.name || s.name == admission3.name {
			continue
		}
		if err := c.applyShare(ctx, s); err != nil {
			return err
		}
	}
	if err := c.Admin.Do(ctx, "", "rollout", "status", "deployment/"+helm.Release, "-n", helm.Namespace, "--timeout=180s"); err != nil {
		return err
	}
	if err := c.AwaitPolicies(ctx); err != nil {
		return err
	}
	return c.excludeSecond(ctx)
}

func (c *testCluster) applyShare(ctx context.Context, s nfsNamespace) error {
	values := smallNodeValues + fmt.Sprintf(shippedValues, s.path, s.name, s.name)
	rendered, err := c.helm.Template(ctx, values, "--set", "share.mountOptions={"+strings.Join(s.options, ",")+"}")
	if err != nil {
		return err
	}
	share, err := rendered.Read("21-share.yaml")
	if err != nil {
		return err
	}
	return c.Admin.Do(ctx, share, "apply", "-f", "-")
}

// excludeSecond excludes the namespaces of the second installation from the webhook configurations of the shipped
// installation. A cluster with one installation does not need this. excludeSecond also sets webhookTimeout in these webhook
// configurations.
func (c *testCluster) excludeSecond(ctx context.Context) error {
	requirement := metav1.LabelSelectorRequirement{
		Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{admission3.name, admission4.name},
	}
	configurations := c.Client.AdmissionregistrationV1()
	mutating, err := configurations.MutatingWebhookConfigurations().Get(ctx, "00-"+helm.Release, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for i := range mutating.Webhooks {
		selector := mutating.Webhooks[i].NamespaceSelector
		selector.MatchExpressions = append(selector.MatchExpressions, requirement)
		mutating.Webhooks[i].TimeoutSeconds = ptr.To[int32](webhookTimeout)
	}
	if _, err := configurations.MutatingWebhookConfigurations().Update(ctx, mutating, metav1.UpdateOptions{}); err != nil {
		return err
	}
	validating, err := configurations.ValidatingWebhookConfigurations().Get(ctx, helm.Release, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].TimeoutSeconds = ptr.To[int32](webhookTimeout)
		validating.Webhooks[i].NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement}}
	}
	_, err = configurations.ValidatingWebhookConfigurations().Update(ctx, validating, metav1.UpdateOptions{})
	return err
}

// installSecond applies the objects that the chart renders for secondValues, in another namespace, and gives the webhook
// configurations other names. It applies no policies, because those of the shipped installation also protect the namespaces
// of the second.
func (c *testCluster) installSecond(ctx context.Context) error {
	pair, err := pki.New(24*time.Hour, helm.Release+"."+secondName+".svc")
	if err != nil {
		return err
	}
	names := admission3.name + ", " + admission4.name
	rendered, err := c.helm.Template(ctx, "createNamespace: true\n"+smallNodeValues+
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
	accounts, err := accountsConfigMap()
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
		// The node is slow: with the time limit of 5 s for the readiness probe, the replica could become unready.
		text = strings.Replace(text, "            timeoutSeconds: 5\n", "            timeoutSeconds: 30\n", 1)
		if strings.HasPrefix(file, "5") {
			text = strings.ReplaceAll(text, "timeoutSeconds: 2\n", fmt.Sprintf("timeoutSeconds: %d\n", webhookTimeout))
			for _, name := range []string{"  name: ", "  name: 00-"} {
				text = strings.Replace(text, name+helm.Release+"\n", name+secondName+"\n", 1)
			}
		}
		manifests = append(manifests, text)
		if file == "00-namespace.yaml" {
			manifests = append(manifests, string(certificates), accounts)
		}
	}
	if err := c.Admin.Do(ctx, strings.Join(manifests, "\n---\n"), "apply", "-f", "-"); err != nil {
		return err
	}
	err = c.Admin.Do(ctx, "", "rollout", "status", "deployment/"+helm.Release, "-n", secondName, "--timeout=180s")
	if err != nil {
		result, _ := c.Admin.Kubectl(ctx, "describe", "pods", "-n", secondName)
		return fmt.Errorf("%w\n%s\n%s", err, result.Stdout, c.server.Logs(ctx))
	}
	return nil
}

const (
	// firstGroup is the GID of the first group of the user called grouped. groupCount is the number of groups of this user,
	// and the default limit for every user.
	firstGroup, groupCount = 9001, 15
	// outageUserCount is the number of users who have an account only for TestServerOutage. Each outage needs a user whom no
	// replica has looked up before.
	outageUserCount = 50
)

// outageUserName returns the name of the user with the number n (0 to outageUserCount-1).
func outageUserName(n int) string { return fmt.Sprintf("judy%d", n) }

// outageUserID returns the UID of the user with the number n. The GID is the same number.
func outageUserID(n int) int { return 5500 + n }

// accountsConfigMap returns the ConfigMap with the passwd and group files of the second installation.
func accountsConfigMap() (string, error) {
	var passwd, group strings.Builder
	account := func(name string, uid, gid int) {
		fmt.Fprintf(&passwd, "%s:x:%d:%d::/home/%s:/bin/sh\n", name, uid, gid, name)
	}
	for _, h := range homes {
		account(h.name, h.uid, h.gid)
	}
	for n := range outageUserCount {
		account(outageUserName(n), outageUserID(n), outageUserID(n))
	}
	for n := range groupCount {
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

// awaitWebhooks waits until the webhook configurations of both installations are in effect in the API server.
func (c *testCluster) awaitWebhooks(ctx context.Context) error {
	for _, s := range namespaces() {
		var output string
		err := await(ctx, machine.Patience, func(ctx context.Context) (bool, error) {
			result, err := c.carol.Kubectl(ctx, "run", "probe", "-n", s.name, "--image=x", "--labels=jupyter-user=alice",
				"--dry-run=server", "-o", "yaml")
			output = result.Stdout + result.Stderr
			return strings.Contains(result.Stdout, ": "+s.discovery+"\n"), err
		})
		if err != nil {
			return fmt.Errorf("the webhook for namespace %s: %w: %s", s.name, err, output)
		}
	}
	return nil
}
