package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// installation has the names of an installation of the webhook in this cluster. Each installation serves its own
// namespaces: the shipped installation with discovery at start, and the second installation with discovery at admission.
// placesInstallation exists only during TestHomesAndDirectories.
type installation struct {
	// name is the name of the ValidatingWebhookConfiguration. namespace is the namespace of the webhook.
	name, namespace string
}

// mutating returns the name of the MutatingWebhookConfiguration.
func (i installation) mutating() string { return "00-" + i.name }

var (
	shippedInstallation = installation{systemName, systemNamespace}
	secondInstallation  = installation{"jupyter-user-known", "jupyter-user-known"}
)

// secondNamespaces are the namespaces that the second installation serves.
var secondNamespaces = []string{atAdmission.namespace, atAdmission.hubNamespace(), smallAtAdmission.namespace}

// installShipped installs the shipped installation with helm and smallNodeValues. The chart makes the volume and the claim of
// the namespace of atStart. The chart's Deployment jupyter-user-webhook-self-signed makes the certificate.
func (c *testCluster) installShipped(ctx context.Context) error {
	if err := c.installByHelm(ctx, smallNodeValues, "--values", "-"); err != nil {
		return err
	}
	return c.excludeOtherNamespaces(ctx)
}

// installByHelm runs the first helm install of deploy/docs/install.md, with the image and the share of this node, and waits
// until the replicas serve and the policies are in effect. more are arguments in addition to those of the page. stdin is the
// standard input of helm.
func (c *testCluster) installByHelm(ctx context.Context, stdin string, more ...string) error {
	page, err := os.ReadFile("../../deploy/docs/install.md")
	if err != nil {
		return err
	}
	_, command, _ := strings.Cut(string(page), "```sh\n   helm install ")
	command, _, _ = strings.Cut(command, "\n   ```")
	command, err = replaceEach("deploy/docs/install.md", "install "+strings.NewReplacer("\\\n", " ", "'", "").Replace(command),
		"registry.example.com/", "", "nfs.server=nfs.example.com", "volume.hostPath.path="+c.share.root,
		"jupyter-system", atStart.namespace, "deploy/chart", "../../deploy/chart")
	if err != nil {
		return err
	}
	if _, err := c.helm.Run(ctx, stdin, append(strings.Fields(command), more...)...); err != nil {
		return err
	}
	return c.awaitInstalled(ctx)
}

// excludeOtherNamespaces excludes some namespaces from the webhook configurations of the shipped installation: the namespaces
// of the other installations, and gatedHub. These namespaces have other webhook configurations. A cluster with one installation
// does not need this.
func (c *testCluster) excludeOtherNamespaces(ctx context.Context) error {
	requirement := metav1.LabelSelectorRequirement{
		Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn,
		Values: slices.Concat([]string{gatedHub}, secondNamespaces, placesNamespaces),
	}
	configurations := c.Client.AdmissionregistrationV1()
	mutating, err := configurations.MutatingWebhookConfigurations().Get(ctx, shippedInstallation.mutating(), metav1.GetOptions{})
	if err != nil {
		return err
	}
	for i := range mutating.Webhooks {
		selector := mutating.Webhooks[i].NamespaceSelector
		if !slices.ContainsFunc(selector.MatchExpressions, func(has metav1.LabelSelectorRequirement) bool {
			return slices.Equal(has.Values, requirement.Values)
		}) {
			selector.MatchExpressions = append(selector.MatchExpressions, requirement)
		}
	}
	if _, err := configurations.MutatingWebhookConfigurations().Update(ctx, mutating, metav1.UpdateOptions{}); err != nil {
		return err
	}
	validating, err := configurations.ValidatingWebhookConfigurations().Get(ctx, shippedInstallation.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement}}
	}
	_, err = configurations.ValidatingWebhookConfigurations().Update(ctx, validating, metav1.UpdateOptions{})
	return err
}

// secondValues are the values of the second installation. Its sources of identities are the share and a passwd file. It
// caches the owner of a home only for 1 ms, because tests change the owners of homes.
const secondValues = `
createNamespace: true
share: {volume: {hostPath: {path: %q}}}
namespaces: [%s]
onlyNamespaces: [%s]
identity:
  share: true
  passwdConfigMap: people
  flags: [--homes-fresh=1ms, --homes-fresh-missing=1ms]
certificates: {source: secret, caBundle: %q}
`

// installSecond applies the objects of the second installation: those that the chart renders for secondValues, with other
// names and in another namespace. The policies are those of the shipped installation.
func (c *testCluster) installSecond(ctx context.Context) error {
	pair, err := pki.New(24*time.Hour, systemName+"."+secondInstallation.namespace+".svc")
	if err != nil {
		return err
	}
	rendered, err := c.helm.Template(ctx, smallNodeValues+fmt.Sprintf(secondValues, c.share.root, atAdmission.namespace,
		strings.Join(secondNamespaces, ", "), pair.Cert))
	if err != nil {
		return err
	}
	accounts, err := accountsConfigMap(secondInstallation.namespace)
	if err != nil {
		return err
	}
	manifests, err := secondInstallation.manifests(rendered, pair)
	if err != nil {
		return err
	}
	if err := c.apply(ctx, manifests+"\n---\n"+accounts); err != nil {
		return err
	}
	return c.awaitReplicas(ctx, secondInstallation)
}

// manifests returns the rendered objects of the webhook and of the share, with the namespace and the names of the
// installation i.
func (i installation) manifests(rendered deploy.Rendered, pair pki.Pair) (string, error) {
	certificates, err := certificateSecret(pair, i.namespace)
	if err != nil {
		return "", err
	}
	var all []string
	for _, file := range []string{"00-namespace.yaml", "71-access.yaml", "21-share.yaml", "10-serviceaccount.yaml", "20-configmap.yaml",
		"30-deployment.yaml", "31-service.yaml"} {
		if !slices.Contains(rendered.Files(), file) {
			continue // The chart renders 71-access.yaml only if the values grant rights.
		}
		text, err := rendered.Read(file)
		if err != nil {
			return "", err
		}
		all = append(all, strings.ReplaceAll(text, systemNamespace, i.namespace))
	}
	mutating, validating, err := i.webhookConfigurations(rendered)
	if err != nil {
		return "", err
	}
	return strings.Join(append(all, certificates, mutating, validating), "\n---\n"), nil
}

// webhookConfigurations returns the rendered webhook configurations, with the names and the namespace of the installation
// i.
func (i installation) webhookConfigurations(rendered deploy.Rendered) (mutating, validating string, err error) {
	for file, c := range map[string]struct {
		text     *string
		from, to string
	}{
		"50-mutatingwebhookconfiguration.yaml":   {&mutating, shippedInstallation.mutating(), i.mutating()},
		"51-validatingwebhookconfiguration.yaml": {&validating, shippedInstallation.name, i.name},
	} {
		if *c.text, err = rendered.Read(file); err != nil {
			return "", "", err
		}
		inNamespace := strings.ReplaceAll(*c.text, systemNamespace, i.namespace)
		*c.text = strings.Replace(inNamespace, "  name: "+c.from+"\n", "  name: "+c.to+"\n", 1)
	}
	return mutating, validating, nil
}

func certificateSecret(pair pki.Pair, namespace string) (string, error) {
	text, err := yaml.Marshal(&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: systemName + "-certs", Namespace: namespace},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: pair.Cert, corev1.TLSPrivateKeyKey: pair.Key},
	})
	return string(text), err
}

// accountsConfigMap returns the ConfigMap with the passwd and group files. For some users the passwd file differs from the
// share on purpose.
func accountsConfigMap(namespace string) (string, error) {
	var passwd, group strings.Builder
	account := func(name string, uid, gid int) {
		fmt.Fprintf(&passwd, "%s:*:%d:%d:%s:/home/%s:/bin/bash\n", name, uid, gid, name, name)
	}
	for _, h := range homes() {
		switch h.name {
		case "renamed":
		case "two-uids":
			account(h.name, h.uid-1, h.gid)
		default:
			account(h.name, h.uid, h.gid)
		}
	}
	account("homeless", 5010, 6010)
	account(newcomer.name, newcomer.uid, newcomer.gid)
	account("link-owner", 5001, 6001)
	for i := range maxGroups + 1 {
		members := "many-groups"
		if i < maxGroups {
			members += ",grouped"
		}
		fmt.Fprintf(&group, "project%d:*:%d:%s\n", i, firstGroup+i, members)
	}
	text, err := yaml.Marshal(&corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "people", Namespace: namespace},
		Data:       map[string]string{"passwd": passwd.String(), "group": group.String()},
	})
	return string(text), err
}

const (
	// maxGroups is the default limit for the number of a user's groups. firstGroup is the GID of the first group in the
	// group file, and the other groups have the numbers that follow.
	maxGroups  = 15
	firstGroup = 9001
)

// awaitReplicas waits until the rollout of an installation is complete. If it fails, the error has the Pods, events and logs.
func (c *testCluster) awaitReplicas(ctx context.Context, i installation) error {
	err := c.Admin.Do(ctx, "", "rollout", "status", "deployment/"+systemName, "-n", i.namespace, "--timeout=60s")
	if err == nil {
		return nil
	}
	for _, arguments := range [][]string{
		{"get", "pods", "-o", "wide"}, {"get", "events"}, {"logs", "--tail=5", "deployment/" + systemName + "-self-signed"},
		{"logs", "--tail=5", "deployment/" + systemName},
	} {
		result, _ := c.Admin.Kubectl(ctx, append(arguments, "-n", i.namespace)...)
		err = fmt.Errorf("%w\n%s%s", err, result.Stdout, result.Stderr)
	}
	return err
}

// awaitWebhooks waits until the API server calls the mutating webhooks of the shipped and the second installation.
func (c *testCluster) awaitWebhooks(ctx context.Context) error {
	for _, discovery := range discoveries {
		if err := c.awaitDiscovery(ctx, discovery.namespace, discovery.name); err != nil {
			return err
		}
	}
	return nil
}

// awaitDiscovery waits until notebooks in a namespace get this discovery.
func (c *testCluster) awaitDiscovery(ctx context.Context, namespace, discovery string) error {
	err := await(ctx, machine.Patience, func(ctx context.Context) (bool, error) {
		result, err := c.carol.Kubectl(ctx, "run", "probe", "-n", namespace, "--image=x", "--labels=jupyter-user=alice",
			"--dry-run=server", "-o", `jsonpath={.metadata.annotations.jupyter-user\.io/discovery}`)
		return result.Stdout == discovery, err
	})
	if err != nil {
		return fmt.Errorf("the webhook for namespace %s: %w", namespace, err)
	}
	return nil
}
