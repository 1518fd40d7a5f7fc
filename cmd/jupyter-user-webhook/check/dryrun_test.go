package check

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
)

// TestJudgeDenial tests the findings about denials. The error texts are those of a real API server.
func TestJudgeDenial(t *testing.T) {
	says := func(name, reason string) string {
		return `pods "x" is forbidden: ValidatingAdmissionPolicy '` + name + `' with binding '` + name + `' denied request: ` + reason
	}
	for name, c := range map[string]struct {
		code    int32
		message string
		status  Status
	}{
		"the webhook does not respond":    {500, `Internal error occurred: failed calling webhook "pods.jupyter-user.io": failed to call webhook: Post "x": no route`, Failed},
		"another webhook is down":         {500, `Internal error occurred: failed calling webhook "x.example": failed to call webhook`, Unknown},
		"the webhook denies":              {403, `admission webhook "pods.jupyter-user.io" denied the request: the UID and GID of x are not known`, OK},
		"the webhook cannot decide":       {503, `admission webhook "pods.jupyter-user.io" denied the request: who x is cannot be found out`, Warning},
		"the verifier denies":             {403, `admission webhook "verified-pods.jupyter-user.io" denied the request: x`, Failed},
		"another webhook denies":          {403, `admission webhook "x.example" denied the request: no`, Unknown},
		"no right to the home":            {403, says("access.jupyter-user.io", "NoAccess: metadata.annotations"), OK},
		"the webhook was not called":      {403, says("access.jupyter-user.io", "NotInjected: the pod has"), Failed},
		"Pod Security is missing":         {403, says("node.jupyter-user.io", "NamespaceUnguarded: namespace"), OK},
		"a policy denies an injected Pod": {403, says("net.jupyter-user.io", "InitForeign: spec.initContainers[0]"), Failed},
		"another policy":                  {403, says("x.example", "no"), Unknown},
		"another policy with our reason":  {403, says("x.example", "NoAccess: metadata.annotations"), Unknown},
		"a quota":                         {403, `pods "x" is forbidden: exceeded quota: q`, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			err := &apierrors.StatusError{ErrStatus: metav1.Status{Code: c.code, Message: c.message}}
			f := judgeDenial("namespace lab", err)
			assert.Equal(t, c.status, f.Status, f.Message)
			assert.Contains(t, f.Message, c.message)
		})
	}
	assert.Equal(t, Unknown, judgeDenial("", errors.New("connection refused")).Status)
	everyone := &apierrors.StatusError{ErrStatus: metav1.Status{Code: 403, Reason: "RestrictedNeedsIdentity",
		Message: `admission webhook "pods.jupyter-user.io" denied the request: namespace lab enforces the Pod Security Standard restricted`}}
	f := judgeDenial("namespace lab", everyone)
	assert.Equal(t, Failed, f.Status)
	assert.Contains(t, f.Message, "the webhook denies the notebook of every user here: ")
}

// admitted returns the Pod of the dry run as the webhook injects it.
func admitted(t *testing.T, c *config.Config, source webhook.Identities) *corev1.Pod {
	t.Helper()
	raw, err := json.Marshal(notebook("lab", "alice"))
	require.NoError(t, err)
	d := webhook.New(c, source).Decide(t.Context(), webhook.Review{Pod: raw, Namespace: "lab"})
	require.Empty(t, d.Denials)
	raw, err = pod.Apply(raw, d.Operations)
	require.NoError(t, err)
	pod := &corev1.Pod{}
	require.NoError(t, json.Unmarshal(raw, pod))
	return pod
}

func TestJudgeAdmitted(t *testing.T) {
	for name, c := range map[string]struct {
		source webhook.Identities
		change func(*corev1.Pod)
		status Status
		says   string
	}{
		"at start":     {nil, func(*corev1.Pod) {}, OK, "a notebook of alice would be admitted"},
		"at admission": {webhook.Fixed{Identity: identity.New(5001, 6001, []int64{7001})}, func(*corev1.Pod) {}, OK, ""},
		"not injected": {nil, func(p *corev1.Pod) { *p = *notebook("lab", "alice") }, Failed, "does not reach the webhook and is admitted without it"},
		"another init container": {nil, func(p *corev1.Pod) { p.Spec.InitContainers[0].Image = "evil" }, Failed,
			"spec.initContainers[0].image: look for another webhook that changes them"},
		"a mount of the whole share": {nil, func(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts[0].SubPath = "" }, Failed, "volumeMounts"},
		"another configuration": {nil, func(p *corev1.Pod) { p.Annotations[inject.ConfigAnnotation] = "x" }, Warning,
			"the webhook runs with another configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &state{Options: Options{User: "alice"}, config: config.Default()}
			s.namespaces.Items = []corev1.Namespace{named("lab")}
			pod := admitted(t, config.Default(), c.source)
			c.change(pod)
			f := s.judgeAdmitted(t.Context(), "namespace lab", pod)
			assert.Equal(t, c.status, f.Status, f.Message)
			assert.Contains(t, f.Message, c.says)
		})
	}
}

func TestDryRunNamespace(t *testing.T) {
	s := &state{parameters: map[string]string{"claims": "c", "unservedNamespaces": "kube-system"}}
	assertOneFinding(t, dryRun(t.Context(), s), Unknown, "no namespace that is served has the share")
	for _, namespace := range []string{"a", "kube-system", "b"} {
		s.claims.Items = append(s.claims.Items, corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "c"}})
		s.namespaces.Items = append(s.namespaces.Items, named(namespace))
	}
	in, _ := s.dryRunNamespace()
	assert.Equal(t, "a", in)
	s.namespaces.Items[2].Labels = map[string]string{levelLabel: baseline}
	in, _ = s.dryRunNamespace()
	assert.Equal(t, "b", in, "a namespace that enforces Pod Security")
	s.Namespaces = []string{"a", "nosuch"}
	in, _ = s.dryRunNamespace()
	assert.Equal(t, "a", in, "the namespace of the options")
}

// withoutRights is a client of an API server that gives the caller no right.
type withoutRights struct{ client.Client }

func (withoutRights) Create(context.Context, client.Object, ...client.CreateOption) error { return nil }

func TestDryRunWithoutRight(t *testing.T) {
	s := closedCluster(t)
	s.config, s.User, s.cluster = config.Default(), "alice", &Cluster{client: withoutRights{}}
	assertOneFinding(t, dryRun(t.Context(), s), Unknown, "namespace lab: unknown without the right to create Pods there, which is "+
		"used only for a dry run: ask for it, or name another namespace with -n")
}

// TestInvalidName tests that there is no dry run for an invalid user name. The webhook denies such a name on every cluster,
// so the denial would not show whether notebooks of other users start.
func TestInvalidName(t *testing.T) {
	for _, name := range []string{"root", "Alice", "../bob", ""} {
		s := closedCluster(t)
		s.config, s.User = config.Default(), name
		assertOneFinding(t, dryRun(t.Context(), s), Unknown, "a denial of that name would prove nothing about others")
	}
}

// TestJudgeAdmittedByHomeField tests a notebook whose home is the home field of the user's account.
func TestJudgeAdmittedByHomeField(t *testing.T) {
	c := config.Default()
	c.Share.HomePrefix = "/nfs/home"
	id := identity.New(5001, 6001, nil)
	id.Home = "/nfs/home/a/alice"
	s := &state{Options: Options{User: "alice"}, config: c}
	s.namespaces.Items = []corev1.Namespace{named("lab")}
	f := s.judgeAdmitted(t.Context(), "namespace lab", admitted(t, c, webhook.Fixed{Identity: id}))
	assert.Equal(t, OK, f.Status, f.Message)
}

// TestJudgeWarnMode tests which finding follows from the Pod, the warnings and the error of a dry run in Warn mode.
func TestJudgeWarnMode(t *testing.T) {
	const become = "would become a notebook of alice (AtStart): the webhook is in mode Warn and leaves the pod as it is"
	denies := func(message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: 403, Message: message}}
	}
	for name, c := range map[string]struct {
		mode     config.Mode
		made     bool
		warnings []string
		err      error
		status   Status
		says     string
	}{
		"the webhook would inject": {config.ModeWarn, false, []string{become, "would be warned: x"}, nil, OK, "leaves the Pod as it is (mode Warn): " + become},
		"the policies warn about the Pod without injection": {config.ModeWarn, false, []string{become,
			"Validation failed for ValidatingAdmissionPolicy 'access.jupyter-user.io' with binding 'access.jupyter-user.io': " +
				"NotInjected: x"}, nil, OK, become},
		"the webhook would deny":       {config.ModeWarn, false, []string{"would be denied: IdentityUnknown: x"}, nil, OK, "would be denied: IdentityUnknown: x"},
		"the verifier would deny":      {config.ModeWarn, false, []string{become, "would be denied: Drifted: x"}, nil, Warning, "which mode Enforce denies"},
		"the webhook does not respond": {config.ModeWarn, false, nil, nil, Failed, "and in mode Warn no user notices it"},
		"another warning":              {config.ModeWarn, false, []string{"would violate PodSecurity"}, nil, Failed, "and in mode Warn no user notices it"},
		"the webhook injects": {config.ModeWarn, true, nil, nil, Failed, "the webhook still injects Pods, and " +
			"the ConfigMap says mode: Warn: a rollout is not finished"},
		"a policy denies": {config.ModeWarn, false, []string{become}, denies(`pods "x" is forbidden: ValidatingAdmissionPolicy 'access.jupyter-user.io' with binding 'access.jupyter-user.io' denied request: NotInjected: x`), Failed, "is denied, and the webhook's configuration says mode: Warn"},
		"every user would be denied, and the level of the namespace denies": {config.ModeWarn, false,
			[]string{"would be denied: RestrictedNeedsIdentity: namespace lab enforces"}, denies(`pods "x" is forbidden: violates PodSecurity "restricted:latest"`),
			Warning, "mode Enforce denies the notebook of every user here: would be denied: RestrictedNeedsIdentity"},
		"the webhook would deny this user, and the level of the namespace denies": {config.ModeWarn, false,
			[]string{"would be denied: IdentityUnknown: x"}, denies(`pods "x" is forbidden: violates PodSecurity "restricted:latest"`),
			OK, "denies the Pod, which mode Enforce would check as a notebook: would be denied: IdentityUnknown: x"},
		"the webhook does not respond, and the level of the namespace denies": {config.ModeWarn, false, nil,
			denies(`pods "x" is forbidden: violates PodSecurity "restricted:latest"`), Unknown, "violates PodSecurity"},
		"every user would be denied, and a policy denies": {config.ModeWarn, false,
			[]string{"would be denied: RestrictedNeedsIdentity: namespace lab enforces"}, denies(`pods "x" is forbidden: ValidatingAdmissionPolicy 'access.jupyter-user.io' with binding 'access.jupyter-user.io' denied request: NotInjected: x`),
			Failed, "is denied, and the webhook's configuration says mode: Warn"},
		"a quota denies": {config.ModeWarn, false, []string{become}, denies("exceeded quota: q"), Unknown, "exceeded quota"},
		"the configuration is newer than the webhook": {config.ModeEnforce, false, []string{become}, nil, Failed, "is still in mode " +
			"Warn, and the ConfigMap says Enforce: a rollout is not finished"},
		"the configuration is newer, and the policies deny": {config.ModeEnforce, false, []string{become}, denies(`denied request: NotInjected: x`), Failed, "is still in mode Warn"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &state{Options: Options{User: "alice"}, config: config.Default()}
			s.config.Mode = c.mode
			pod := notebook("lab", "alice")
			if c.made {
				pod = admitted(t, config.Default(), nil)
			}
			f := s.judgeWarnMode("namespace lab", pod, warnModeWarnings(c.warnings), c.err)
			assert.Equal(t, c.status, f.Status, f.Message)
			assert.Contains(t, f.Message, c.says)
		})
	}
}

// TestWarnModeWarnings tests that the texts in this package agree with the warnings of package denial.
func TestWarnModeWarnings(t *testing.T) {
	warnings := []string{denial.WouldBecome("alice", "AtStart", ""), denial.WouldBeDenied(denial.Internal("x"))}
	assert.Equal(t, warnings, warnModeWarnings(append(warnings, denial.WouldWarn("x"))))
}
