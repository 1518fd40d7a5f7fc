package check

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// TestCheckNamesAreStable tests the names of checks and statuses, because admins have them in scripts.
func TestCheckNamesAreStable(t *testing.T) {
	var names []string
	for _, c := range checkTypes {
		names = append(names, c.id)
	}
	assert.Equal(t, []string{"certificate", "mode", "webhooks", "reachable", "dry-run", "policies", "parameters", "claims", "pod-security",
		"hub-pods", "share-pods", "rbac", "volumes", "egress", "groups", "nodes", "versions"}, names)
	assert.Equal(t, []Status{"failed", "unknown", "warning", "ok"}, []Status{Failed, Unknown, Warning, OK})
}

// TestEveryInputIsRead tests that each input that a check names is read. Otherwise the check would run without the input,
// and would not report it as unknown.
func TestEveryInputIsRead(t *testing.T) {
	readers := (&state{}).readers(t.Context())
	for _, c := range checkTypes {
		for _, need := range c.inputs {
			if need != parameters && need != configuration {
				assert.Contains(t, readers, need, c.id)
			}
		}
	}
}

func TestJudge(t *testing.T) {
	assert.NoError(t, Judge([]Finding{{Status: OK}, {Status: Warning}}))
	assert.ErrorIs(t, Judge([]Finding{{Status: Unknown}, {Status: Failed}}), ErrFailed)
	err := Judge([]Finding{{Status: OK}, {Status: Unknown}})
	require.Error(t, err)
	assert.NotErrorIs(t, err, ErrFailed)
	assert.EqualError(t, err, "nothing failed, but the result of 1 is unknown")
}

// TestUnreadableInput tests that inputs with the same error give one finding, which is Unknown.
func TestUnreadableInput(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", errors.New(`User "x" cannot list nodes`))
	s := &state{missing: map[string]error{nodes: forbidden, volumes: errors.New("it\nhangs"), parameters: forbidden}}
	found := s.unreadable([]string{nodes, parameters, volumes, namespaces})
	require.Len(t, found, 2)
	assert.Equal(t, Unknown, found[0].Status)
	assert.Contains(t, found[0].Message, "without the right to read nodes: ")
	assert.Contains(t, found[0].Message, `User "x" cannot list nodes`)
	assert.Contains(t, found[1].Message, "because persistentvolumes could not be read: it; hangs")
	assert.Empty(t, s.unreadable([]string{namespaces}))
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, writeTable(&out, []Finding{
		{"nodes", OK, "", "fine"},
		{"rbac", Warning, "RoleBinding lab/hub", "may be any user"},
		{"egress", Failed, "namespace lab", strings.Repeat("word ", 30)},
		{"volumes", Unknown, "", "silent"},
	}))
	line := strings.TrimSuffix(strings.Repeat("word ", 16), " ")
	assert.Equal(t, "STATUS   CHECK    FINDING\n"+
		"failed   egress   namespace lab: "+line+"\n"+
		"                  "+strings.TrimSuffix(strings.Repeat("word ", 14), " ")+"\n"+
		"unknown  volumes  silent\n"+
		"warning  rbac     RoleBinding lab/hub: may be any user\n"+
		"ok       nodes    fine\n\n"+
		"1 failed, 1 unknown, 1 warning, 1 ok\n", out.String())
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, writeJSON(&out, []Finding{{"nodes", OK, "", "a < b"}}))
	assert.JSONEq(t, `[{"check": "nodes", "status": "ok", "message": "a < b"}]`, out.String())
	assert.Contains(t, out.String(), "a < b")
	out.Reset()
	require.NoError(t, writeAccessJSON(&out, AccessReport{User: "alice", Namespace: "lab", Message: "no"}))
	assert.JSONEq(t, `{"user": "alice", "namespace": "lab", "may": false, "rights": [], "message": "no"}`, out.String())
}

// TestPlainEscapes tests that control characters and characters outside ASCII are escaped: an attacker can choose names in
// a cluster.
func TestPlainEscapes(t *testing.T) {
	for evil, shown := range map[string]string{
		"plain 'text' \"here\"": "plain 'text' \"here\"",
		"\x1b[2J":               `\x1b[2J`,
		"a\nb":                  `a\nb`,
		"\u202egnp":             `\u202egnp`,
		"а":                     `\u0430`,
		"\u009b":                `\u009b`,
		"\xff":                  `\ufffd`,
	} {
		f := Finding{Where: evil, Message: evil}.plain()
		assert.Equal(t, shown, f.Where)
		assert.Equal(t, shown, f.Message)
	}
	assert.LessOrEqual(t, len(plain(strings.Repeat("x", 1<<20))), maxPrinted+3)
}

func TestFirstFewAndCount(t *testing.T) {
	assert.Equal(t, "a, b", firstFew([]string{"a", "b"}))
	assert.Equal(t, "a, b, c, d, e and 2 more", firstFew([]string{"a", "b", "c", "d", "e", "f", "g"}))
	assert.Equal(t, "1 policy, 2 policies, 2 nodes", count(1, "policy")+", "+count(2, "policy")+", "+count(2, "node"))
}
