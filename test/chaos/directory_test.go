package chaos

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/slapd"
)

const (
	// accounts are in the directory, and asked are those that a replica is asked about first: more than the 20,000 that it remembers.
	accounts, asked = 100_000, 25_000
	// storm is how many reviews come in a second while the directory service hangs, and silence is for how long.
	storm   = 1600
	silence = 30 * time.Second
	// resident is the most memory of a replica, in MiB.
	resident = 64
)

// TestTheDirectoryServiceHangs is on a real slapd with 100,000 accounts. A replica that was asked about more of them than it remembers
// keeps within its memory. While slapd hangs, 1,600 reviews a second are each answered within a second: users who are known are
// admitted, others are told to try again, and nothing grows. When slapd answers again, all are admitted.
func TestTheDirectoryServiceHangs(t *testing.T) {
	directory := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: slapd.Units + manyAccounts(), Database: "access to * by * read"})
	r, client := alone(t, "--config="+asking(t, directory))
	var next atomic.Int64
	first := beginLoad(few, unpaced, asked, func(context.Context) try { return r.admits(client, int(next.Add(1)-1)) }).end()
	first.assertWhole(t)
	quiet := beginLoad(many, storm, 3*storm, r.reviewingMany(client, &next)).end()
	quiet.assertWhole(t)
	memory, goroutines := r.memory(t, "VmRSS"), r.metric(t, "go_goroutines")
	assert.Less(t, r.memory(t, "VmHWM"), float64(resident))

	goOn := directory.Hang(t)
	l := beginLoad(many, storm, math.MaxInt, r.reviewingMany(client, &next))
	<-time.After(silence)
	stuck := r.metric(t, "go_goroutines")
	hung := l.stop()
	hung.assertFair(t)
	within(t, hung.machine, hung.share(100), time.Second, "the slowest answer while the directory service hangs")
	assert.Less(t, len(hung.failed()), len(hung.tries)/5, "users who are known are admitted, which are nine of ten")
	if hung.rate() < 0.95*storm {
		assert.Greater(t, hung.rate(), 0.5*quiet.rate(), "reviews a second, of the %.0f while the directory service answers", quiet.rate())
		figures.excuse(t.Name(), fmt.Sprintf("the machine does not keep the pace: %.0f/s while the directory service answers", quiet.rate()))
	}
	// 32 lookups are out, of three goroutines each, and each sender has a connection of two.
	assert.Less(t, stuck, goroutines+3*32+2*many)
	assert.Less(t, r.memory(t, "VmHWM"), float64(resident))

	goOn()
	require.Eventually(t, func() bool { return r.admits(client, accounts-1).err == nil }, wait, 10*time.Millisecond)
	require.Eventually(t, func() bool { return r.metric(t, "go_goroutines") <= goroutines+8 }, wait, 100*time.Millisecond)
	report(t, "every answer < 1 s, < 64 MiB at 100,000 users, nothing grows", "%.0f/s while it answers, %.0f/s while it hangs, of which %d "+
		"admitted and %d told to try again, slowest %s; memory %.0f MiB before and %.0f after, %.0f the most; goroutines %.0f before, "+
		"%.0f while it hangs", quiet.rate(), hung.rate(), len(hung.tries)-len(hung.failed()), len(hung.failed()),
		milliseconds(hung.share(100)), memory, r.memory(t, "VmRSS"), r.memory(t, "VmHWM"), goroutines, stuck)
}

func manyAccounts() string {
	var b strings.Builder
	for i := range accounts {
		fmt.Fprintf(&b, "dn: uid=user%[1]d,ou=people,dc=example,dc=org\nobjectClass: account\nobjectClass: posixAccount\nuid: user%[1]d\n"+
			"cn: user%[1]d\nuidNumber: %[2]d\ngidNumber: %[2]d\nhomeDirectory: /home/user%[1]d\n\n", i, 10_000+i)
	}
	return b.String()
}

// asking is the file of a configuration that asks the directory service.
func asking(t *testing.T, directory *slapd.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n"+
		"identity:\n  ldap:\n    urls: [%s]\n    caFile: %s\n    freshSeconds: 1\n    users: {baseDN: 'ou=people,dc=example,dc=org'}\n"+
		"    groups: {baseDN: 'ou=groups,dc=example,dc=org'}\n", directory.LDAPS, directory.CAFile), 0o600))
	return file
}

// admits asks about a notebook of a user, who is the wrong one if the UID is another.
func (r *replica) admits(client *http.Client, user int) try {
	review := strings.Replace(goodReview, `"jupyter-user":"alice"`, fmt.Sprintf(`"jupyter-user":"user%d"`, user), 1)
	answer, _, err := r.ask(client, "/mutate", review)
	switch {
	case err != nil:
		return try{err: err}
	case !answer.Response.Allowed && answer.Response.Status.Code == http.StatusServiceUnavailable:
		return try{err: fmt.Errorf("it is told to try again: %s", answer.Response.Status.Message)}
	case !answer.Response.Allowed:
		return try{foul: fmt.Errorf("it is denied: %+v", answer)}
	}
	return try{}
}

// reviewingMany asks about users who were asked about a while ago, and each tenth time about one who never was.
func (r *replica) reviewingMany(client *http.Client, next *atomic.Int64) func(context.Context) try {
	return func(context.Context) try {
		n := int(next.Add(1))
		if n%10 == 0 {
			return r.admits(client, asked+n/10%(accounts-asked))
		}
		return r.admits(client, asked-1-n%15_000)
	}
}
