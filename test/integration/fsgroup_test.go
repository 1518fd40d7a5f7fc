package integration

import (
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// TestAttacksByFSGroup tests the verifier with the value Keep of share.fsGroup. The verifier accepts an fsGroup that is
// known to be one of the user's groups. It denies any other fsGroup, because the kubelet adds the group to every process
// of the Pod. alice has UID 5001, GID 6001 and the group 7001. The groups of qiang.guo03 are not known, because this
// user has discovery at start.
func TestAttacksByFSGroup(t *testing.T) {
	t.Parallel()
	g := startVerified(t)
	g.reconfigure(t, func(c *config.Config) { c.Share.FSGroup = config.FSGroupKeep })
	for name, c := range map[string]struct {
		user   string
		gid    int64
		denial string
	}{
		"the user's GID":                   {"alice", 6001, ""},
		"a group of the user's":            {"alice", 7001, ""},
		"another user's group":             {"alice", 6002, "spec.securityContext.fsGroup: 6002 is not known to be a group of alice"},
		"root's group":                     {"alice", 0, "spec.securityContext.fsGroup: 0 is not known to be a group of alice"},
		"a group under the floor":          {"alice", 27, "spec.securityContext.fsGroup: 27 is not known to be a group of alice"},
		"a group, with discovery at start": {"qiang.guo03", 7001, "spec.securityContext.fsGroup: this is not what the webhook wrote"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := injectedBy(t, g.configured, c.user)
			if pod.Spec.SecurityContext == nil {
				pod.Spec.SecurityContext = &corev1.PodSecurityContext{}
			}
			pod.Spec.SecurityContext.FSGroup = &c.gid
			err := create(t.Context(), g.carol, "lab", pod)
			if c.denial == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, `admission webhook "verified-pods.jupyter-user.io" denied the request: `+c.denial)
			}
		})
	}
}
