package integration

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/test/helm"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pages"
	"jupyter-user.io/jupyter-user-webhook/test/slapd"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/ldap"
	"jupyter-user.io/jupyter-user-webhook/webhook/server"
)

const aliceLDIF = slapd.Units + `dn: uid=alice,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: posixAccount
uid: alice
cn: Alice
sn: Liddell
mail: a.liddell@corp.example
uidNumber: 5003
gidNumber: 6003
homeDirectory: /home/alice

dn: uid=webhook,ou=services,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: webhook
userPassword: secret

dn: cn=lab,ou=groups,dc=example,dc=org
objectClass: posixGroup
cn: lab
gidNumber: 7001
memberUid: alice

`

// TestUserOfDirectoryService tests the webhook with a real slapd and with the configuration of chartConfiguration. A
// user's notebook gets the UID, GID and groups from slapd, in a namespace that enforces restricted. For a hub's Pod, the
// webhook finds the user whose attribute mail has the hub's user name.
func TestUserOfDirectoryService(t *testing.T) {
	t.Parallel()
	directory := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: aliceLDIF, Database: "access to * by * read"})
	c := startUnserved(t, controlplane.Options{})
	configured := chartConfiguration(t, directory)
	source, err := ldap.Open(t.Context(), configured.Identity.LDAP, nil, nil)
	require.NoError(t, err)
	metrics, err := server.NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	peers, err := server.NewPeers(nil, c.certificate().GetCertificate)
	require.NoError(t, err)
	hook := webhook.New(configured, source).WithHubNames(source)
	_, c.stop = c.listen(t, c.calledAddress(), server.NewHandler(hook, slog.New(slog.NewJSONHandler(c.log, nil)), metrics, peers))
	c.namespace(t, "lab", "restricted")

	runsAsAlice := func(pod *corev1.Pod) {
		t.Helper()
		assert.Equal(t, "alice", pod.Annotations["jupyter-user.io/user"])
		assert.Equal(t, "5003:6003:7001", pod.Annotations["jupyter-user.io/identity"])
		assert.Equal(t, new(int64(5003)), pod.Spec.Containers[0].SecurityContext.RunAsUser)
		assert.Equal(t, new(int64(6003)), pod.Spec.Containers[0].SecurityContext.RunAsGroup)
		assert.Equal(t, []int64{7001}, pod.Spec.SecurityContext.SupplementalGroups)
	}
	made := whenResponding(t, func() controlplane.Result {
		return c.kubectl(t, "run", "nb", "-n", "lab", "--image=quay.io/jupyter/minimal-notebook", "--labels=jupyter-user=alice")
	})
	require.Zero(t, made.ExitCode, made.Stderr)
	_, pod := c.get(t, "lab", "nb")
	runsAsAlice(pod)

	hubPod := func(name, hubName string) string {
		return "{apiVersion: v1, kind: Pod, metadata: {name: " + name + ", labels: {hub.jupyter.org/username: x, component: " +
			"singleuser-server}, " +
			"annotations: {hub.jupyter.org/username: " + hubName + "}}, " +
			"spec: {containers: [{name: notebook, image: quay.io/jupyter/minimal-notebook}]}}"
	}
	made = whenResponding(t, func() controlplane.Result { return c.create(t, "lab", hubPod("hub", "a.liddell@corp.example")) })
	require.Zero(t, made.ExitCode, made.Stderr)
	runsAsAlice(decode(t, made.Stdout))
	denied := whenResponding(t, func() controlplane.Result { return c.create(t, "lab", hubPod("other", "alice")) })
	assert.NotZero(t, denied.ExitCode, "the hub does not have the Unix name as a user name")
	assert.Contains(t, denied.Stderr, `no user has the hub name "alice"`)
}

// whenResponding creates a Pod, and tries again while the directory service does not respond within the time of a review. On a
// slow machine a lookup can take longer.
func whenResponding(t *testing.T, create func() controlplane.Result) (created controlplane.Result) {
	t.Helper()
	require.Eventually(t, func() bool {
		created = create()
		return !strings.Contains(created.Stderr, "(IdentitySilent)") && !strings.Contains(created.Stderr, "(HubNameSilent)")
	}, machine.Patience, 10*time.Millisecond)
	return created
}

// chartConfiguration returns the configuration that the chart renders for the values of directory-services.md, with the
// attribute mail for hub names. The server and the file paths are those of the test.
func chartConfiguration(t *testing.T, directory *slapd.Server) *config.Config {
	t.Helper()
	h, err := helm.New(t.Context(), t.Output(), t.TempDir())
	require.NoError(t, err)
	chart, err := helm.Chart()
	require.NoError(t, err)
	rendered, err := h.Run(t.Context(), pages.Steps(t, "directory-services.md")[8].YAML, "template", helm.Release, chart, "--namespace", helm.Namespace, "--values", "-",
		"--set-file", "identity.ldap.ca="+directory.CAFile, "--set", "identity.ldap.users.hubName=mail",
		"--show-only", "templates/20-configmap.yaml")
	require.NoError(t, err)
	rendered = rendered[strings.Index(rendered, "apiVersion:"):]
	var made corev1.ConfigMap
	require.NoError(t, yaml.Unmarshal([]byte(rendered), &made))
	authority := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(authority, []byte(made.Data["ldap-ca.crt"]), 0o600))
	password := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(password, []byte("secret"), 0o600))
	text := made.Data["config.yaml"]
	for deployed, here := range map[string]string{
		"ldaps://ldap.example.org": directory.LDAPS, "/etc/jupyter-user/ldap-ca.crt": authority, "/ldap/password": password,
	} {
		require.Contains(t, text, deployed)
		text = strings.Replace(text, deployed, here, 1)
	}
	configured, err := config.Parse([]byte(text))
	require.NoError(t, err)
	return configured
}
