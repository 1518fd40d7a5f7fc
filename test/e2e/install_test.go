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

// installation is one of the two installations of this cluster: one for each discovery. Each serves its own namespaces.
type installation struct {
	// name is the name of its ValidatingWebhookConfiguration. space is its namespace.
	name, space string
}

// mutating returns the name of its MutatingWebhookConfiguration.
func (i installation) mutating() string { return "00-" + i.name }

var (
	shipped = installation{systemName, systemSpace}
	knowing = installation{"jupyter-user-known", "jupyter-user-known"}
)

// knownNamespaces are the namespaces of the second installation, which have discovery at admission.
var knownNamespaces = []string{atAdmission.namespace, atAdmission.hub(), smallAtAdmission.namespace}

// installShipped runs the first command of deploy/docs/install.md, with the image, which is already on the node, and two values:
// the share and the namespace with notebooks. The other values are for such a small node. The second Deployment makes the
// certificate, and the chart makes the namespace's volume and claim.
func (w *World) installShipped(ctx context.Context) error {
	if err := w.installByHelm(ctx, configuration, "--values", "-"); err != nil {
		return err
	}
	return w.excludeOther(ctx)
}

// installByHelm runs the first helm install of deploy/docs/install.md, with this node's image and share, more arguments, and
// standard input for them. It waits until everything is in effect.
func (w *World) installByHelm(ctx context.Context, stdin string, more ...string) error {
	page, err := os.ReadFile("../../deploy/docs/install.md")
	if err != nil {
		return err
	}
	_, command, _ := strings.Cut(string(page), "```sh\n   helm install ")
	command, _, _ = strings.Cut(command, "\n   ```")
	command, err = changed("deploy/docs/install.md", "install "+strings.NewReplacer("\\\n", " ", "'", "").Replace(command),
		"registry.example.com/", "", "nfs.server=nfs.example.com", "volume.hostPath.path="+w.share.root,
		"jupyter-system", atStart.namespace, "deploy/chart", "../../deploy/chart")
	if err != nil {
		return err
	}
	if _, err := w.helm.Run(ctx, stdin, append(strings.Fields(command), more...)...); err != nil {
		return err
	}
	return w.awaitInstalled(ctx)
}

// excludeOther excludes the namespaces of the second installation from the shipped webhook configurations. A cluster with one
// installation does not need this.
func (w *World) excludeOther(ctx context.Context) error {
	requirement := metav1.LabelSelectorRequirement{
		Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpNotIn, Values: slices.Concat([]string{gatedHub}, knownNamespaces, placesSpaces),
	}
	configurations := w.Client.AdmissionregistrationV1()
	mutating, err := configurations.MutatingWebhookConfigurations().Get(ctx, shipped.mutating(), metav1.GetOptions{})
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
	validating, err := configurations.ValidatingWebhookConfigurations().Get(ctx, shipped.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].NamespaceSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{requirement}}
	}
	_, err = configurations.ValidatingWebhookConfigurations().Update(ctx, validating, metav1.UpdateOptions{})
	return err
}

// secondValues are the values of the second installation. Its sources of identities are the share and passwd. It caches nothing,
// because the homes of these tests change their owners.
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

// installSecond applies the objects that the chart renders for these values, in another namespace and with other names. The
// policies are those of the first installation.
func (w *World) installSecond(ctx context.Context) error {
	pair, err := pki.New(24*time.Hour, systemName+"."+knowing.space+".svc")
	if err != nil {
		return err
	}
	rendered, err := w.helm.Template(ctx, configuration+fmt.Sprintf(secondValues, w.share.root, atAdmission.namespace,
		strings.Join(knownNamespaces, ", "), pair.Cert))
	if err != nil {
		return err
	}
	users, err := usersOf(knowing.space)
	if err != nil {
		return err
	}
	manifests, err := knowing.manifests(rendered, pair)
	if err != nil {
		return err
	}
	if err := w.apply(ctx, manifests+"\n---\n"+users); err != nil {
		return err
	}
	return w.awaitReplicas(ctx, knowing)
}

// manifests returns the rendered objects for the webhook and the share, with the namespace and the names of the installation.
func (i installation) manifests(rendered deploy.Rendered, pair pki.Pair) (string, error) {
	certificates, err := certificatesOf(pair, i.space)
	if err != nil {
		return "", err
	}
	var all []string
	for _, file := range []string{"00-namespace.yaml", "71-access.yaml", "21-share.yaml", "10-serviceaccount.yaml", "20-configmap.yaml",
		"30-deployment.yaml", "31-service.yaml"} {
		if !slices.Contains(rendered.Files(), file) {
			continue // without rights among the values there are no bindings
		}
		text, err := rendered.Read(file)
		if err != nil {
			return "", err
		}
		all = append(all, strings.ReplaceAll(text, systemSpace, i.space))
	}
	mutating, validating, err := i.registrations(rendered)
	if err != nil {
		return "", err
	}
	return strings.Join(append(all, certificates, mutating, validating), "\n---\n"), nil
}

// registrations returns the rendered webhook configurations, with the installation's name and for its namespaces.
func (i installation) registrations(rendered deploy.Rendered) (mutating, validating string, err error) {
	for file, of := range map[string]struct {
		text     *string
		from, to string
	}{
		"50-mutatingwebhookconfiguration.yaml":   {&mutating, shipped.mutating(), i.mutating()},
		"51-validatingwebhookconfiguration.yaml": {&validating, shipped.name, i.name},
	} {
		if *of.text, err = rendered.Read(file); err != nil {
			return "", "", err
		}
		*of.text = strings.Replace(strings.ReplaceAll(*of.text, systemSpace, i.space), "  name: "+of.from+"\n", "  name: "+of.to+"\n", 1)
	}
	return mutating, validating, nil
}

func certificatesOf(pair pki.Pair, space string) (string, error) {
	text, err := yaml.Marshal(&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: systemName + "-certs", Namespace: space},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: pair.Cert, corev1.TLSPrivateKeyKey: pair.Key},
	})
	return string(text), err
}

// usersOf returns the passwd and group files of these homes. For some users they differ from the share on purpose.
func usersOf(space string) (string, error) {
	var passwd, group strings.Builder
	account := func(name string, uid, gid int) {
		fmt.Fprintf(&passwd, "%s:*:%d:%d:%s:/home/%s:/bin/bash\n", name, uid, gid, name, name)
	}
	for _, h := range homes() {
		switch h.name {
		case "renamed":
		case "disputed":
			account(h.name, h.uid-1, h.gid)
		default:
			account(h.name, h.uid, h.gid)
		}
	}
	account("homeless", 5010, 6010)
	account(newcomer.name, newcomer.uid, newcomer.gid)
	account("led", 5001, 6001)
	for i := range mostGroups + 1 {
		members := "joiner"
		if i < mostGroups {
			members += ",grouped"
		}
		fmt.Fprintf(&group, "project%d:*:%d:%s\n", i, firstGroup+i, members)
	}
	text, err := yaml.Marshal(&corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: "people", Namespace: space},
		Data:       map[string]string{"passwd": passwd.String(), "group": group.String()},
	})
	return string(text), err
}

const (
	// mostGroups that a user may be in, as configured by default.
	mostGroups = 15
	firstGroup = 9001
)

// awaitReplicas waits until the replicas serve. If they do not, the error has the reason.
func (w *World) awaitReplicas(ctx context.Context, i installation) error {
	err := w.Admin.Do(ctx, "", "rollout", "status", "deployment/"+systemName, "-n", i.space, "--timeout=60s")
	if err == nil {
		return nil
	}
	for _, arguments := range [][]string{
		{"get", "pods", "-o", "wide"}, {"get", "events"}, {"logs", "--tail=5", "deployment/" + systemName + "-self-signed"},
		{"logs", "--tail=5", "deployment/" + systemName},
	} {
		said, _ := w.Admin.Kubectl(ctx, append(arguments, "-n", i.space)...)
		err = fmt.Errorf("%w\n%s%s", err, said.Stdout, said.Stderr)
	}
	return err
}

// awaitWebhooks waits until the API server uses the webhook configurations, which it watches.
func (w *World) awaitWebhooks(ctx context.Context) error {
	for _, discovery := range discoveries {
		if err := w.awaitDiscovery(ctx, discovery.namespace, discovery.name); err != nil {
			return err
		}
	}
	return nil
}

// awaitDiscovery waits until notebooks of a namespace have this discovery.
func (w *World) awaitDiscovery(ctx context.Context, namespace, discovery string) error {
	err := await(ctx, machine.Patience, func(ctx context.Context) (bool, error) {
		result, err := w.carol.Kubectl(ctx, "run", "probe", "-n", namespace, "--image=x", "--labels=jupyter-user=alice",
			"--dry-run=server", "-o", `jsonpath={.metadata.annotations.jupyter-user\.io/discovery}`)
		return result.Stdout == discovery, err
	})
	if err != nil {
		return fmt.Errorf("the webhook for namespace %s: %w", namespace, err)
	}
	return nil
}
