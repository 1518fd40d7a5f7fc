package webhook_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// differentValues maps each field of the table in doc.go to an operation that changes this field of an admitted Pod. In
// that Pod /spec/containers/0 is the notebook container, /spec/initContainers/0 the init container, /spec/volumes/0 the
// share and /spec/volumes/1 the scratch volume.
var differentValues = map[string]string{
	"metadata.annotations[jupyter-user.io/user]":                    `replace /metadata/annotations/jupyter-user.io~1user "bob"`,
	"metadata.annotations[jupyter-user.io/discovery]":               `replace /metadata/annotations/jupyter-user.io~1discovery "x"`,
	"metadata.annotations[jupyter-user.io/identity]":                `add /metadata/annotations/jupyter-user.io~1identity "1:1"`,
	"metadata.annotations[jupyter-user.io/home]":                    `add /metadata/annotations/jupyter-user.io~1home "/hpc/home/bob"`,
	"metadata.annotations[jupyter-user.io/config]":                  `replace /metadata/annotations/jupyter-user.io~1config "x"`,
	"metadata.annotations[jupyter-user.io/container]":               `replace /metadata/annotations/jupyter-user.io~1container "x"`,
	"metadata.annotations[jupyter-user.io/inject] but false":        `add /metadata/annotations/jupyter-user.io~1inject "off"`,
	"metadata.annotations[jupyter-user.io/home-in] of no container": `add /metadata/annotations/jupyter-user.io~1home-in "x"`,
	"metadata.annotations[example.com/x]":                           `add /metadata/annotations/example.com~1x "y"`,

	"spec.volumes[share].persistentVolumeClaim.claimName": `replace /spec/volumes/0/persistentVolumeClaim/claimName "mine"`,
	"spec.volumes[share].persistentVolumeClaim.readOnly":  `add /spec/volumes/0/persistentVolumeClaim/readOnly true`,
	"spec.volumes[scratch].emptyDir.sizeLimit":            `replace /spec/volumes/1/emptyDir/sizeLimit "1Gi"`,
	"spec.volumes[scratch].emptyDir.medium":               `add /spec/volumes/1/emptyDir/medium "Memory"`,
	"spec.volumes[another with the share's claim]":        `add /spec/volumes/- {"name":"x","persistentVolumeClaim":{"claimName":"hpc-shared-pvc"}}`,
	"spec.volumes[another]":                               `add /spec/volumes/- {"name":"x","emptyDir":{}}`,
	"spec.securityContext.supplementalGroups":             `add /spec/securityContext/supplementalGroups [27]`,
	"spec.securityContext.supplementalGroupsPolicy":       `replace /spec/securityContext/supplementalGroupsPolicy "Merge"`,
	"spec.securityContext.fsGroup":                        `add /spec/securityContext/fsGroup 100`,
	"spec.securityContext.runAsUser":                      `add /spec/securityContext/runAsUser 7`,

	"spec.hostUsers":                                `add /spec/hostUsers false`,
	"spec.initContainers order":                     `add /spec/initContainers/0 {"name":"earlier","image":"notebook"}`,
	"init.image":                                    `replace /spec/initContainers/0/image "evil"`,
	"init.imagePullPolicy":                          `replace /spec/initContainers/0/imagePullPolicy "Always"`,
	"init.command":                                  `replace /spec/initContainers/0/command ["sh"]`,
	"init.args":                                     `replace /spec/initContainers/0/args/1 "--user=bob"`,
	"init.env":                                      `add /spec/initContainers/0/env [{"name":"LD_PRELOAD","value":"x"}]`,
	"init.envFrom":                                  `add /spec/initContainers/0/envFrom [{"secretRef":{"name":"x"}}]`,
	"init.workingDir":                               `add /spec/initContainers/0/workingDir "/tmp"`,
	"init.restartPolicy":                            `add /spec/initContainers/0/restartPolicy "Always"`,
	"init.resources":                                `replace /spec/initContainers/0/resources {"limits":{"cpu":"1"}}`,
	"init.volumeMounts":                             `add /spec/initContainers/0/volumeMounts/- {"name":"x","mountPath":"/data/hpc/home/alice"}`,
	"init.volumeMounts in /var/run/secrets":         `add /spec/initContainers/0/volumeMounts/- {"name":"x","mountPath":"/var/run/secrets/eks/token"}`,
	"init.volumeDevices":                            `add /spec/initContainers/0/volumeDevices [{"name":"x","devicePath":"/dev/x"}]`,
	"init.lifecycle":                                `add /spec/initContainers/0/lifecycle {}`,
	"init.startupProbe":                             `add /spec/initContainers/0/startupProbe {}`,
	"init.readinessProbe":                           `add /spec/initContainers/0/readinessProbe {}`,
	"init.livenessProbe":                            `add /spec/initContainers/0/livenessProbe {}`,
	"init.stdin":                                    `add /spec/initContainers/0/stdin true`,
	"init.tty":                                      `add /spec/initContainers/0/tty true`,
	"init.terminationMessagePath":                   `replace /spec/initContainers/0/terminationMessagePath "/config/passwd"`,
	"init.terminationMessagePolicy":                 `replace /spec/initContainers/0/terminationMessagePolicy "FallbackToLogsOnError"`,
	"init.securityContext.runAsUser":                `replace /spec/initContainers/0/securityContext/runAsUser 0`,
	"init.securityContext.runAsGroup":               `replace /spec/initContainers/0/securityContext/runAsGroup 0`,
	"init.securityContext.runAsNonRoot":             `replace /spec/initContainers/0/securityContext/runAsNonRoot false`,
	"init.securityContext.readOnlyRootFilesystem":   `replace /spec/initContainers/0/securityContext/readOnlyRootFilesystem false`,
	"init.securityContext.allowPrivilegeEscalation": `replace /spec/initContainers/0/securityContext/allowPrivilegeEscalation true`,
	"init.securityContext.capabilities":             `replace /spec/initContainers/0/securityContext/capabilities {"add":["ALL"]}`,
	"init.securityContext.seccompProfile":           `replace /spec/initContainers/0/securityContext/seccompProfile {"type":"Unconfined"}`,
	"init.securityContext.privileged":               `add /spec/initContainers/0/securityContext/privileged true`,
	"init.securityContext.procMount":                `add /spec/initContainers/0/securityContext/procMount "Unmasked"`,
	"init.securityContext.appArmorProfile":          `add /spec/initContainers/0/securityContext/appArmorProfile {"type":"Localhost","localhostProfile":"p"}`,
	"init.securityContext.appArmorProfile without confinement": `add /spec/initContainers/0/securityContext/appArmorProfile {"type":"Unconfined"}`,
	"init.securityContext.seLinuxOptions":                      `add /spec/initContainers/0/securityContext/seLinuxOptions {"type":"container_t","level":"s0:c1,c2"}`,
	"init.securityContext.seLinuxOptions of no container":      `add /spec/initContainers/0/securityContext/seLinuxOptions {"type":"spc_t"}`,
	"init.securityContext.windowsOptions":                      `add /spec/initContainers/0/securityContext/windowsOptions {"runAsUserName":"x"}`,
	"init.securityContext.windowsOptions of a host process":    `add /spec/initContainers/0/securityContext/windowsOptions {"hostProcess":true}`,

	"notebook.image":                                    `replace /spec/containers/0/image "other"`,
	"notebook.command":                                  `add /spec/containers/0/command ["/config/jupyter-user-init","exec","--user=bob","--home=/home/bob","--scratch=/x","--"]`,
	"notebook.args":                                     `add /spec/containers/0/args ["--debug"]`,
	"notebook.workingDir":                               `replace /spec/containers/0/workingDir "/srv"`,
	"notebook.env[NB_USER]":                             `replace /spec/containers/0/env/0/value "bob"`,
	"notebook.env[NB_UID]":                              `add /spec/containers/0/env/- {"name":"NB_UID","value":"0"}`,
	"notebook.env[NB_GID]":                              `add /spec/containers/0/env/- {"name":"NB_GID","value":"0"}`,
	"notebook.env[HOME]":                                `add /spec/containers/0/env/- {"name":"HOME","value":"/root"}`,
	"notebook.env[USER]":                                `add /spec/containers/0/env/- {"name":"USER","value":"root"}`,
	"notebook.env[LOGNAME]":                             `add /spec/containers/0/env/- {"name":"LOGNAME","value":"root"}`,
	"notebook.env[XDG_CACHE_HOME]":                      `add /spec/containers/0/env/- {"name":"XDG_CACHE_HOME","value":"/tmp/cache"}`,
	"notebook.env[JUPYTER_RUNTIME_DIR]":                 `add /spec/containers/0/env/- {"name":"JUPYTER_RUNTIME_DIR","value":"/scratch/run"}`,
	"notebook.env[JUPYTER_ENABLE_LAB]":                  `add /spec/containers/0/env/- {"name":"JUPYTER_ENABLE_LAB","value":"no"}`,
	"notebook.env[JUPYTER_CONFIG_PATH]":                 `add /spec/containers/0/env/- {"name":"JUPYTER_CONFIG_PATH","value":"/config:/mine"}`,
	"notebook.env[JUPYTERHUB_ROOT_DIR]":                 `add /spec/containers/0/env/- {"name":"JUPYTERHUB_ROOT_DIR","value":"/srv/courses"}`,
	"notebook.ports":                                    `replace /spec/containers/0/ports [{"containerPort":1}]`,
	"notebook.resources":                                `replace /spec/containers/0/resources {"limits":{"cpu":"1","memory":"1Gi"}}`,
	"notebook.volumeMounts of the share":                `add /spec/containers/0/volumeMounts/- {"name":"hpc-shared-volume","mountPath":"/all"}`,
	"notebook.volumeMounts of the scratch volume":       `add /spec/containers/0/volumeMounts/- {"name":"uid-gid-config","mountPath":"/w"}`,
	"notebook.volumeDevices at a path of ours":          `add /spec/containers/0/volumeDevices [{"name":"d","devicePath":"/home/alice/disk"}]`,
	"notebook.volumeDevices elsewhere":                  `add /spec/containers/0/volumeDevices [{"name":"d","devicePath":"/dev/xvda"}]`,
	"notebook.volumeMounts at a path of ours":           `add /spec/containers/0/volumeMounts/- {"name":"x","mountPath":"/config/uid-gid.env"}`,
	"notebook.volumeMounts elsewhere":                   `add /spec/containers/0/volumeMounts/- {"name":"x","mountPath":"/scratch"}`,
	"notebook.volumeDevices of the share":               `add /spec/containers/0/volumeDevices [{"name":"hpc-shared-volume","devicePath":"/dev/x"}]`,
	"notebook.env from the scratch volume":              `add /spec/containers/0/env/- {"name":"A","valueFrom":{"fileKeyRef":{"volumeName":"uid-gid-config","path":"passwd","key":"a"}}}`,
	"another container's env from the scratch volume":   `add /spec/containers/- {"name":"b","env":[{"name":"A","valueFrom":{"fileKeyRef":{"volumeName":"uid-gid-config","path":"passwd","key":"a"}}}]}`,
	"another container's securityContext":               `add /spec/containers/- {"name":"b","securityContext":{"runAsUser":7,"privileged":true}}`,
	"another container's volumeMounts of the share":     `add /spec/containers/- {"name":"b","volumeMounts":[{"name":"hpc-shared-volume","mountPath":"/home/alice","subPath":"home/alice"}]}`,
	"notebook.startupProbe":                             `replace /spec/containers/0/startupProbe {"tcpSocket":{"port":1}}`,
	"notebook.readinessProbe":                           `replace /spec/containers/0/readinessProbe {"tcpSocket":{"port":1}}`,
	"notebook.livenessProbe":                            `replace /spec/containers/0/livenessProbe {"tcpSocket":{"port":1}}`,
	"notebook.startupProbe.exec.command":                `replace /spec/containers/0/startupProbe {"exec":{"command":["x"]}}`,
	"notebook.readinessProbe.exec.command":              `replace /spec/containers/0/readinessProbe {"exec":{"command":["x"]}}`,
	"notebook.lifecycle.postStart.exec.command":         `add /spec/containers/0/lifecycle {"postStart":{"exec":{"command":["x"]}}}`,
	"notebook.terminationMessagePath at a path of ours": `add /spec/containers/0/terminationMessagePath "/etc/passwd"`,
	"notebook.terminationMessagePath elsewhere":         `add /spec/containers/0/terminationMessagePath "/tmp/last-words"`,
	"spec.imagePullSecrets":                             `add /spec/imagePullSecrets [{"name":"x"}]`,
	"init.restartPolicyRules":                           `add /spec/initContainers/0/restartPolicyRules [{"action":"Restart"}]`,
	"notebook.livenessProbe.exec.command":               `replace /spec/containers/0/livenessProbe {"exec":{"command":["x"]}}`,
	"notebook.lifecycle.preStop.exec.command":           `add /spec/containers/0/lifecycle {"preStop":{"exec":{"command":["x"]}}}`,

	"notebook.securityContext.runAsUser":                             `replace /spec/containers/0/securityContext/runAsUser 1`,
	"notebook.securityContext.runAsGroup":                            `replace /spec/containers/0/securityContext/runAsGroup 1`,
	"notebook.securityContext.runAsNonRoot":                          `remove /spec/containers/0/securityContext/runAsNonRoot null`,
	"notebook.securityContext.allowPrivilegeEscalation":              `replace /spec/containers/0/securityContext/allowPrivilegeEscalation true`,
	"notebook.securityContext.capabilities":                          `replace /spec/containers/0/securityContext/capabilities {"add":["ALL"]}`,
	"notebook.securityContext.seccompProfile":                        `replace /spec/containers/0/securityContext/seccompProfile {"type":"Unconfined"}`,
	"notebook.securityContext.seccompProfile of a localhost profile": `replace /spec/containers/0/securityContext/seccompProfile {"type":"Localhost","localhostProfile":"p.json"}`,
	"notebook.securityContext.privileged":                            `add /spec/containers/0/securityContext/privileged true`,
	"notebook.securityContext.procMount":                             `add /spec/containers/0/securityContext/procMount "Unmasked"`,
	"notebook.securityContext.readOnlyRootFilesystem":                `add /spec/containers/0/securityContext/readOnlyRootFilesystem true`,
}

func TestFieldOwnership(t *testing.T) {
	id := identity.New(5001, 6001, nil)
	cases := []golden.Case{
		{Name: "at start", Config: config.Default()},
		{Name: "at admission", Config: config.Default(), Identity: &id},
	}
	rows := readTable(t)
	for field := range differentValues {
		assert.Contains(t, rows, field, "a field that the table does not have")
	}
	for _, c := range cases {
		for field, row := range rows {
			t.Run(c.Name+"/"+field, func(t *testing.T) {
				require.Contains(t, differentValues, field, "this row needs a different value")
				if row.owner == "ours at start" && c.Identity != nil {
					row.result = "kept"
					if field == "notebook.command" {
						row.result = "replaced" // the different value is our wrapper (inject/start.go), which is removed
					}
				}
				testRow(t, c, row, differentValues[field])
			})
		}
	}
}

// TestFieldOwnershipInExplanations tests that inject --explain and the table in doc.go agree on which changed fields are
// ours. It uses the golden Pods with the default configuration.
func TestFieldOwnershipInExplanations(t *testing.T) {
	cases, err := golden.Cases()
	require.NoError(t, err)
	rows := readTable(t)
	for _, c := range cases {
		// Other configurations can name the volumes differently, and rowOf knows only the default names.
		if c.Config.Generation() != config.Default().Generation() {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			d := c.Decide(c.JSON)
			for _, change := range d.Changes() {
				field := rowOf(change)
				require.Contains(t, rows, field, "%s of the pod", change.Field())
				switch owner := rows[field].owner; {
				case change.Action == inject.Kept, change.Action == inject.LeftOut, owner == "ours once admitted":
					assert.False(t, change.Ours, change.Field())
				case owner == "ours at start" && d.Discovery == config.DiscoveryAtAdmission:
				default:
					assert.Equal(t, owner != "the pod's", change.Ours, change.Field())
				}
				if change.Action == inject.Kept {
					assert.NotEqual(t, "ours", rows[field].owner, change.Field())
				}
			}
		})
	}
}

// rowOf returns the field of a change as the table in doc.go writes it.
func rowOf(c inject.Change) string {
	field := c.Field()
	switch {
	case field == "spec.volumes[hpc-shared-volume]":
		return "spec.volumes[share].persistentVolumeClaim.claimName"
	case strings.HasPrefix(field, "spec.volumes["):
		_, key, found := strings.Cut(field, "].")
		if !found {
			key = "emptyDir.sizeLimit"
		}
		return "spec.volumes[scratch]." + key
	case c.Object == "spec.initContainers":
		return "spec.initContainers order"
	case c.Object == "notebook.volumeMounts":
		return "notebook.volumeMounts of the share"
	case c.Object == "notebook.ports", c.Object == "notebook.resources", c.Object == "init.resources":
		return c.Object
	case c.Action == inject.Kept && c.Key == "seccompProfile":
		return field + " of a localhost profile"
	case c.Action == inject.Removed && c.Object == "init.securityContext":
		return field + map[string]string{
			"appArmorProfile": " without confinement",
			"seLinuxOptions":  " of no container",
			"windowsOptions":  " of a host process",
		}[c.Key]
	}
	return field
}

type row struct{ owner, result string }

// readTable returns the rows of the table in doc.go by their fields.
func readTable(t *testing.T) map[string]row {
	t.Helper()
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	rows := map[string]row{}
	for line := range strings.Lines(string(source)) {
		text, ok := strings.CutPrefix(line, "//\t")
		if !ok {
			continue
		}
		cells := strings.Split(text, "|")
		require.Len(t, cells, 3, line)
		field := strings.TrimSpace(cells[0])
		require.NotContains(t, rows, field)
		rows[field] = row{strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])}
	}
	delete(rows, "field")
	require.NotEmpty(t, rows)
	return rows
}

const labelled = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"nb","labels":{"jupyter-user":"alice"}},` +
	`"spec":{"containers":[{"name":"nb","image":"notebook"}]}}`

func testRow(t *testing.T, c golden.Case, r row, operation string) {
	t.Helper()
	admitted := admit(t, c, []byte(labelled))
	changed, err := apply(admitted, operation)
	require.NoError(t, err, operation)
	require.NotEqual(t, string(admitted), string(changed))
	d, verified := c.Decide(changed), c.Verify(changed)
	switch r.result {
	case "denied":
		assert.NotEmpty(t, d.Denials)
		assert.NotEmpty(t, verified.Denials)
	case "replaced", "removed":
		assert.NotEmpty(t, verified.Denials, "the verifier denies it")
		require.Empty(t, d.Denials)
		after, err := pod.Apply(changed, d.Operations)
		require.NoError(t, err)
		assert.Empty(t, c.Verify(after).Denials)
		assert.False(t, isIn(after, operation), "%s is still there", operation)
	case "kept":
		assert.Empty(t, verified.Denials, "the verifier does not check it")
		assert.Empty(t, d.Denials)
		assert.Empty(t, d.Operations)
	default:
		t.Fatalf("%q is none of replaced, removed, denied, kept", r.result)
	}
}

// isIn reports whether the Pod has the value that the operation sets: the operation, applied again, then changes nothing.
// For an operation that cannot be checked in this way, such as appending to a list, isIn returns false.
func isIn(pod []byte, operation string) bool {
	if strings.HasPrefix(operation, "remove") || strings.Contains(operation, "/- ") ||
		strings.Contains(operation, "/lifecycle ") || strings.Contains(operation, "Probe {\"exec") ||
		strings.HasPrefix(operation, "add /spec/initContainers/0 ") {
		return false
	}
	again, err := apply(pod, operation)
	return err == nil && jsonpatch.Equal(pod, again)
}

func admit(t *testing.T, c golden.Case, document []byte) []byte {
	t.Helper()
	d := c.Decide(document)
	require.Empty(t, d.Denials)
	admitted, err := pod.Apply(document, d.Operations)
	require.NoError(t, err)
	return admitted
}

// apply applies one operation, written as: op pointer value.
func apply(pod []byte, operation string) ([]byte, error) {
	parts := strings.SplitN(operation, " ", 3)
	op, err := json.Marshal([]map[string]any{{"op": parts[0], "path": parts[1], "value": json.RawMessage(parts[2])}})
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(op)
	if err != nil {
		return nil, err
	}
	return patch.Apply(pod)
}
