package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

func TestDefaultsAreValid(t *testing.T) {
	assert.Empty(t, config.Default().Validate())
}

func TestValidateZeroConfig(t *testing.T) {
	var paths []string
	for _, e := range new(config.Config).Validate() {
		paths = append(paths, e.Field)
	}
	assert.ElementsMatch(t, []string{
		"apiVersion", "kind", "mode", "user.unmapped", "user.maxLength", "share.claimName", "share.volumeName", "share.mountPath",
		"share.home", "share.exposeEveryHome", "share.fsGroup", "scratch.volumeName", "scratch.volumeName", "scratch.mountPath", "scratch.sizeLimit",
		"identity.discovery", "identity.minUID", "identity.minGID", "identity.tooManyGroups",
		"identity.ldap.preset", "identity.ldap.bind.method", "identity.ldap.waitMilliseconds", "identity.ldap.freshSeconds",
		"identity.ldap.freshMissingSeconds", "identity.ldap.staleSeconds", "init.image", "notebook.homes", "notebook.port",
		"notebook.probes.startup.periodSeconds", "notebook.probes.startup.timeoutSeconds",
		"notebook.probes.startup.failureThreshold", "notebook.probes.readiness.periodSeconds",
		"notebook.probes.readiness.timeoutSeconds", "notebook.probes.readiness.failureThreshold",
		"notebook.probes.liveness.periodSeconds", "notebook.probes.liveness.timeoutSeconds",
		"notebook.probes.liveness.failureThreshold",
	}, paths)
}

// TestValidateUnusualConfigs tests unusual values that are valid. The files of testdata/invalid have invalid values.
func TestValidateUnusualConfigs(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0123456789abcdef", 4)
	for name, body := range map[string]string{
		"one-label domain":                          "user: {domains: [corp]}",
		"the whole share":                           "share: {exposeEveryHome: EvenToRoot}",
		"whole share and read-only":                 "share: {exposeEveryHome: ToTheUser, directories: [{subPath: a, mountPath: /a, access: ReadOnly}]}",
		"whole share at start":                      "share: {exposeEveryHome: EvenToRoot}\nidentity: {discovery: AtStart}",
		"homes further down":                        "share: {home: 'users/by.name/{user}'}",
		"homes by initial":                          "share: {home: 'home/{initial}/{user}'}",
		"initial in the root":                       "share: {home: '{initial}/{user}'}",
		"initial above a directory":                 "share: {home: '{initial}/home/{user}'}",
		"directory next to initials":                "share: {home: 'home/{initial}/{user}', directories: [{subPath: home/shared, mountPath: /data/hpc/home/shared, access: ReadOnly}]}",
		"directory next to initials in the root":    "share: {home: '{initial}/{user}', directories: [{subPath: data, mountPath: /data/hpc/data, access: ReadOnly}]}",
		"directory with a longer name than homes":   "share: {directories: [{subPath: home2, mountPath: /data/hpc/home2, access: ReadOnly}]}",
		"names with two dots":                       "share: {home: 'a..b/{user}', mountPath: /data/..hpc}",
		"read-only next to the homes":               "share: {directories: [{subPath: data/sets, mountPath: /data/hpc/sets, access: ReadOnly}]}",
		"two directories":                           "share: {directories: [{subPath: a, mountPath: /a, access: ReadWrite}, {subPath: ab, mountPath: /ab, access: ReadOnly}]}",
		"share path /homes":                         "share: {mountPath: /homes}",
		"homes path /etcetera":                      "notebook: {homes: /etcetera}",
		"lowest floor":                              "identity: {minUID: 1, minGID: 1}",
		"highest floor":                             "identity: {minUID: 2147483647, minGID: 2147483647}",
		"GID of root denied":                        "identity: {deniedGIDs: [0]}",
		"no supplementary groups":                   "identity: {maxGroups: 0}",
		"maximum of groups":                         "identity: {maxGroups: 65536, tooManyGroups: Cut}",
		"image by digest":                           "init: {image: registry.example/jupyter-user-webhook" + digest + "}",
		"latest with a digest":                      "init: {image: 'registry.example:5000/a/b__c:latest" + digest + "'}",
		"image of an IPv6 registry":                 "init: {image: '[2001:db8::1]:5000/a:v1'}",
		"no resources":                              "init: {resources: {requests: {}, limits: {}}}",
		"limits without requests":                   "notebook: {resources: {requests: {}, limits: {nvidia.com/gpu: 1}}}",
		"huge pages":                                "init: {resources: {requests: {hugepages-2Mi: 4Mi}, limits: {hugepages-2Mi: 4Mi}}}",
		"no container names":                        "notebook: {containerNames: []}",
		"unusual variables":                         "notebook: {env: [{name: A.b-C, value: '$(B) ünïcode'}, {name: EMPTY}]}",
		"probes off":                                "notebook: {probes: {enabled: false}}",
		"start without entrypoint":                  "notebook: {starts: [{image: '*', command: [jupyter, lab, '']}]}",
		"users' own directories":                    "share: {directories: [{subPath: 'scratch/{user}', mountPath: '/scratch/{user}', access: ReadWrite}, {subPath: scratch2, mountPath: /scratch2, access: ReadWrite}]}",
		"users' own directories on a further claim": "share: {directories: [{claimName: scratch, subPath: 'home/{user}', mountPath: /data/hpc/scratch, access: ReadWrite}]}",
		"users' own directories next to the homes":  "share: {home: 'home/{initial}/{user}', directories: [{subPath: 'home/all/{user}', mountPath: '/data/hpc/home/all/{user}', access: ReadWrite}]}",
		"snapshot in a name":                        "share: {directories: [{subPath: my.snapshots, mountPath: /a, access: ReadOnly}]}",
	} {
		t.Run(name, func(t *testing.T) {
			assert.Empty(t, parse(t, body+"\n").Validate())
		})
	}
}

func TestValidatePathsExist(t *testing.T) {
	known := map[string]bool{}
	for _, key := range keysOfType(reflect.TypeFor[config.Config](), "") {
		known[strings.TrimPrefix(key, ".")] = true
	}
	for _, e := range new(config.Config).Validate() {
		assert.True(t, known[e.Field], e.Field)
	}
}

func TestValidateHidesSecrets(t *testing.T) {
	c := config.Default()
	c.Notebook.Env = []config.EnvVar{{Name: "JUPYTER_TOKEN", Value: "hunter2"}, {Name: "=", Value: "hunter2\x00"}}
	errs := c.Validate()
	require.Len(t, errs, 3)
	assert.NotContains(t, errs.ToAggregate().Error(), "hunter2")
	assert.Equal(t, field.ErrorTypeForbidden, errs[0].Type)
}
