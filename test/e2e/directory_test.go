package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
	"jupyter-user.io/jupyter-user-webhook/test/e2e/node"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
	"jupyter-user.io/jupyter-user-webhook/test/pages"
	"jupyter-user.io/jupyter-user-webhook/test/slapd"
)

type account struct {
	home
	// homeDirectory is the value of the LDAP attribute of that name.
	homeDirectory string
}

// accountOutsidePattern is the account of a user whose home is not where the pattern share.home says.
var accountOutsidePattern = account{home{"li", 5019, 6019, 0o700}, "/hpc/people/l/li"}

// accounts returns the accounts of the directory service: alice; accountOutsidePattern; link-owner, whose attribute
// homeDirectory names a symbolic link that belongs to link-owner; and nested, whose home is inside the home of bob.
func accounts() []account {
	return []account{
		{homeOf("alice"), "/hpc/home/alice"},
		accountOutsidePattern,
		{home{"link-owner", 5001, 6001, 0o700}, "/hpc/home/link-owner"},
		{home{"nested", 5018, 6018, 0o700}, "/hpc/home/bob/nested"},
	}
}

// ldifOf returns the LDIF of the given accounts, of the account of the webhook, and of the fifteen groups of alice.
func ldifOf(accounts []account) string {
	var b strings.Builder
	b.WriteString(slapd.Units + `dn: uid=webhook,ou=services,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: webhook
userPassword: secret

`)
	for _, a := range accounts {
		fmt.Fprintf(&b, "dn: uid=%[1]s,ou=people,dc=example,dc=org\nobjectClass: account\nobjectClass: posixAccount\nuid: %[1]s\n"+
			"cn: %[1]s\nuidNumber: %d\ngidNumber: %d\nhomeDirectory: %s\n\n", a.name, a.uid, a.gid, a.homeDirectory)
	}
	for i := range maxGroups {
		fmt.Fprintf(&b, "dn: cn=project%[1]d,ou=groups,dc=example,dc=org\nobjectClass: posixGroup\ncn: project%[1]d\ngidNumber: %d\n"+
			"memberUid: alice\n\n", i, firstGroup+i)
	}
	return b.String()
}

// TestDirectoryService runs steps 7 to 10 of deploy/docs/directory-services.md with the shipped installation and a real
// slapd. In step 10 alice's notebook has her fifteen groups and writes to fifteen directories. Then the test sets
// share.homePrefix, so that the home is where the attribute homeDirectory says, and the init container must deny a symbolic
// link and a home inside another user's home. A test of cmd/jupyter-user-webhook runs steps 1 to 6.
func TestDirectoryService(t *testing.T) {
	directory := slapd.Start(t, slapd.Options{
		Schema: slapd.RFC2307, LDIF: ldifOf(accounts()), Address: node.Address,
		Database: "access to attrs=userPassword by * auth\naccess to * by * read",
	})
	steps := pages.Steps(t, "directory-services.md")
	require.Len(t, steps, 10)
	t.Cleanup(func() { restoreShipped(t) })
	storePassword(t, steps[7])
	configure := func(more ...string) {
		t.Helper()
		upgrade := steps[8].Fields(t, "deploy/chart", "../../deploy/chart", "--values values.yaml", "--values -", "=ca.crt", "="+directory.CAFile)
		values := strings.Replace(steps[8].YAML, "ldaps://ldap.example.org", directory.LDAPS, 1)
		require.NoError(t, cluster.reconfigure(t.Context(), values, "AtAdmission", append(upgrade, more...)...))
	}
	configure()
	// The test waits for the end of replicas that are being deleted, because they still have the previous configuration.
	awaitReplicaState(t, "both replicas have the new configuration", func(serving, ending []corev1.Pod) bool {
		return len(ending) == 0 && bothReady(serving, ending)
	})
	check, err := cluster.Admin.Kubectl(t.Context(), steps[9].Fields(t)...)
	require.NoError(t, err)
	output := strings.Join(strings.Fields(check.Stdout), " ")
	assert.Contains(t, output, "alice has UID 5001 and GID 6001, and is in the groups [9001 9002 9003 9004 9005 9006 9007 9008 9009 9010 9011 "+
		"9012 9013 9014 9015]", check.Stderr)
	assert.Contains(t, output, "0 failed, 0 unknown, 0 warnings, 3 ok")
	t.Run("the first notebook", func(t *testing.T) { openGroupDirectories(t, steps[10]) })

	configure("--set", "share.homePrefix=/hpc")
	t.Run("a home outside the pattern", runOutsidePattern)
	t.Run("a home field that leads to a link", func(t *testing.T) {
		assertHomeDenied(t, "link-owner", "is a symbolic link, which could lead to another user's home")
	})
	t.Run("a home in a user's directory", func(t *testing.T) {
		path := cluster.share.path("bob", "nested")
		require.NoError(t, os.Mkdir(path, 0o700))
		t.Cleanup(func() { assert.NoError(t, os.Remove(path)) })
		require.NoError(t, os.Chown(path, 5018, 6018))
		assertHomeDenied(t, "nested", "which contains the home of nested, belongs to UID 5002: its owner could replace")
	})
}

// storePassword runs step 7 of deploy/docs/directory-services.md: it stores the webhook's password in a Secret, from a
// file.
func storePassword(t *testing.T, step pages.Step) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("secret"), 0o600))
	require.NoError(t, cluster.Admin.Do(t.Context(), "", step.Fields(t, "--from-file=password", "--from-file="+file)...))
	t.Cleanup(func() {
		assert.NoError(t, cluster.Admin.Do(context.WithoutCancel(t.Context()), "", "delete", "secret", "ldap", "-n", systemNamespace))
	})
}

// reconfigure upgrades the shipped installation with helm, and waits until its replicas and policies are updated and
// notebooks get the given discovery. It also excludes the namespaces of the other installations from the webhook
// configurations again (see excludeOtherNamespaces).
func (c *testCluster) reconfigure(ctx context.Context, values, discovery string, upgrade ...string) error {
	// excludeOtherNamespaces has changed objects that Helm applied, so Helm must be forced to overwrite them.
	if _, err := c.helm.Run(ctx, values, append(upgrade, "--force-conflicts")...); err != nil {
		return err
	}
	if err := c.excludeOtherNamespaces(ctx); err != nil {
		return err
	}
	if err := c.awaitInstalled(ctx); err != nil {
		return err
	}
	return c.awaitDiscovery(ctx, atStart.namespace, discovery)
}

// restoreShipped removes the directory service and share.homePrefix from the values of the shipped installation, for the
// tests that follow.
func restoreShipped(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), rolloutLimit)
	defer cancel()
	assert.NoError(t, cluster.reconfigure(ctx, "share: {homePrefix: ''}\nidentity: {ldap: {urls: []}}\n", "AtStart",
		"upgrade", systemName, "../../deploy/chart", "--namespace", systemNamespace, "--reset-then-reuse-values", "--values", "-"))
}

// openGroupDirectories runs step 10 of deploy/docs/directory-services.md: alice herself is the requester, and may use only
// her own home. The test then writes to directories in her home. Each of them is writable only for one of her groups.
func openGroupDirectories(t *testing.T, step pages.Step) {
	alice, err := cluster.User("alice@corp.example")
	require.NoError(t, err)
	require.NoError(t, cluster.Allow(t.Context(), atStart.namespace, alice,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"create", "get"}}))
	require.NoError(t, cluster.allowUse(t.Context(), alice, atStart.namespace, "alice"))
	projects := cluster.share.path("alice", "projects")
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(projects)) })
	require.NoError(t, os.Mkdir(projects, 0o755))
	for i := range maxGroups {
		project := filepath.Join(projects, fmt.Sprint(firstGroup+i))
		require.NoError(t, os.Mkdir(project, 0o700))
		require.NoError(t, os.Chown(project, 0, firstGroup+i))
		require.NoError(t, os.Chmod(project, 0o770))
	}

	require.NoError(t, cluster.Admin.Do(t.Context(), "", step.Fields(t, "jupyter-system", atStart.namespace,
		"quay.io/jupyter/minimal-notebook", images.DockerStacks)...))
	p := removeAtEnd(t, atStart.namespace, "nb")
	p.ready(t)
	for _, process := range p.processes(t) {
		assert.Equal(t, []int64{5001, 5001, 5001, 5001}, process.UIDs)
		assert.Equal(t, []int64{6001, 6001, 6001, 6001}, process.GIDs)
		assert.Zero(t, process.Effective)
	}
	want := []string{"6001"}
	for i := range maxGroups {
		want = append(want, fmt.Sprint(firstGroup+i))
	}
	assert.ElementsMatch(t, want, strings.Fields(p.exec(t, "id", "-G").Stdout))
	result := p.exec(t, "sh", "-c", "for project in $HOME/projects/*; do touch $project/mine && echo written; done")
	assert.Equal(t, strings.Repeat("written\n", maxGroups), result.Stdout, result.Stderr)
}

// runOutsidePattern runs a notebook of the user of accountOutsidePattern, and asserts that a file that the notebook writes
// into the home is in the directory that the attribute homeDirectory names.
func runOutsidePattern(t *testing.T) {
	people := filepath.Join(cluster.share.root, "people")
	require.NoError(t, os.MkdirAll(filepath.Join(people, "l", "li"), 0o755))
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(people)) })
	require.NoError(t, os.Chown(filepath.Join(people, "l", "li"), accountOutsidePattern.uid, accountOutsidePattern.gid))
	p := run(t, atStart, "elsewhere", "li", images.Plain, withProbes, "--command", "--", "sh", "-c", "echo made >made && exec hello")
	p.ready(t)
	assertOwned(t, p, accountOutsidePattern.home)
	made, err := os.ReadFile(filepath.Join(people, "l", "li", "made"))
	require.NoError(t, err)
	assert.Equal(t, "made\n", string(made))
}

// assertHomeDenied asserts that the init container denies the home of the given user, with a message that contains the text
// want.
func assertHomeDenied(t *testing.T, user, want string) {
	t.Helper()
	p := run(t, atStart, "denied-"+user, user, images.Plain, "--command", "--", "hello")
	got := p.await(t, machine.Patience, "to fail", func(pod *corev1.Pod) bool { return initMessage(pod) != "" })
	assert.Contains(t, initMessage(got), want)
	assert.False(t, node.IsReady(got))
}
