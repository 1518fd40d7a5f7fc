package e2e

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/pki"
)

// An installation is one of two that this cluster has, so that both ways to the identity are seen on it. Each serves
// namespaces of its own.
type installation struct {
	// name of its webhook configurations, and space, its namespace.
	name, space string
	// serves says for which namespaces it is asked: an operator and values of a requirement.
	serves string
}

// known are the namespaces in which people are known at admission.
var known = atAdmission.namespace + ", " + atAdmission.hub()

var (
	shipped = installation{systemName, systemSpace, "NotIn, values: [kube-system, " + systemSpace + ", " + known + ", " + gatedHub + "]"}
	knowing = installation{"jupyter-user-known", "jupyter-user-known", "In, values: [" + known + "]"}
)

func (w *World) installShipped(ctx context.Context) error {
	if err := w.install(ctx, shipped); err != nil {
		return err
	}
	return w.awaitReplicas(ctx, shipped)
}

// installKnowing follows what README.md says about the share, and passwd beside it, as the sources of identities. Nothing is
// remembered, because here homes change hands from one moment to the next.
func (w *World) installKnowing(ctx context.Context) error {
	if err := w.install(ctx, knowing); err != nil {
		return err
	}
	source, err := example("known-at-admission.yaml",
		"  mountOptions: [ro, soft, timeo=10, retrans=2, actimeo=3, lookupcache=positive, vers=3, nolock, proto=tcp]\n", "",
		"  nfs:\n    server: nfs.example.com\n    path: /hpc\n", "  hostPath: {path: "+w.share.root+", type: Directory}\n",
		systemSpace, knowing.space)
	if err != nil {
		return err
	}
	patch, err := example("known-at-admission.patch.yaml", systemSpace, knowing.space,
		"            - --homes=/share/home\n", "            - --homes=/share/home\n            - --homes-fresh=1ms\n"+
			"            - --homes-fresh-missing=1ms\n            - --passwd=/people/passwd\n            - --group=/people/group\n",
		"          volumeMounts:\n", "          volumeMounts:\n            - {name: people, mountPath: /people, readOnly: true}\n",
		"      volumes:\n", "      volumes:\n        - {name: people, configMap: {name: people}}\n")
	if err != nil {
		return err
	}
	people, err := peopleOf(knowing.space)
	if err != nil {
		return err
	}
	for _, text := range []string{source, people} {
		if err := w.apply(ctx, text); err != nil {
			return err
		}
	}
	if err := w.Admin.Do(ctx, "", "patch", "deployment", systemName, "-n", knowing.space, "--patch", patch); err != nil {
		return err
	}
	return w.awaitReplicas(ctx, knowing)
}

// peopleOf is what getent prints where these homes are, but for those about whom it and the share do not agree.
func peopleOf(space string) (string, error) {
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
	// mostGroups that a person may be in, as configured by default.
	mostGroups = 15
	firstGroup = 9001
)

func (w *World) awaitReplicas(ctx context.Context, i installation) error {
	return w.Admin.Do(ctx, "", "rollout", "status", "deployment/"+systemName, "-n", i.space, "--timeout=120s")
}

// install follows README.md's steps without cert-manager.
func (w *World) install(ctx context.Context, i installation) error {
	pair, err := pki.New(24*time.Hour, systemName+"."+i.space+".svc")
	if err != nil {
		return err
	}
	settings, err := configMap()
	if err != nil {
		return err
	}
	mutating, validating, err := i.registrations(pair)
	if err != nil {
		return err
	}
	certificates, err := yaml.Marshal(&corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: systemName + "-certs", Namespace: systemSpace},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: pair.Cert, corev1.TLSPrivateKeyKey: pair.Key},
	})
	if err != nil {
		return err
	}
	for _, text := range []string{
		asShipped("00-namespace.yaml"), string(certificates), asShipped("10-serviceaccount.yaml"), settings,
		asShipped("30-deployment.yaml"), asShipped("31-service.yaml"), mutating, validating,
	} {
		if err := w.apply(ctx, strings.ReplaceAll(text, systemSpace, i.space)); err != nil {
			return err
		}
	}
	return nil
}

// registrations are the shipped webhook configurations, which trust a certificate and are for certain namespaces.
func (i installation) registrations(trusted pki.Pair) (mutating, validating string, err error) {
	changes := []string{
		"    cert-manager.io/inject-ca-from: jupyter-user-system/jupyter-user-webhook-ca\n", "    e2e: without-cert-manager\n",
		"clientConfig:", "clientConfig:\n      caBundle: " + base64.StdEncoding.EncodeToString(trusted.Cert),
		"metadata:\n  name: " + systemName + "\n", "metadata:\n  name: " + i.name + "\n",
	}
	const named = "key: kubernetes.io/metadata.name, operator: "
	mutating, err = manifest(mutatingFile, append(changes, "        - key: kubernetes.io/metadata.name\n          operator: NotIn\n"+
		"          values: [kube-system, jupyter-user-system]\n", "        - {"+named+i.serves+"}\n")...)
	if err != nil {
		return "", "", err
	}
	validating, err = manifest(validatingFile, append(changes, "    rules:\n",
		"    namespaceSelector: {matchExpressions: [{"+named+i.serves+"}]}\n    rules:\n")...)
	return mutating, validating, err
}

// awaitWebhooks waits until the API server, which watches webhook configurations like any client, acts on them.
func (w *World) awaitWebhooks(ctx context.Context) error {
	for _, way := range ways {
		err := await(ctx, time.Minute, func(ctx context.Context) (bool, error) {
			result, err := w.carol.Kubectl(ctx, "run", "probe", "-n", way.namespace, "--image=x", "--labels=jupyter-user=alice",
				"--dry-run=server", "-o", `jsonpath={.metadata.annotations.jupyter-user\.io/way}`)
			return result.Stdout == way.name, err
		})
		if err != nil {
			return fmt.Errorf("the webhook for namespace %s: %w", way.namespace, err)
		}
	}
	return nil
}
