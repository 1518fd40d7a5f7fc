package integration

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
)

// auditPolicy logs requests for Pods at the level Metadata, which includes the audit annotations.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, resources: [{group: "", resources: [pods]}]}
`

// TestAuditAnnotations tests that the API server's audit log shows which requester ran a notebook as which user.
func TestAuditAnnotations(t *testing.T) {
	folder := t.TempDir()
	policy, log := filepath.Join(folder, "policy.yaml"), filepath.Join(folder, "audit.log")
	require.NoError(t, os.WriteFile(policy, []byte(auditPolicy), 0o600))
	t.Parallel()
	c := startWith(t, controlplane.Options{Flags: map[string][]string{
		"audit-policy-file": {policy}, "audit-log-path": {log},
	}})
	c.namespace(t, "audit", "baseline")
	for name, user := range map[string]string{"known": "alice", "found": "qiang.guo03", "reserved": "root", "another": "bob"} {
		c.kubectl(t, "run", name, "-n", "audit", "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user="+user)
	}
	c.kubectl(t, "run", "plain", "-n", "audit", "--image=quay.io/jupyter/minimal-notebook")

	annotations := func(name string) map[string]string { return auditOf(t, log, "audit", name) }
	const mutatingKeys, accessKeys = "pods.jupyter-user.io/", "access.jupyter-user.io/"
	const verifierKeys = "verified-pods.jupyter-user.io/"

	known := annotations("known")
	assert.Equal(t, "alice", known[mutatingKeys+"user"])
	assert.Equal(t, "5001:6001:7001", known[mutatingKeys+"identity"])
	assert.Equal(t, "AtAdmission", known[mutatingKeys+"discovery"])
	assert.Equal(t, "carol", known[mutatingKeys+"requester"])
	assert.NotContains(t, known, mutatingKeys+"reason")
	assert.Equal(t, "alice", known[accessKeys+"user"])
	assert.Equal(t, "carol", known[accessKeys+"requester"])
	assert.Equal(t, "use or run-as", known[accessKeys+"by"])
	assert.Equal(t, "5001:6001:7001", known[verifierKeys+"identity"])
	assert.Equal(t, "alice", known[verifierKeys+"user"])

	found := annotations("found")
	assert.Equal(t, "qiang.guo03", found[mutatingKeys+"user"])
	assert.Equal(t, "AtStart", found[mutatingKeys+"discovery"])
	assert.NotContains(t, found, mutatingKeys+"identity", "the identity is not known at admission")

	reserved := annotations("reserved")
	assert.Equal(t, "NameReserved", reserved[mutatingKeys+"reason"])
	assert.Equal(t, "carol", reserved[mutatingKeys+"requester"])

	another := annotations("another")
	assert.Equal(t, "bob", another[mutatingKeys+"user"], "the audit log has the user of a denied request too")
	assert.Equal(t, "carol", another[accessKeys+"requester"])
	assert.Contains(t, another["message"], "NoAccess: ")

	for key := range annotations("plain") {
		assert.NotContains(t, key, "jupyter-user.io", "a Pod that is no notebook has no audit annotations of ours")
	}
}

// auditOf returns the audit annotations of a Pod's creation, and the response's message under the key "message". The API
// server writes the log before it sends the response, so auditOf does not wait for the entry.
func auditOf(t *testing.T, log, namespace, name string) map[string]string {
	t.Helper()
	file, err := os.Open(log)
	require.NoError(t, err)
	defer func() { assert.NoError(t, file.Close()) }()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb, Stage    string
			ObjectRef      struct{ Namespace, Name string }
			Annotations    map[string]string
			ResponseStatus struct{ Message string }
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &event))
		if event.Verb == "create" && event.ObjectRef.Namespace == namespace && event.ObjectRef.Name == name {
			event.Annotations["message"] = event.ResponseStatus.Message
			return event.Annotations
		}
	}
	require.NoError(t, lines.Err())
	require.Fail(t, "the creation is not in the audit log", "%s/%s", namespace, name)
	return nil
}
