package webhook_test

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/deploy"
	"jupyter-user.io/jupyter-user-webhook/test/golden"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// setting is one field and value from a row of the table in deploy/docs/pods.md, with the results that the row has for each
// discovery.
type setting struct {
	field       string
	value       any
	atAdmission string
	atStart     string
	// userNamespaces reports whether the row is for a configuration that allows user namespaces.
	userNamespaces bool
}

func TestSecuritySettings(t *testing.T) {
	for _, s := range readSettings(t) {
		for discovery, want := range map[string]string{"at admission": s.atAdmission, "at start": s.atStart} {
			value, err := json.Marshal(s.value)
			require.NoError(t, err)
			t.Run(strings.Join([]string{discovery, s.field, string(value), want}, "/"), func(t *testing.T) {
				c := golden.Case{Config: config.Default()}
				if discovery == "at admission" {
					id := identity.New(5001, 6001, []int64{7001, 7002})
					c.Identity = &id
				}
				c.Config.Share.AllowUserNamespaces = s.userNamespaces
				testSetting(t, c, s, want)
			})
		}
	}
}

// TestSecuritySettingsAreComplete tests that the table has each field of a Pod's and of a container's security context,
// and some other fields of the Pod's spec. It fails if a newer version of k8s.io/api adds a field to a security context.
func TestSecuritySettingsAreComplete(t *testing.T) {
	inTable := map[string]bool{}
	for _, s := range readSettings(t) {
		inTable[s.field] = true
	}
	for prefix, context := range map[string]reflect.Type{
		"spec.securityContext.":     reflect.TypeFor[corev1.PodSecurityContext](),
		"notebook.securityContext.": reflect.TypeFor[corev1.SecurityContext](),
	} {
		for _, key := range jsonNames(context) {
			assert.True(t, inTable[prefix+key], "%s%s is not in the table", prefix, key)
		}
	}
	for _, field := range []string{"spec.hostUsers", "spec.hostNetwork", "spec.hostPID", "spec.hostIPC", "spec.shareProcessNamespace"} {
		assert.True(t, inTable[field], "%s is not in the table", field)
	}
}

// TestViewIsComplete tests that the planner reads every field of the mounts, volumes and capabilities that the webhook adds.
// The Pod can have such an object already, with more fields, and a field that the planner does not read would stay. The test
// fails if a newer version of k8s.io/api adds a field.
func TestViewIsComplete(t *testing.T) {
	for _, c := range []struct {
		api, view reflect.Type
		// harmless are fields that may stay as the Pod has them.
		harmless []string
	}{
		// The mount options noexec, nodev and nosuid only restrict the mount. (Alpha in Kubernetes 1.37)
		{reflect.TypeFor[corev1.VolumeMount](), reflect.TypeFor[pod.Mount](), []string{"bindMountOptions"}},
		// Only the init container mounts the scratch volume writable, whatever the mode of its directory. (Alpha in 1.37)
		{reflect.TypeFor[corev1.EmptyDirVolumeSource](), reflect.TypeFor[pod.EmptyDir](), []string{"mode"}},
		{reflect.TypeFor[corev1.PersistentVolumeClaimVolumeSource](), reflect.TypeFor[pod.Claim](), nil},
		{reflect.TypeFor[corev1.Capabilities](), reflect.TypeFor[pod.Capabilities](), nil},
	} {
		assert.Subset(t, append(jsonNames(c.view), c.harmless...), jsonNames(c.api), c.api.Name())
	}
}

func jsonNames(of reflect.Type) (names []string) {
	for f := range of.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// quoted matches a field and its value as the table writes them: in backquotes, with a colon between them.
var quoted = regexp.MustCompile("`([^`]+?): ([^`]+)`")

func readSettings(t *testing.T) (all []setting) {
	t.Helper()
	page, err := os.ReadFile("../deploy/docs/pods.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(page), "| what the Pod sets |")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n\n")
	for _, line := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(line, "|")
		require.Len(t, cells, 6, line)
		s := setting{atAdmission: strings.TrimSpace(cells[2]), atStart: strings.TrimSpace(cells[3])}
		s.userNamespaces = strings.Contains(cells[1], "`config.share.allowUserNamespaces: true`")
		for _, match := range quoted.FindAllStringSubmatch(cells[1], -1) {
			if strings.HasPrefix(match[1], "config.") {
				continue
			}
			s.field = match[1]
			require.NoError(t, yaml.Unmarshal([]byte(match[2]), &s.value), match[2])
			all = append(all, s)
			s.value = nil
		}
	}
	require.NotEmpty(t, all)
	return all
}

// withSetting returns a Pod in which the field of s is set. The Pod has a notebook container, a second container and a
// volume.
func withSetting(t *testing.T, s setting) []byte {
	t.Helper()
	notebook, other := map[string]any{"name": "nb", "image": "notebook"}, map[string]any{"name": "other", "image": "y"}
	pod := map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": "nb", "labels": map[string]any{"jupyter-user": "alice"}},
		"spec": map[string]any{
			"containers": []any{notebook, other},
			"volumes":    []any{map[string]any{"name": "own", "persistentVolumeClaim": map[string]any{"claimName": "own"}}},
		},
	}
	path := strings.Split(s.field, ".")
	object := map[string]map[string]any{"spec": pod["spec"].(map[string]any), "notebook": notebook, "other": other}[path[0]]
	require.NotNil(t, object, s.field)
	for _, key := range path[1 : len(path)-1] {
		child := map[string]any{}
		object[key], object = child, child
	}
	object[path[len(path)-1]] = s.value
	raw, err := json.Marshal(pod)
	require.NoError(t, err)
	return raw
}

func valueIn(t *testing.T, raw []byte, field string) (value any, exists bool) {
	t.Helper()
	var pod map[string]any
	require.NoError(t, json.Unmarshal(raw, &pod))
	spec := pod["spec"].(map[string]any)
	containers := spec["containers"].([]any)
	path := strings.Split(field, ".")
	value = map[string]any{"spec": spec, "notebook": containers[0], "other": containers[1]}[path[0]]
	for _, key := range path[1:] {
		object, _ := value.(map[string]any)
		if value, exists = object[key]; !exists {
			return nil, false
		}
	}
	return value, true
}

func testSetting(t *testing.T, c golden.Case, s setting, want string) {
	t.Helper()
	raw := withSetting(t, s)
	d := c.Decide(raw)
	if reason, denied := strings.CutPrefix(want, "denied: "); denied {
		require.NotEmpty(t, d.Denials)
		for _, denied := range d.Denials {
			assert.Equal(t, denial.Reason(strings.Trim(reason, "`")), denied.Reason)
			assert.True(t, strings.HasPrefix(denied.Field, s.field), denied.Field)
		}
		return
	}
	require.Empty(t, d.Denials)
	admitted, err := pod.Apply(raw, d.Operations)
	require.NoError(t, err)
	assert.Empty(t, c.Verify(admitted).Denials, "the verifier admits it")

	result, warned := strings.CutSuffix(want, ", warned")
	assert.Equal(t, warned, len(d.Warnings) > 0, "%v", d.Warnings)
	value, exists := valueIn(t, admitted, s.field)
	if reason, policy := strings.CutPrefix(result, "a policy denies: "); policy {
		assertInPolicy(t, s.field, strings.Trim(reason, "`"))
		result = "the Pod's: kept"
	}
	switch result {
	case "the Pod's: kept":
		assert.Equal(t, s.value, value)
	case "ours: the same":
		assert.Equal(t, s.value, value)
		opposite := s
		opposite.value = !s.value.(bool)
		assert.Contains(t, ourFields(c.Decide(withSetting(t, opposite)).Changes(), inject.Replaced), s.field)
	case "ours: removed":
		assert.False(t, exists)
		assert.Contains(t, ourFields(d.Changes(), inject.Removed), s.field)
	case "ours: replaced":
		assert.True(t, exists)
		assert.NotEqual(t, s.value, value)
		assert.Contains(t, ourFields(d.Changes(), inject.Replaced), s.field)
	default:
		t.Fatalf("the table says %q", want)
	}
}

// ourFields returns the fields that the webhook enforces (Change.Ours) and that it changed by the given action.
func ourFields(changes []inject.Change, action inject.Action) (fields []string) {
	for _, change := range changes {
		if change.Ours && change.Action == action {
			fields = append(fields, change.Field())
		}
	}
	return fields
}

// assertInPolicy asserts that the policy in 63-policy-node.yaml has a rule with the given reason, and that this rule
// reads the field. test/integration (attacks_access_test.go) tests on a real API server that the rule denies.
func assertInPolicy(t *testing.T, field, reason string) {
	t.Helper()
	policy, err := deploy.Read("63-policy-node.yaml")
	require.NoError(t, err)
	for rule := range strings.SplitSeq(policy, "- expression:") {
		if strings.Contains(rule, reason+":") {
			assert.Contains(t, rule, "object.spec.?"+strings.TrimPrefix(field, "spec.")+".orValue(false)")
			return
		}
	}
	t.Errorf("no rule of the policy has the reason %s", reason)
}
