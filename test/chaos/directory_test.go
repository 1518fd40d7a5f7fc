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
	// accounts is the number of accounts in the directory service. reviewed is the number of users whose reviews the
	// test sends first: more than the 20,000 users for which the cache of a replica has room.
	accounts, reviewed = 100_000, 25_000
	firstUID           = 10_000
	// reviewRate is the number of reviews per second before and while the directory service hangs. hangTime is the time
	// for which the directory service hangs.
	reviewRate = 1600
	hangTime   = 30 * time.Second
	// maxBefore is the largest memory that a replica may have before the directory service hangs, in MiB.
	maxBefore = 64
)

// TestDirectoryServiceHangs runs a replica against a real slapd with 100,000 accounts, and sends reviews of more users than
// the replica caches. The replica's memory stays below 64 MiB. Then slapd hangs for 30 s, while the test sends 1,600
// reviews a second. Each review gets a response within a second: cached users are admitted, other users are denied with 503
// "try again". Memory and goroutines hardly grow. When slapd responds again, a user who is not cached is admitted.
func TestDirectoryServiceHangs(t *testing.T) {
	directory := slapd.Start(t, slapd.Options{Schema: slapd.RFC2307, LDIF: slapd.Units + manyAccounts(), Database: "access to * by * read"})
	r, client := startAlone(t, "--config="+ldapConfiguration(t, directory))
	var next atomic.Int64
	uncached := beginLoad(fewCallers, unpaced, reviewed, func(context.Context) try { return r.reviewUser(client, int(next.Add(1)-1)) }).end()
	assertKnown(t, uncached)
	caching := r.memory(t, "VmHWM")
	assert.Less(t, caching, float64(maxBefore), "MiB")
	quiet := beginLoad(manyCallers, reviewRate, 3*reviewRate, r.reviewingUsers(client, &next)).end()
	assertKnown(t, quiet)
	memory, goroutines := r.memory(t, "VmRSS"), r.goroutines(t)

	resume := directory.Hang(t)
	l := beginLoad(manyCallers, reviewRate, math.MaxInt, r.reviewingUsers(client, &next))
	<-time.After(hangTime)
	stuck := r.goroutines(t)
	hung := l.stop()
	hung.assertNoViolation(t)
	within(t, hung.machine, hung.percentile(100), time.Second, "the slowest response while the directory service hangs")
	assert.Less(t, len(hung.failed()), len(hung.tries)/5, "nine of ten reviews are of a cached user, and are admitted")
	if hung.rate() < 0.95*reviewRate {
		assert.Greater(t, hung.rate(), 0.5*quiet.rate(), "reviews a second; %.0f while the directory service responds", quiet.rate())
		figures.excuse(t.Name(), fmt.Sprintf("the machine is too slow: %.0f/s while the directory service responds", quiet.rate()))
	}
	// At most 32 lookups run, with three goroutines each. Each sender has a connection, with two goroutines.
	assert.Less(t, stuck, goroutines+3*32+2*manyCallers)
	after := r.memory(t, "VmRSS")
	assert.Less(t, after, 1.25*memory, "MiB; as many reviews took the same memory while the directory service responded")
	assert.Less(t, r.memory(t, "VmHWM"), float64(maxMemory), "MiB")

	resume()
	require.Eventually(t, func() bool { return r.reviewUser(client, accounts-1).err == nil }, wait, 10*time.Millisecond)
	require.Eventually(t, func() bool { return r.goroutines(t) <= goroutines+8 }, wait, 100*time.Millisecond)
	report(t, "every response < 1 s; < 64 MiB with 100,000 users, < 100 MiB in the storm, no growth", "%.0f/s while it responds, %.0f/s while "+
		"it hangs: %d admitted, %d told to try again, slowest %s; %.0f MiB after %d users, %.0f before it hangs, %.0f at the "+
		"end, at most %.0f; %.0f goroutines before, %.0f while it hangs", quiet.rate(), hung.rate(), len(hung.tries)-len(hung.failed()),
		len(hung.failed()), milliseconds(hung.percentile(100)), caching, reviewed, memory, after, r.memory(t, "VmHWM"), goroutines, stuck)
}

// assertKnown fails if any review of the load failed or was a violation, because the directory service has every user.
// On a slow machine it allows failed reviews, because a lookup can take longer than a review waits.
func assertKnown(t *testing.T, o outcome) {
	t.Helper()
	o.assertNoViolation(t)
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

// ldapConfiguration writes a configuration file with the directory service as the source of identities, and returns the
// path of the file.
func ldapConfiguration(t *testing.T, directory *slapd.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "apiVersion: jupyter-user.io/v1alpha1\nkind: WebhookConfiguration\n"+
		"identity:\n  ldap:\n    urls: [%s]\n    caFile: %s\n    freshSeconds: 1\n    users: {baseDN: 'ou=people,dc=example,dc=org'}\n"+
		"    groups: {baseDN: 'ou=groups,dc=example,dc=org'}\n", directory.LDAPS, directory.CAFile), 0o600))
	return file
}

// reviewUser sends a review of a user's notebook. A denial with 503 is an error. Any other denial is a violation, and so is
// an admission with another UID or GID than the user's.
func (r *replica) reviewUser(client *http.Client, user int) try {
	review := strings.Replace(goodReview, `"jupyter-user":"alice"`, fmt.Sprintf(`"jupyter-user":"user%d"`, user), 1)
	reviewed, _, err := r.send(client, "/mutate", review)
	switch {
	case err != nil:
		return try{err: err}
	case !reviewed.Response.Allowed && reviewed.Response.Status.Code == http.StatusServiceUnavailable:
		return try{err: fmt.Errorf("denied with 503: %s", reviewed.Response.Status.Message)}
	case !reviewed.Response.Allowed:
		return try{violation: fmt.Errorf("denied: %+v", reviewed)}
	}
	patch, err := base64.StdEncoding.DecodeString(reviewed.Response.Patch)
	if want := fmt.Sprintf(`"%d:%[1]d"`, firstUID+user); err != nil || !strings.Contains(string(patch), want) {
		return try{violation: fmt.Errorf("admitted with another identity than %s: %s", want, patch)}
	}
	return try{}
}

// reviewingUsers returns a function that sends one review. Nine of ten reviews are of users that the replica has cached.
// Every tenth review is of a user that the replica has not cached.
func (r *replica) reviewingUsers(client *http.Client, next *atomic.Int64) func(context.Context) try {
	return func(context.Context) try {
		n := int(next.Add(1))
		if n%10 == 0 {
			return r.reviewUser(client, reviewed+n/10%(accounts-reviewed))
		}
		return r.reviewUser(client, reviewed-1-n%15_000)
	}
}
