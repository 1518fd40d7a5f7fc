package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDenial tests the status, the log line and the audit annotations of one denial.
func TestDenial(t *testing.T) {
	e := newEdge(t, nil)
	_, r := e.post(t, "/mutate", review(document(`,"labels":{"jupyter-user":"root"}`, oneContainer)))
	assert.False(t, r.Response.Allowed)
	status := r.Response.Status
	assert.Equal(t, "Failure", status.Status)
	assert.Equal(t, 403, status.Code)
	assert.Equal(t, "NameReserved", status.Reason)
	assert.Equal(t, `metadata.labels[jupyter-user]: "root" is reserved, and no notebook can run as it: use the name of the `+
		`user's home directory`, status.Message)
	assert.Equal(t, "Pod", status.Details.Kind)
	require.Len(t, status.Details.Causes, 1)
	assert.Equal(t, "NameReserved", status.Details.Causes[0].Reason)
	assert.Equal(t, "metadata.labels[jupyter-user]", status.Details.Causes[0].Field)
	assert.Equal(t, map[string]string{"reason": "NameReserved", "requester": "qiang"}, r.Response.AuditAnnotations)

	lines := e.log.Lines(t, "")
	require.Len(t, lines, 1)
	assert.Equal(t, "INFO", lines[0]["level"], "a denial is no fault")
	assert.Equal(t, []any{"NameReserved"}, lines[0]["reasons"])
	assert.Equal(t, status.Message, lines[0]["message"])
}

// TestSeveralDenials tests that code and reason are those of the first denial, and that each denial is a cause.
func TestSeveralDenials(t *testing.T) {
	e := newEdge(t, nil)
	_, r := e.post(t, "/mutate", review(document(forQiang+`,"annotations":{"jupyter-user.io/probes":"maybe"}`, `
		"os":{"name":"windows"},
		"hostUsers":false,
		"securityContext":{"supplementalGroups":[2000]},
		"volumes":[{"name":"hpc-shared-volume","hostPath":{"path":"/"}},{"name":"x","persistentVolumeClaim":{"claimName":"hpc-shared-pvc"}},{"name":"z"}],
		"initContainers":[{"name":"i","volumeMounts":[{"name":"hpc-shared-volume","mountPath":"/x"}]}],
		"containers":[
			{"name":"nb","volumeMounts":[{"name":"uid-gid-config","mountPath":"/y"},{"name":"z","mountPath":"/config"}],
				"volumeDevices":[{"name":"hpc-shared-volume","devicePath":"/z"}]},
			{"name":"jupyter-user-init"}]`)))
	assert.False(t, r.Response.Allowed)
	reasons := map[string]string{}
	for _, cause := range r.Response.Status.Details.Causes {
		reasons[cause.Field] = cause.Reason
		assert.Contains(t, r.Response.Status.Message, "\n- "+cause.Field+": "+cause.Message)
	}
	assert.Equal(t, map[string]string{
		"spec.os.name":   "NotLinux",
		"spec.hostUsers": "UserNamespace",
		"metadata.annotations[jupyter-user.io/probes]": "AnnotationInvalid",
		"spec.volumes[0]": "VolumeTaken",
		"spec.volumes[1]": "ShareAgain",
		"spec.securityContext.supplementalGroups[0]": "GroupForeign",
		"spec.containers[1].name":                    "ContainerTaken",
		"spec.initContainers[0].volumeMounts[0]":     "MountForeign",
		"spec.containers[0].volumeMounts[0]":         "MountForeign",
		"spec.containers[0].volumeMounts[1]":         "MountTaken",
		"spec.containers[0].volumeDevices[0]":        "DeviceForeign",
	}, reasons)
	assert.Equal(t, 422, r.Response.Status.Code)
	assert.Equal(t, "NotLinux", r.Response.Status.Reason)
	assert.Equal(t, map[string]string{"reason": "NotLinux", "requester": "qiang", "user": "qiang.guo03",
		"discovery": "AtStart"}, r.Response.AuditAnnotations)
	assert.Regexp(t, `\Athere are 11 problems:\n- `, r.Response.Status.Message)
	assert.Len(t, e.log.Lines(t, "")[0]["reasons"], 11)
}

func TestDenialWithWarnings(t *testing.T) {
	e := newEdge(t, nil)
	_, r := e.post(t, "/mutate", review(document(forQiang+`,"annotations":{"jupyter-user.io/probe":"on"}`, oneContainer+
		`,"securityContext":{"supplementalGroups":[2000]}`)))
	assert.False(t, r.Response.Allowed)
	require.Len(t, r.Response.Warnings, 1)
	assert.Contains(t, r.Response.Warnings[0], "jupyter-user.io/probe is unknown")
}
