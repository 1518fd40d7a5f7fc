package chart

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/monitoring"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

const certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

// matrix maps descriptions to chart values. Most entries set one feature.
var matrix = map[string]string{
	"nothing":                       "",
	"createNamespace":               "{createNamespace: true}",
	"an NFS server and a namespace": "{share: {nfs: {server: nfs.example.com}}, namespaces: [lab]}",
	"existing claims":               "{share: {claimName: our-share}, namespaces: [lab, jhub]}",
	"a share by CSI":                "{share: {volume: {csi: {driver: csi.example.com, volumeHandle: share}}}, namespaces: [lab]}",
	"a share by CSI with mount options": "{share: {volume: {csi: {driver: efs.csi.aws.com, volumeHandle: fs-0123}}, volumeMountOptions: [iam]}, " +
		"namespaces: [lab], identity: {share: true}}",
	"a share that the nodes mount":      "{share: {volume: {hostPath: {path: /mnt/hpc}}}, namespaces: [lab]}",
	"a share by another kind of volume": "{share: {volume: {cinder: {volumeID: v}}}, namespaces: [lab]}",
	"names that YAML reads as other types": "{share: {nfs: {server: nfs.example.com}, claimName: 'null'}, namespaces: ['2024', 'on'], " +
		"onlyNamespaces: ['2024', 'on', '1e3'], image: {pullSecrets: ['7']}, identity: {share: true, passwdConfigMap: 'true'}, test: {user: 'on'}, " +
		"access: {rights: [{namespace: '2024', user: '1', homes: ['2']}]}, spawners: [{namespace: 'on', serviceAccount: 'off'}]}",
	"a share by NFS version 4": "{share: {nfs: {server: nfs.example.com}, mountOptions: [vers=4.2, hard]}, namespaces: [lab], " +
		"identity: {share: true, mountOptions: [vers=4.2, ro, soft]}}",
	"users known by the share": "{share: {nfs: {server: nfs.example.com}}, identity: {share: true, flags: [--homes-fresh=10s]}}",
	"users known by passwd":    "{identity: {passwdConfigMap: people}}",
	"users known by LDAP": "{identity: {ldap: {urls: ['ldaps://one.example.com', 'ldap://two.example.com:1389'], startTLS: true, ca: \"" +
		strings.ReplaceAll(certificate, "\n", `\n`) + "\", bindDN: 'cn=webhook,dc=example,dc=com', passwordSecret: ldap, preset: ad, " +
		"users: {baseDN: 'dc=example,dc=com', hubName: userPrincipalName}, groups: {baseDN: 'dc=example,dc=com', nested: true}}}}",
	"users known by LDAP and a certificate": "{identity: {hubNamesConfigMap: names, ldap: {urls: ['ldaps://one.example.com'], ca: \"" +
		strings.ReplaceAll(certificate, "\n", `\n`) + "\", certificateSecret: ldap, users: {baseDN: 'dc=example,dc=com'}}}}",
	"first homes": firstHomes,
	"first homes of passwd, with many settings": "{share: {nfs: {server: nfs.example.com}}, namespaces: [lab], image: {pullSecrets: [registry]}, " +
		"identity: {passwdConfigMap: people}, homes: {enabled: true, schedule: '@hourly', mode: '0750', dryRun: true, " +
		"skeletonConfigMap: skeleton, tolerations: [{operator: Exists}]}}",
	"rights":                        "{access: {rights: [{namespace: lab, user: alice@corp.example, homes: [alice]}, {namespace: lab, group: staff, homes: [bob, carol]}]}}",
	"own homes":                     "{access: {ownHomes: {enabled: true, prefix: 'oidc:', suffix: '@corp.example'}, controllers: [system:serviceaccount:argocd:argocd]}}",
	"spawners":                      "{spawners: [{namespace: jhub, serviceAccount: hub}, {namespace: lab, serviceAccount: spawner}]}",
	"certificates by cert-manager":  "{certificates: {source: certManager}}",
	"self-signed certificates":      "{certificates: {source: selfSigned}}",
	"an existing certificate":       "{certificates: {source: secret, caBundle: \"" + strings.ReplaceAll(certificate, "\n", `\n`) + "\"}}",
	"the API server as only client": "{certificates: {clientCA: \"" + strings.ReplaceAll(certificate, "\n", `\n`) + "\", clientNames: [front]}}",
	"warnings only":                 "{mode: Warn}",
	"onlyNamespaces":                "{onlyNamespaces: [lab], namespaces: [lab]}",
	"a mirror without the network":  "{image: {repository: 'registry.example.com:5000/mirror/jupyter-user-webhook', digest: 'sha256:" + digest + "', pullSecrets: [registry]}, namespaces: [lab]}",
	"an earlier image":              "{image: {tag: v9, accepted: ['jupyter-user-webhook:v8']}, config: {init: {acceptedImages: ['mirror:v8', 'jupyter-user-webhook:v8']}}}",
	"one replica and no NetworkPolicy": "{replicas: 1, networkPolicy: {enabled: false}, priorityClassName: '', nodeSelector: {disk: ssd}, " +
		"tolerations: [{operator: Exists}], podLabels: {team: hpc}, podAnnotations: {a: b}}",
	"API servers by their addresses": "{networkPolicy: {apiServers: [192.0.2.1/32, '2001:db8::/64'], metricsFrom: [{namespaceSelector: {}, podSelector: {}}]}}",
	"monitoring":                     "{monitoring: {podMonitor: true, prometheusRule: true, dashboard: true, labels: {release: prometheus}}}",
	"further claims": `{share: {fsGroup: Keep, directoryVolumeNames: {scratch: [scratch-pv-*, one], data: []}, directories: [
		{claimName: scratch, mountPath: /scratch, access: ReadWrite}, {claimName: data, subPath: a, mountPath: /a, access: ReadOnly},
		{subPath: b, mountPath: /b, access: ReadOnly}, {claimName: data, subPath: c, mountPath: /c, access: ReadOnly}]}}`,
	"homes by initial at the root": `{share: {home: '{initial}/{user}'}}`,
	"a directory for each user": `{identity: {passwdConfigMap: people}, homes: {enabled: true}, share: {home: 'home/{initial}/{user}', directories: [
		{subPath: 'scratch/{user}', mountPath: '/scratch/{user}', access: ReadWrite}, {subPath: data, mountPath: /data/sets, access: ReadOnly},
		{claimName: archive, subPath: 'users/{initial}/{user}', mountPath: /archive, access: ReadOnly}]}}`,
	"another configuration": `{config: {share: {volumeName: s, mountPath: /s, home: 'people/{initial}/{user}', directories: [{subPath: data, mountPath: /data, access: ReadOnly}],
		exposeEveryHome: ToTheUser, claimName: other}, scratch: {volumeName: w, mountPath: /w}, notebook: {homes: /h},
		identity: {strictSupplementalGroups: false}}}`,
	"every kind of value below config": `{config: {
		user: {domains: [a.example, b.example], domainsAreSynonyms: true, maxLength: 20, reserved: [build], unmapped: Name},
		share: {directories: [{claimName: d, mountPath: /d, access: ReadOnly}], volumeName: null, allowUserNamespaces: true},
		scratch: {sizeLimit: 33554432}, identity: {minUID: 2000000000, deniedGIDs: [2000], imageGroups: [100], maxGroups: 0, tooManyGroups: Cut,
			ldap: {urls: [ldap://ldap.example.com], startTLS: true, bind: {method: External, certificateFile: /a, keyFile: /b}, preset: ad,
				users: {baseDN: 'dc=example', home: null}, groups: {memberIs: DN, nested: true}, waitMilliseconds: 400}},
		init: {imagePullSecrets: [a], resources: {requests: {cpu: 0.02, memory: 33554432}, limits: {memory: 64Mi}}},
		notebook: {containerNames: [nb], env: [{name: A, value: b}], jupyterConfig: {A: {b: [1, {c: x}], d: 1.5}}, umask: '0027',
			resources: {requests: null, limits: {nvidia.com/gpu: 1}}, probes: {liveness: null, startup: {failureThreshold: 9}},
			starts: [{image: 'a/*', entrypoint: [/init]}]}}}`,
	"several features": `{share: {nfs: {server: nfs.example.com, path: /export}, capacity: 5Pi, otherNFSServers: [a, b], csiDrivers: [], hostPaths: [/mnt]},
		namespaces: [lab, jhub], identity: {share: true, passwdConfigMap: people}, spawners: [{namespace: jhub, serviceAccount: hub}],
		certificates: {source: selfSigned}, mode: Warn, onlyNamespaces: [lab, jhub], config: {share: {home: 'users/{user}'}}}`,
}

// firstHomes has the chart values from which deploy/examples/homes.yaml is rendered.
const firstHomes = "{share: {nfs: {server: nfs.example.com}}, namespaces: [lab], identity: {ldap: {urls: ['ldaps://ldap.example.com'], ca: \"" +
	"-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----\\n\", bindDN: 'cn=webhook,dc=example,dc=com', passwordSecret: ldap, " +
	"users: {baseDN: 'ou=people,dc=example,dc=com'}}}, homes: {enabled: true, nodeSelector: {kubernetes.io/hostname: admin-node}, " +
	"skeletonConfigMap: skeleton}}"

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func newHelm(t *testing.T) *helm.Helm {
	t.Helper()
	h, err := helm.New(t.Context(), t.Output(), t.TempDir())
	require.NoError(t, err)
	return h
}

func start(t *testing.T, flags map[string][]string) *controlplane.ControlPlane {
	t.Helper()
	plane := startEmpty(t, flags)
	for name, level := range map[string]string{helm.Namespace: "restricted", "jupyter-user-homes": "baseline", "lab": "baseline", "jhub": "baseline", "2024": "baseline",
		"on": "baseline"} {
		require.NoError(t, plane.Namespace(t.Context(), name, map[string]string{"pod-security.kubernetes.io/enforce": level}))
	}
	return plane
}

// startEmpty starts an API server that has none of the webhook's namespaces.
func startEmpty(t *testing.T, flags map[string][]string) *controlplane.ControlPlane {
	t.Helper()
	plane, err := controlplane.Start(t.Context(), controlplane.Options{Progress: t.Output(), Flags: flags})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, plane.Stop()) })
	return plane
}

// TestRenderedChartInDryRun renders the chart with the values of each entry of the map matrix, and sends the objects to the
// API server in a dry run, in which unknown fields are errors. The webhook's namespace enforces Pod Security restricted.
// The API server also knows the kinds of cert-manager and of the Prometheus operator that the chart can render.
func TestRenderedChartInDryRun(t *testing.T) {
	t.Parallel()
	plane, h := start(t, nil), newHelm(t)
	installOtherKinds(t, plane)
	// The Pod of helm test needs this ServiceAccount, and a dry run does not create it.
	require.NoError(t, plane.Admin.Do(t.Context(), "", "create", "serviceaccount", "jupyter-user-webhook-test", "-n", helm.Namespace))
	for name, values := range matrix {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rendered, err := h.Template(t.Context(), values)
			require.NoError(t, err)
			assertAgrees(t, rendered)
			applied := dryRun(t, plane, string(rendered))
			assert.Zero(t, applied.ExitCode, applied.Stderr)
			assert.Empty(t, applied.Stderr, "no warnings, such as one of Pod Security")
		})
	}
	assertUnknownDenied(t, plane, h)
}

func dryRun(t *testing.T, plane *controlplane.ControlPlane, documents string) controlplane.Result {
	t.Helper()
	applied, err := plane.Admin.KubectlReading(t.Context(), documents, "apply", "--server-side", "--force-conflicts", "--dry-run=server",
		"--validate=strict", "-f", "-")
	require.NoError(t, err)
	return applied
}

// TestMountOptions tests which mount options the volumes of the notebooks and the webhook's own volume get.
func TestMountOptions(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2][]string{
		"a share by CSI with mount options": {{"iam"}, {"iam"}},
		"a share by CSI":                    {nil, nil},
		"a share by NFS version 4":          {{"vers=4.2", "hard"}, {"vers=4.2", "ro", "soft"}},
	} {
		values := strings.Replace(matrix[name], "namespaces: [lab]}", "namespaces: [lab], identity: {share: true}}", 1)
		rendered, err := newHelm(t).Template(t.Context(), values)
		require.NoError(t, err)
		options := map[string][]string{}
		for document := range strings.SplitSeq(read(t, rendered, "21-share.yaml"), "\n---\n") {
			volume := corev1.PersistentVolume{}
			require.NoError(t, yaml.Unmarshal([]byte(document), &volume))
			if volume.Kind == "PersistentVolume" {
				options[volume.Name] = volume.Spec.MountOptions
			}
		}
		assert.Equal(t, map[string][]string{"hpc-pv-lab": want[0], "hpc-pv-jupyter-user-system": want[1]}, options, name)
	}
}

// TestNullIsDefault tests that the chart renders null like the default, because the webhook takes null as the default. Null
// can reach the templates, because helm upgrade keeps the null of a key that had no value in the release before.
func TestNullIsDefault(t *testing.T) {
	t.Parallel()
	h := newHelm(t)
	without := func(values string) string {
		rendered, err := h.Template(t.Context(), values)
		require.NoError(t, err)
		return regexp.MustCompile(`(?m)^ *(checksum/configuration|jupyter-user\.io/rendered): .*\n`).ReplaceAllString(string(rendered), "")
	}
	assert.Equal(t, without("{}"), without(`{access: {controllers: null, rights: null}, share: {claimName: null, fsGroup: null, otherNFSServers: null}, config: {
		share: {claimName: null, volumeName: null, mountPath: null, home: null}, scratch: {volumeName: null, mountPath: null},
		user: {hubComponents: null}, init: {acceptedImages: null}, identity: {way: null}}}`))
}

// TestRightsAreNamedByContent tests that a right that stays keeps its Role when another right is removed.
func TestRightsAreNamedByContent(t *testing.T) {
	t.Parallel()
	h := newHelm(t)
	objects := func(users ...string) (found []string) {
		var rights []string
		for _, user := range users {
			rights = append(rights, fmt.Sprintf("{namespace: lab, user: %[1]s, homes: [%[1]s]}", user))
		}
		rendered, err := h.Template(t.Context(), "{access: {rights: ["+strings.Join(rights, ", ")+"]}}")
		require.NoError(t, err)
		for document := range strings.SplitSeq(read(t, rendered, "71-access.yaml"), "\n---\n") {
			if strings.Contains(document, "kind: Role") {
				found = append(found, document)
			}
		}
		return found
	}
	both := objects("alice", "bob", "alice")
	assert.Len(t, both, 4, "a Role and a binding for each right")
	assert.Subset(t, both, objects("bob"))
}

// TestLint tests that helm lint succeeds with the values of each entry of the map matrix.
func TestLint(t *testing.T) {
	t.Parallel()
	h := newHelm(t)
	chart, err := helm.Chart()
	require.NoError(t, err)
	for name, values := range matrix {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := h.Run(t.Context(), values, "lint", "--strict", chart, "--values", "-", "--namespace", helm.Namespace)
			require.NoError(t, err)
		})
	}
}

// TestRenderedMonitoring tests that the chart renders the rules and the dashboard of deploy/monitoring unchanged, except for
// the links to the runbook if monitoring.runbookURL is set. The tests in test/monitoring test their content.
func TestRenderedMonitoring(t *testing.T) {
	t.Parallel()
	rendered, err := newHelm(t).Template(t.Context(), matrix["monitoring"])
	require.NoError(t, err)
	kinds := map[string]map[string]any{}
	for document := range strings.SplitSeq(read(t, rendered, "80-monitoring.yaml"), "\n---\n") {
		object := map[string]any{}
		require.NoError(t, yaml.Unmarshal([]byte(document), &object))
		kinds[object["kind"].(string)] = object
	}
	assert.Len(t, kinds, 3)
	rules := map[string]any{}
	text, err := monitoring.File("rules.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &rules))
	assert.Equal(t, rules, kinds["PrometheusRule"]["spec"])
	elsewhere, err := newHelm(t).Template(t.Context(), "{monitoring: {prometheusRule: true, runbookURL: 'https://wiki.example/hpc'}}")
	require.NoError(t, err)
	assert.Equal(t, strings.Count(string(text), "runbook_url: "), strings.Count(string(elsewhere), "runbook_url: https://wiki.example/hpc#"))
	dashboard, err := monitoring.File("dashboard.json")
	require.NoError(t, err)
	assert.JSONEq(t, string(dashboard), kinds["ConfigMap"]["data"].(map[string]any)["jupyter-user-webhook.json"].(string))
	linked, err := newHelm(t).Template(t.Context(), "{monitoring: {dashboard: true, runbookURL: 'https://wiki.example/hpc'}}")
	require.NoError(t, err)
	assert.Contains(t, string(linked), `"url": "https://wiki.example/hpc"`)
	assert.NotContains(t, read(t, linked, "80-monitoring.yaml"), "deploy/docs/runbook.md\"")
}

func read(t *testing.T, rendered deploy.Rendered, name string) string {
	t.Helper()
	text, err := rendered.Read(name)
	require.NoError(t, err)
	return text
}

// assertAgrees asserts that config.yaml, the webhook's configuration, has the same values as policies.json, which has
// the values of the policies. It also asserts that the policy net.jupyter-user.io has the configured images, and that
// the Deployment runs the image of the init container.
func assertAgrees(t *testing.T, rendered deploy.Rendered) {
	t.Helper()
	var configured corev1.ConfigMap
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, rendered, "20-configmap.yaml")), &configured))
	c, err := config.Parse([]byte(configured.Data["config.yaml"]))
	require.NoError(t, err)
	var values struct {
		Claims, Images, HostPaths                   []string
		Home, MountPath, ScratchVolume, ScratchPath string
		Shares                                      []struct {
			Claim       string
			Directories []string
			Patterns    []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(configured.Data["policies.json"]), &values))
	assert.Equal(t, append([]string{c.Share.ClaimName}, c.Share.FurtherClaims()...), values.Claims)
	assert.Equal(t, string(c.Share.Home), values.Home)
	assert.Equal(t, c.Share.MountPath, values.MountPath)
	assert.Equal(t, c.Scratch.VolumeName, values.ScratchVolume)
	assert.Equal(t, c.Scratch.MountPath, values.ScratchPath)
	assert.Equal(t, append([]string{c.Init.Image}, c.Init.AcceptedImages...), values.Images)
	for i, share := range values.Shares {
		assert.Equal(t, values.Claims[i], share.Claim)
		var directories, patterns []string
		for _, directory := range c.Share.Directories {
			switch {
			case cmp.Or(directory.ClaimName, c.Share.ClaimName) != share.Claim:
			case strings.HasSuffix(directory.SubPath, "/{user}"):
				patterns = append(patterns, directory.SubPath)
			default:
				directories = append(directories, directory.SubPath)
			}
		}
		if i == 0 && c.Share.ExposeEveryHome != config.ExposeNever {
			directories = append(directories, "")
		}
		assert.ElementsMatch(t, directories, share.Directories)
		assert.ElementsMatch(t, patterns, share.Patterns)
	}
	net := read(t, rendered, "62-policy-net.yaml")
	for _, image := range values.Images {
		assert.Contains(t, net, strconv.Quote(image))
	}
	for _, image := range regexp.MustCompile(`(?m)^ +image: (.*)$`).FindAllStringSubmatch(read(t, rendered, "30-deployment.yaml"), -1) {
		assert.Equal(t, c.Init.Image, image[1])
	}
}

// TestModes tests the failurePolicy of the webhooks and the actions of the policies' bindings in both modes. Mode Warn
// denies nothing.
func TestModes(t *testing.T) {
	t.Parallel()
	h := newHelm(t)
	for mode, wanted := range map[string][]admissionv1.ValidationAction{"Warn": {"Warn", "Audit"}, "Enforce": {"Deny"}} {
		rendered, err := h.Template(t.Context(), "{mode: "+mode+"}")
		require.NoError(t, err)
		policy := map[string]string{"Warn": "Ignore", "Enforce": "Fail"}[mode]
		for file, entries := range map[string]int{"50-mutatingwebhookconfiguration.yaml": 4, "51-validatingwebhookconfiguration.yaml": 1} {
			assert.Equal(t, entries, strings.Count(read(t, rendered, file), "    failurePolicy: "+policy+"\n"), "%s in mode %s", file, mode)
		}
		found := 0
		for document := range strings.SplitSeq(string(rendered), "\n---\n") {
			binding := admissionv1.ValidatingAdmissionPolicyBinding{}
			require.NoError(t, yaml.Unmarshal([]byte(document), &binding))
			if binding.Kind == "ValidatingAdmissionPolicyBinding" {
				found++
				assert.Equal(t, wanted, binding.Spec.ValidationActions, binding.Name)
			}
		}
		assert.Equal(t, 15, found)
	}
}

// TestInlineVolumesOfShareKind sets share.volume to several kinds of PersistentVolume. For each kind, the policy
// share.jupyter-user.io must have the expression that denies the inline volumes which would reach the share directly.
func TestInlineVolumesOfShareKind(t *testing.T) {
	t.Parallel()
	h := newHelm(t)
	for source, expression := range map[string]string{
		"local: {path: /mnt/../srv//hpc/}":                 `["/srv/hpc/"].exists(q, p.startsWith(q))`,
		"hostPath: {path: /}":                              `["/"].exists(q, p.startsWith(q))`,
		"csi: {driver: Files.CSI.example.com}":             `in ["nfs.csi.k8s.io", "files.csi.example.com"]`,
		"cinder: {volumeID: v}":                            "has(v.cinder) || ",
		"cephfs: {monitors: [192.0.2.1]}":                  "has(v.cephfs) || ",
		"glusterfs: {endpoints: e, path: p}":               "has(v.glusterfs) || ",
		"azureFile: {secretName: s, shareName: s}":         "has(v.azureFile) || ",
		"portworxVolume: {volumeID: v}":                    "has(v.portworxVolume) || ",
		"nfs: {server: nfs.example.com, path: /}":          "has(v.nfs) && !(v.nfs.server in [])",
		"flexVolume: {driver: example.com/d}":              "has(v.flexVolume) || ",
		"awsElasticBlockStore: {volumeID: v, fsType: xfs}": "has(v.awsElasticBlockStore) || ",
	} {
		rendered, err := h.Template(t.Context(), "{share: {volume: {"+source+"}}}")
		require.NoError(t, err)
		assert.Contains(t, read(t, rendered, "64-policy-share.yaml"), expression, source)
	}
}

// TestNotesInModeWarn tests the notes of the chart for the two steps that can stop Pods even in mode Warn. In this mode,
// the command for the Pod Security level of a namespace with notebooks must be only a dry run. The NetworkPolicy that keeps
// Pods from the NFS server must come only just before mode Enforce.
func TestNotesInModeWarn(t *testing.T) {
	t.Parallel()
	h := newHelm(t)
	chart, err := helm.Chart()
	require.NoError(t, err)
	const level = " namespace lab pod-security.kubernetes.io/enforce=baseline\n"
	notes := map[string]string{}
	for _, mode := range []string{"Warn", "Enforce"} {
		output, err := h.Run(t.Context(), "{mode: "+mode+", namespaces: [lab]}", "install", helm.Release, chart, "--dry-run=client",
			"--namespace", helm.Namespace, "--values", "-")
		require.NoError(t, err)
		_, notes[mode], _ = strings.Cut(output, "\nNOTES:\n")
	}
	assert.Contains(t, notes["Enforce"], "kubectl label"+level)
	for mode, text := range notes {
		assert.Contains(t, text, "kubectl label namespace jupyter-user-system pod-security.kubernetes.io/enforce=restricted\n", mode)
	}
	assert.Contains(t, notes["Enforce"], "3. Keep Pods from the NFS server")
	assert.NotContains(t, notes["Warn"], "kubectl label"+level)
	assert.Contains(t, notes["Warn"], "kubectl label --dry-run=server --overwrite"+level)
	assert.Contains(t, notes["Warn"], "3. Just before mode Enforce, keep Pods from the NFS server")
	assert.Contains(t, notes["Warn"], "add --set share.nfs.server=<NFS server>")
	assert.NotContains(t, notes["Enforce"], "share.nfs.server")
}

// TestOnlyNamespaces tests that with the value onlyNamespaces, the webhooks and the policies select only these namespaces.
func TestOnlyNamespaces(t *testing.T) {
	t.Parallel()
	rendered, err := newHelm(t).Template(t.Context(), "{onlyNamespaces: [lab]}")
	require.NoError(t, err)
	for _, file := range []string{"50-mutatingwebhookconfiguration.yaml", "51-validatingwebhookconfiguration.yaml", "61-policy-access.yaml",
		"62-policy-net.yaml", "63-policy-node.yaml", "64-policy-share.yaml", "65-policy-afterwards.yaml"} {
		text := read(t, rendered, file)
		selectors := strings.Count(text, "        - key: kubernetes.io/metadata.name\n") +
			strings.Count(text, "          - key: kubernetes.io/metadata.name\n")
		only := strings.Count(text, "operator: In\n          values: [\"lab\"]") + strings.Count(text, "operator: In\n            values: [\"lab\"]")
		assert.NotZero(t, only, file)
		assert.Equal(t, selectors, only, file)
	}
}
