package share

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/lookups"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

func TestFindCachesResults(t *testing.T) {
	homes := makeHomes(t)
	s, clock := open(t, homes)
	alice, nobody := named(t, "alice"), named(t, "nobody-yet")
	find := func(name user.Name) *identity.Identity {
		id, err := s.Find(t.Context(), name)
		require.NoError(t, err)
		return id
	}
	require.NotNil(t, find(alice))
	require.Nil(t, find(nobody))
	require.NoError(t, os.Remove(filepath.Join(homes, "alice")))
	require.NoError(t, os.Mkdir(filepath.Join(homes, "nobody-yet"), 0o700))
	assert.NotNil(t, find(alice), "the cached owner is still fresh")
	assert.Nil(t, find(nobody))

	clock.pass(3 * time.Second)
	assert.NotNil(t, find(alice), "an owner is cached for longer than a missing home")
	assert.NotNil(t, find(nobody))

	clock.pass(30 * time.Second)
	assert.Nil(t, find(alice), "the stale owner is not used, because the share has responded")
	assert.Equal(t, map[string]int{"miss found": 2, "miss missing": 2, "hit found": 2, "hit missing": 1}, lookupCounts(t, s))
}

func TestFindUncached(t *testing.T) {
	homes := makeHomes(t)
	s, _ := open(t, homes)
	bob := named(t, "bob")
	require.NoError(t, os.Remove(filepath.Join(homes, "bob")))
	id, err := s.Find(t.Context(), bob)
	require.NoError(t, err)
	require.Nil(t, id)
	require.NoError(t, os.Mkdir(filepath.Join(homes, "bob"), 0o700))
	id, err = s.FindUncached(t.Context(), bob)
	require.NoError(t, err)
	require.NotNil(t, id)
	again, err := s.Find(t.Context(), bob)
	require.NoError(t, err)
	assert.Equal(t, id, again, "the cache has the new result")
}

func TestUnknownNamesDoNotEvictUsers(t *testing.T) {
	s, _ := open(t, makeHomes(t))
	_, err := s.Find(t.Context(), named(t, "alice"))
	require.NoError(t, err)
	for i := range 3 * lookups.MaxMissing {
		_, err := s.Find(t.Context(), named(t, fmt.Sprintf("user%d", i)))
		require.NoError(t, err)
	}
	values, missing := s.finder.Remembered()
	assert.Equal(t, lookups.MaxMissing, missing)
	assert.Equal(t, 1, values)
}
