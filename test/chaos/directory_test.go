package chaos

import (
	"context"
	"encoding/base64"
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
	// accounts is the size of the directory. A replica gets reviews of the first asked users, which are more than the 20,000 that it
	// remembers.
	accounts, asked = 100_000, 25_000
	firstUID        = 10_000
	// storm is the number of reviews a second, and silence the time that the directory service hangs.
	storm   = 1600
	silence = 30 * time.Second
	// resident is the most memory that a replica may take, in MiB.
	resident = 64
)

// TestTheDirectoryServiceHangs runs a replica against a real slapd with 100,000 accounts, and sends reviews of more users than the replica
// remembers: its memory stays below 64 MiB. While slapd hangs for 30 s, 1,600 reviews a second are each answered within a second: known
// users are admitted, others are denied with 503 "try again", and nothing grows. When slapd answers again, every user is admitted.
func TestTheDirectoryServiceHangs(t *testing.T) {
	directory := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: slapd.Units + manyAccounts(), Database: "access to * by * read"})
	r, client := alone(t, "--config="+asking(t, directory))
	var next atomic.Int64
	first := beginLoad(few, unpaced, asked, func(context.Context) try { return r.admits(client, int(next.Add(1)-1)) }).end()
	assertKnown(t, first)
	remembering := r.memory(t, "VmHWM")
	assert.Less(t, remembering, float64(resident), "MiB")
	quiet := beginLoad(many, storm, 3*storm, r.reviewingMany(client, &next)).end()
	assertKnown(t, quiet)
	memory, goroutines := r.memory(t, "VmRSS"), r.goroutines(t)

	goOn := directory.Hang(t)
	l := beginLoad(many, storm, math.MaxInt, r.reviewingMany(client, &next))
	<-time.After(silence)
	stuck := r.goroutines(t)
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
	after := r.memory(t, "VmRSS")
	assert.Less(t, after, 1.25*memory, "MiB, of which as many reviews take most while the directory service answers")
	assert.Less(t, r.memory(t, "VmHWM"), float64(most), "MiB")

	goOn()
	require.Eventually(t, func() bool { return r.admits(client, accounts-1).err == nil }, wait, 10*time.Millisecond)
	require.Eventually(t, func() bool { return r.goroutines(t) <= goroutines+8 }, wait, 100*time.Millisecond)
	report(t, "every answer < 1 s; < 64 MiB with 100,000 users, < 100 MiB in the storm, nothing grows", "%.0f/s while it answers, %.0f/s while "+
		"it hangs, of which %d admitted and %d told to try again, slowest %s; %.0f MiB after %d users, %.0f before it hangs, %.0f at the "+
		"end, %.0f the most; %.0f goroutines before, %.0f while it hangs", quiet.rate(), hung.rate(), len(hung.tries)-len(hung.failed()),
		len(hung.failed()), milliseconds(hung.share(100)), remembering, asked, memory, after, r.memory(t, "VmHWM"), goroutines, stuck)
}

// assertKnown holds a load to every user having been known. A machine that is too slow may have a lookup take longer than a review waits.
func assertKnown(t *testing.T, o outcome) {
	t.Helper()
	o.assertFair(t)
	if failed := o.failed(); len(failed) > 0 && !slow(t, o.machine, fmt.Sprintf("%d of %d lookups", len(failed), len(o.tries))) {
		o.assertWhole(t)
	}
}

// manyAccounts returns the LDIF of the accounts, user0 to user99999.
func manyAccounts() string {
	var b strings.Builder
	for i := range accounts {
		fmt.Fprintf(&b, "dn: uid=user%[1]d,ou=people,dc=example,dc=org\nobjectClass: account\nobjectClass: posixAccount\nuid: user%[1]d\n"+
			"cn: user%[1]d\nuidNumber: %[2]d\ngidNumber: %[2]d\nhomeDirectory: /home/user%[1]d\n\n", i, firstUID+i)
	}
	return b.String()
}

// asking returns the file of a configuration with the directory service as the source of identities.
func asking(t *testing.T, directory *slapd.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n"+
		"identity:\n  ldap:\n    urls: [%s]\n    caFile: %s\n    freshSeconds: 1\n    users: {baseDN: 'ou=people,dc=example,dc=org'}\n"+
		"    groups: {baseDN: 'ou=groups,dc=example,dc=org'}\n", directory.LDAPS, directory.CAFile), 0o600))
	return file
}

// admits sends a review of a notebook of a user. A denial is an error if it is 503, and foul otherwise; so is an admission as any other
// UID than the user's.
func (r *replica) admits(client *http.Client, user int) try {
	review := strings.Replace(goodReview, `"jupyter-user":"alice"`, fmt.Sprintf(`"jupyter-user":"user%d"`, user), 1)
	answer, _, err := r.ask(client, "/mutate", review)
	switch {
	case err != nil:
		return try{err: err}
	case !answer.Response.Allowed && answer.Response.Status.Code == http.StatusServiceUnavailable:
		return try{err: fmt.Errorf("denied with 503: %s", answer.Response.Status.Message)}
	case !answer.Response.Allowed:
		return try{foul: fmt.Errorf("denied: %+v", answer)}
	}
	patch, err := base64.StdEncoding.DecodeString(answer.Response.Patch)
	if want := fmt.Sprintf(`"%d:%[1]d"`, firstUID+user); err != nil || !strings.Contains(string(patch), want) {
		return try{foul: fmt.Errorf("admitted, and is not %s: %s", want, patch)}
	}
	return try{}
}

// reviewingMany sends reviews of users whom the replica remembers, and of a new one each tenth time.
func (r *replica) reviewingMany(client *http.Client, next *atomic.Int64) func(context.Context) try {
	return func(context.Context) try {
		n := int(next.Add(1))
		if n%10 == 0 {
			return r.admits(client, asked+n/10%(accounts-asked))
		}
		return r.admits(client, asked-1-n%15_000)
	}
}
