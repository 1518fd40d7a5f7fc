package server_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// FuzzReview tests any body: the response follows the protocol, the log has one line, there is no internal error, and a
// denied review has no patch.
func FuzzReview(f *testing.F) {
	for _, seed := range []string{
		review(notebook), review(document("", oneContainer)), "null", "[]", "", "{}", "{", notebook, document("", oneContainer),
		strings.Replace(review(notebook), "CREATE", "DELETE", 1), reviewOf("CREATE", "binding", `{"kind":"Binding"}`, `{}`),
		document(forQiang+`,"annotations":{"hub.jupyter.org/username":"x","jupyter-user.io/probes":"on"}`, oneContainer),
		document(`,"labels":{"hub.jupyter.org/username":"x","component":"singleuser-server"},"annotations":{"hub.jupyter.org/username":"x"}`, oneContainer),
		document(forQiang, `"initContainers":[{"name":"jupyter-user-init"}],"containers":[{"name":"nb","env":[{"name":"HOME"}],"volumeMounts":[
			{"name":"uid-gid-config","mountPath":"/config"}],"command":["/config/jupyter-user-init","exec","--user=a","--"]}]`),
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":5}}`, "kind: AdmissionReview", "k8s\x00", "{\"a\":\"\xff\"}",
	} {
		f.Add(seed)
	}
	e := newEdge(f, nil)
	f.Fuzz(func(t *testing.T, body string) {
		for _, c := range []struct{ path, body string }{
			{"/mutate", body}, {"/mutate", review(body)}, {"/verify", review(body)},
		} {
			before := len(e.log.String())
			status, r := e.post(t, c.path, c.body)
			assert.Equal(t, 200, status)
			assert.Equal(t, 1, strings.Count(e.log.String()[before:], "\n"), "one line in the log")
			if r.Response.Allowed {
				assert.Equal(t, r.Response.Patch != "", r.Response.PatchType == "JSONPatch")
				continue
			}
			assert.True(t, slices.Contains([]int{400, 403, 413, 422, 503}, r.Response.Status.Code), "code %d", r.Response.Status.Code)
			assert.NotEmpty(t, r.Response.Status.Message)
			assert.Empty(t, r.Response.Patch)
		}
		e.log.Clear()
	})
}
