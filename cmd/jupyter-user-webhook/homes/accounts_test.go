package homes_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/cmd/jupyter-user-webhook/homes"
	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// TestAccountsWithoutHome tests accounts that get no home, each with a line of output.
func TestAccountsWithoutHome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		account homes.Account
		id      *identity.Identity
		err     error
		want    string
	}{
		"reserved":              {account: homes.Account{Name: "root"}, want: `skipped: "root" is reserved`},
		"an invalid name":       {account: homes.Account{Name: "host$"}, want: `skipped: "host$" cannot be a user here`},
		"a path as name":        {account: homes.Account{Name: "../etc"}, want: `skipped: "../etc" cannot be a user here`},
		"a fault":               {account: homes.Account{Name: "cn=x\n", Fault: "has no uid"}, want: `skipped: cn=x\n has no uid`},
		"a UID under the floor": {id: idOf(999, 6001), want: "skipped: alice: UID 999 is below 1000"},
		"root's UID":            {id: idOf(0, 6001), want: "skipped: alice: UID 0 is root"},
		"nobody's UID":          {id: idOf(65534, 6001), want: "skipped: alice: UID 65534 is nobody"},
		"a GID under the floor": {id: idOf(5001, 100), want: "skipped: alice: GID 100 is below 1000"},
		"a GID that is denied":  {id: idOf(5001, 2000), want: "skipped: alice: GID 2000 is denied here"},
		"an unusable account":   {err: &identity.Unusable{Why: "is twice there"}, want: "skipped: alice is twice there"},
		"no account any more":   {want: "skipped: no source of identities knows the user alice"},
		"a silent source":       {err: errors.New("the directory service does not respond"), want: "failed: alice: the directory service does not respond"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.o.Config.Identity.DeniedGIDs = []int64{2000}
			s.o.Identities = source{c.id, c.err}
			if c.account.Name == "" {
				c.account.Name = "alice"
			}
			before := tree(t, s.root)
			summary, err := homes.Run(t.Context(), s.o, []homes.Account{c.account})
			require.NoError(t, err)
			require.Len(t, s.lines, 1)
			assert.True(t, strings.HasPrefix(s.lines[0], c.want), s.lines[0])
			assert.Equal(t, 1, summary.Skipped+summary.Failed)
			assert.Equal(t, strings.HasPrefix(c.want, "failed"), summary.Failed == 1)
			assert.Equal(t, before, tree(t, s.root))
		})
	}
}

func idOf(uid, gid int64) *identity.Identity {
	id := identity.New(uid, gid, nil)
	return &id
}

// source returns the same identity and error for each user.
type source struct {
	id  *identity.Identity
	err error
}

func (s source) Find(context.Context, user.Name) (*identity.Identity, error) { return s.id, s.err }

func (s source) FindUncached(context.Context, user.Name) (*identity.Identity, error) {
	return s.id, s.err
}

// TestSourcesMustAgree tests that a user about whom the sources of identities disagree is skipped.
func TestSourcesMustAgree(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Identities = webhook.Agreeing{
		{Name: denial.DirectoryService, Identities: source{id: idOf(5001, 6009)}}, {Name: denial.Passwd, Identities: users},
	}
	_, err := s.run(t, "alice", "bob")
	require.NoError(t, err)
	require.Len(t, s.lines, 2)
	assert.Equal(t, "made: home/alice, for 5001:6009", s.lines[0], "the GID is the directory service's")
	assert.Contains(t, s.lines[1], "skipped: the sources disagree about the user bob")
}

// TestSilentSourcesEndTheRun tests that a run ends after ten lookups in a row without a response.
func TestSilentSourcesEndTheRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.o.Identities = source{err: errors.New("the directory service does not respond")}
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("user%d", i))
	}
	summary, err := s.run(t, names...)
	require.ErrorContains(t, err, "the sources of identities did not respond about 10 users in a row, the last of whom is user9: ")
	assert.Equal(t, 10, summary.Failed)
}

// TestUnusableAccountIsAResponse tests that a source which responds about an unusable account counts as a source that responds:
// nine errors before and nine after such an account do not end the run.
func TestUnusableAccountIsAResponse(t *testing.T) {
	t.Parallel()
	for name, responds := range map[string]error{
		"an unusable account": &identity.Unusable{Why: "is disabled"}, "sources that disagree": &webhook.Disagreement{},
	} {
		s := newSite(t)
		silent := errors.New("the directory service does not respond")
		s.o.Identities = sequence{errs: slices.Concat(slices.Repeat([]error{silent}, 9), []error{responds}, slices.Repeat([]error{silent}, 9)),
			next: new(int)}
		var names []string
		for i := range 19 {
			names = append(names, fmt.Sprintf("user%02d", i))
		}
		summary, err := s.run(t, names...)
		require.NoError(t, err, name)
		assert.Equal(t, 18, summary.Failed, name)
	}
}

// sequence is a source that returns these errors, one for each lookup.
type sequence struct {
	errs []error
	next *int
}

func (s sequence) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	return s.FindUncached(ctx, name)
}

func (s sequence) FindUncached(context.Context, user.Name) (*identity.Identity, error) {
	*s.next++
	return nil, s.errs[*s.next-1]
}

func TestUnite(t *testing.T) {
	t.Parallel()
	united := homes.Unite([]homes.Account{{Name: "bob", UID: 2}, {Name: "alice", UID: 1}, {Name: "bob", UID: 2}, {Name: "alice", UID: 3}})
	assert.Equal(t, []homes.Account{{Name: "alice", UID: -1}, {Name: "bob", UID: 2}}, united)
}
