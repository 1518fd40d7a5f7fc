package chart

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/helm"
)

// list returns a number of words such as word0 and word1, separated by commas, for a YAML list.
func list(word string, count int) string {
	words := make([]string, count)
	for i := range words {
		words[i] = word + strconv.Itoa(i)
	}
	return strings.Join(words, ", ")
}

// TestWrongValues tests that with wrong values, helm renders nothing and prints a message that names the value.
func TestWrongValues(t *testing.T) {
	t.Parallel()
	h := newHelm(t)
	for values, message := range map[string]string{
		"{mode: warn}":                                                          "at '/mode': value must be one of 'Enforce', 'Warn'",
		"{nmespaces: [lab]}":                                                    "additional properties 'nmespaces' not allowed",
		"{replicas: 0}":                                                         "at '/replicas': minimum: got 0, want 1",
		"{replicas: two}":                                                       "at '/replicas': got string, want integer",
		"{image: {digest: 'sha256:12'}}":                                        "at '/image/digest': 'sha256:12' does not match pattern",
		"{image: {repository: 'a b'}}":                                          "at '/image/repository': 'a b' does not match pattern",
		"{namespaces: lab}":                                                     "at '/namespaces': got string, want array",
		"{namespaces: [lab, lab]}":                                              "at '/namespaces': items at 0 and 1 are equal",
		"{namespaces: [kube-system]}":                                           "the namespace kube-system cannot have notebooks",
		"{onlyNamespaces: [jupyter-user-system]}":                               "the namespace jupyter-user-system cannot have notebooks",
		"{namespaces: [lab, jhub], onlyNamespaces: [lab]}":                      "the namespace jhub is among namespaces and not among onlyNamespaces",
		"{share: {nfs: {path: hpc}}}":                                           "at '/share/nfs/path': 'hpc' does not match pattern",
		"{share: {nfs: {server: 'a b'}}}":                                       "at '/share/nfs/server': 'a b' does not match pattern",
		"{share: {nfs: {server: a}, volume: {hostPath: {path: /x}}}}":           "share.nfs.server and share.volume are both set",
		"{share: {volume: {hostPath: {path: /x}, nfs: {server: a}}}}":           "share.volume names hostPath and nfs: a PersistentVolume has one source",
		"{access: {rights: [{namespace: lab, user: a}]}}":                       "at '/access/rights/0': missing property 'homes'",
		"{access: {rights: [{namespace: lab, homes: [a]}]}}":                    "access.rights[0], for namespace lab, has no user and no group",
		"{access: {rights: [{namespace: lab, homes: [a], user: a, group: b}]}}": "access.rights[0] names the user a and the group b",
		"{config: {share: {homes: home}}}": "config.share.homes is now share.home, " +
			"which is a pattern: in place of homes: home, write home: home/{user}",
		"{config: {share: {readOnly: []}}}": "config.share.readOnly is now " +
			"share.directories: the same list, and each element has access: ReadOnly",
		"{config: {user: {domain: example.org}}}": "config.user.domain is now config.user.domains, which is a list: in place of domain: " +
			"example.org, write domains: [example.org], and add --set config.user.domain=null",
		"{config: {identity: {way: Auto}}}":             "config.identity.way is now config.identity.discovery, with the same values",
		"{config: {identity: {refusedGIDs: []}}}":       "config.identity.refusedGIDs is now config.identity.deniedGIDs, with the same values",
		"{config: {identity: {tooManyGroups: Refuse}}}": "at '/config/identity/tooManyGroups': value must be one of 'Deny', 'Cut'",
		"{config: {share: {exposeEveryHome: ToThePerson}}}": "at '/config/share/exposeEveryHome': value must be one of 'Never', 'ToTheUser', " +
			"'EvenToRoot'",
		"{config: {identity: {minUid: 500}}}":                  "at '/config/identity': additional properties 'minUid' not allowed",
		"{config: {notebook: {probes: {live: {}}}}}":           "at '/config/notebook/probes': additional properties 'live' not allowed",
		"{config: {notebook: {port: 80000}}}":                  "at '/config/notebook/port': maximum: got 80,000, want 65,535",
		"{config: {notebook: {env: [{name: A, value: 1}]}}}":   "at '/config/notebook/env/0/value': got number, want",
		"{config: {scratch: {sizeLimit: [1]}}}":                "at '/config/scratch/sizeLimit': got array, want",
		"{config: {identity: {ldap: {bind: {method: None}}}}}": "at '/config/identity/ldap/bind/method': value must be one of 'Anonymous'",
		"{share: {homePrefix: hpc}}":                           "at '/share/homePrefix': 'hpc' does not match pattern",
		"{share: {homePrefix: /hpc}}": "with share.homePrefix the directory " +
			"service decides where homes are, and there is none: set identity.ldap.urls or identity.passwdConfigMap",
		"{share: {homePrefix: /hpc}, identity: {share: true, ldap: {urls: ['ldaps://a'], users: {baseDN: b}, ca: c}}}": "with share.homePrefix the " +
			"directory service decides where homes are, but identity.share looks for homes by share.home",
		"{config: {share: {home: home}}}":                    "config.share.home is home, and must be a directory of the share that ends with the user's name",
		"{config: {share: {home: '{user}'}}}":                "config.share.home is {user}, and must be a directory of the share that ends with the user's name",
		"{share: {volumeMountOptions: [iam]}}":               "share.volumeMountOptions needs share.volume",
		"{share: {home: home}}":                              "at '/share/home': 'home' does not match pattern",
		"{share: {home: '{user}'}}":                          "at '/share/home': '{user}' does not match pattern",
		"{share: {home: '/home/{user}'}}":                    "at '/share/home': '/home/{user}' does not match pattern",
		"{share: {home: 'home/{initial}/{initial}/{user}'}}": "at '/share/home': 'home/{initial}/{initial}/{user}' does not match pattern",
		"{share: {home: 'home/{user}', homePrefix: /hpc}}": "share.home and " +
			"share.homePrefix are both set: set only one of them",
		"{share: {directories: [{subPath: a, mountPath: /a}]}}":                     "at '/share/directories/0': missing property 'access'",
		"{share: {directories: [{subPath: a, access: ReadOnly}]}}":                  "at '/share/directories/0': missing property 'mountPath'",
		"{share: {directories: [{subPath: a, mountPath: /a, access: rw}]}}":         "at '/share/directories/0/access': value must be one of 'ReadOnly', 'ReadWrite'",
		"{share: {directories: [{subPath: a, mountPath: a, access: ReadOnly}]}}":    "at '/share/directories/0/mountPath': 'a' does not match pattern",
		"{share: {directories: [{subPath: /a, mountPath: /a, access: ReadOnly}]}}":  "at '/share/directories/0/subPath': '/a' does not match pattern",
		"{share: {directories: [{claim: a, mountPath: /a, access: ReadOnly}]}}":     "at '/share/directories/0': additional properties 'claim' not allowed",
		"{share: {directories: [{claimName: A, mountPath: /a, access: ReadOnly}]}}": "at '/share/directories/0/claimName': 'A' does not match pattern",
		"{share: {directories: [{mountPath: /a, access: ReadOnly}]}}":               "share.directories[0] is the whole share, with every home: name a directory of it as subPath",
		"{share: {directories: [" + list("d", 17) + "]}}":                           "at '/share/directories': maxItems: got 17, want 16",
		"{access: {ownHomes: {prefix: 'oidc:'}}}":                                   "access.ownHomes has a prefix or a suffix and is not enabled",
		"{spawners: [{serviceAccount: hub}]}":                                       "at '/spawners/0': missing property 'namespace'",
		"{share: {hostPaths: [" + list("/p", 33) + "]}}":                            "at '/share/hostPaths': maxItems: got 33, want 32",
		"{share: {csiDrivers: [" + list("d", 33) + "]}}":                            "at '/share/csiDrivers': maxItems: got 33, want 32",
		"{share: {otherNFSServers: [" + list("s", 33) + "]}}":                       "at '/share/otherNFSServers': maxItems: got 33, want 32",
		"{share: {volumeNames: [" + list("v", 33) + "]}}":                           "at '/share/volumeNames': maxItems: got 33, want 32",
		"{access: {controllers: [" + list("c", 33) + "]}}":                          "at '/access/controllers': maxItems: got 33, want 32",
		"{image: {accepted: [" + list("i", 17) + "]}}":                              "at '/image/accepted': maxItems: got 17, want 16",
		"{config: {share: {directories: [" + list("d", 17) + "]}}}":                 "at '/config/share/directories': maxItems: got 17, want 16",
		"{config: {user: {hubComponents: [" + list("c", 17) + "]}}}":                "at '/config/user/hubComponents': maxItems: got 17, want 16",
		"{identity: {ldap: {urls: ['http://a']}}}":                                  "at '/identity/ldap/urls/0': 'http://a' does not match pattern",
		"{identity: {ldap: {preset: openldap}}}":                                    "at '/identity/ldap/preset': value must be one of 'rfc2307', 'rfc2307bis', 'ad'",
		"{identity: {ldap: {urls: ['ldaps://a']}}}":                                 "identity.ldap.urls needs identity.ldap.users.baseDN",
		"{identity: {ldap: {urls: [], users: {baseDN: b, hubName: mail}}}}":         "identity.ldap.users.hubName needs identity.ldap.urls",
		"{identity: {ldap: {urls: ['ldaps://a'], users: {baseDN: b}}}}":             "identity.ldap.ca must have the CA of the servers' certificates",
		"{identity: {ldap: {urls: ['ldap://a'], users: {baseDN: b}, ca: c}}}":       "identity.ldap.urls has ldap://a, which is not encrypted",
		"{identity: {ldap: {passwordSecret: a}}}":                                   "identity.ldap.passwordSecret needs identity.ldap.bindDN",
		"{identity: {ldap: {bindDN: a}}}":                                           "needs identity.ldap.passwordSecret",
		"{identity: {ldap: {bindDN: a, passwordSecret: a, certificateSecret: b}}}": "are both set: the " +
			"webhook binds with only one of them",
		"{podSecurity: restricted}":                                                                   "at '/podSecurity': value must be one of 'baseline', 'off'",
		"{certificates: {source: letsencrypt}}":                                                       "at '/certificates/source': value must be one of 'selfSigned', 'certManager', 'secret'",
		"{certificates: {source: secret}}":                                                            "certificates.source is secret, so certificates.caBundle must have the CA",
		"{certificates: {source: selfSigned, caBundle: '-----BEGIN CERTIFICATE-----'}}":               "certificates.caBundle needs certificates.source: secret, but that is selfSigned",
		"{certificates: {clientNames: [front]}}":                                                      "needs their CA in certificates.clientCA",
		"{networkPolicy: {apiServers: [192.0.2.1]}}":                                                  "at '/networkPolicy/apiServers/0': '192.0.2.1' does not match pattern",
		"{config: {init: {image: x}}}":                                                                "config.init.image cannot be set",
		"{networkPolicy: {metricsFrom: [monitoring]}}":                                                "at '/networkPolicy/metricsFrom/0': got string, want object",
		"{monitoring: {runbookURL: 'wiki'}}":                                                          "at '/monitoring/runbookURL': 'wiki' does not match pattern",
		"{test: {user: 'a b'}}":                                                                       "at '/test/user': 'a b' does not match pattern",
		"{podLabels: {app.kubernetes.io/name: x}}":                                                    "podLabels cannot have app.kubernetes.io/name",
		"{homes: {enabled: true}, share: {homePrefix: /home}, identity: {passwdConfigMap: users}}":    "homes.enabled makes homes where share.home says",
		"{homes: {enabled: true}}":                                                                    "homes.enabled makes the homes of users, and there is no source of identities",
		"{identity: {passwdConfigMap: p}, homes: {enabled: true, namespace: jupyter-user-system}}":    "homes.namespace is jupyter-user-system, where no Pod may run as root",
		"{identity: {passwdConfigMap: p}, homes: {enabled: true, namespace: lab}, namespaces: [lab]}": "homes.namespace is lab, which is among namespaces",
		"{identity: {passwdConfigMap: p}, homes: {enabled: true, namespace: jhub}, spawners: [{namespace: jhub, serviceAccount: hub}]}":       "homes.namespace is jhub, which is a namespace of spawners or access.rights",
		"{identity: {passwdConfigMap: p}, homes: {enabled: true, namespace: lab}, access: {rights: [{namespace: lab, user: a, homes: [a]}]}}": "homes.namespace is lab, which is a namespace of spawners or access.rights",
		"{share: {nfs: {server: nfs.example.com}, otherNFSServers: [nfs.example.com]}}":                                                       "share.otherNFSServers has nfs.example.com, which is share.nfs.server",
		"{identity: {passwdConfigMap: p}, homes: {enabled: true}, onlyNamespaces: [lab]}":                                                     "homes.namespace is jupyter-user-homes, which is not among onlyNamespaces",
		"{homes: {mode: '0077'}}":                                     "at '/homes/mode': '0077' does not match pattern",
		"{homes: {mode: 0700}}":                                       "at '/homes/mode': got number, want string",
		"{homes: {schedule: often}}":                                  "at '/homes/schedule': 'often' does not match pattern",
		"{homes: {skeleton: /etc/skel}}":                              "at '/homes': additional properties 'skeleton' not allowed",
		"{config: {mode: Warn}}":                                      "at '/config': additional properties 'mode' not allowed",
		"{config: {notebooks: {port: 1}}}":                            "at '/config': additional properties 'notebooks' not allowed",
		"{config: {identity: {discovery: atStart}}}":                  "at '/config/identity/discovery': value must be one of 'Auto', 'AtAdmission', 'AtStart'",
		"{config: {identity: {discovery: AtAdmission}}}":              "config.identity.discovery is AtAdmission, and there is no source of identities",
		"{share: {fsGroup: keep}}":                                    "at '/share/fsGroup': value must be one of 'Remove', 'Keep'",
		"{share: {directoryVolumeNames: {scratch: [a]}}}":             "share.directoryVolumeNames has the claim scratch, which no element of share.directories has",
		"{share: {directoryVolumeNames: {scratch: [A_B]}}}":           "at '/share/directoryVolumeNames/scratch/0': 'A_B' does not match pattern",
		"{share: {directoryVolumeNames: {scratch: [a, b, c, d, e]}}}": "at '/share/directoryVolumeNames/scratch': maxItems: got 5, want 4",
		nineClaims: "share.directories has 9 claims besides the share's, and can have at most 8",
	} {
		_, err := h.Template(t.Context(), values)
		require.ErrorContains(t, err, message, values)
	}
	_, err := h.Template(t.Context(), "", "--namespace", "default")
	require.ErrorContains(t, err, "the namespace default cannot be used")
	require.ErrorContains(t, err, "use --namespace "+helm.Namespace)
}

const nineClaims = `{config: {share: {directories: [{claimName: a}, {claimName: b}, {claimName: c}, {claimName: d}, {claimName: e},
	{claimName: f}, {claimName: g}, {claimName: h}, {claimName: i}]}}}`
