package identity_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]identity.Identity{
		"5003:6003":              {UID: 5003, GID: 6003},
		"5003:6003:7001":         {UID: 5003, GID: 6003, Groups: []int64{7001}},
		"5003:6003:7001,7002":    {UID: 5003, GID: 6003, Groups: []int64{7001, 7002}},
		"0:0":                    {UID: 0, GID: 0},
		"0:1:0":                  {UID: 0, GID: 1, Groups: []int64{0}},
		"2147483647:2147483647":  {UID: 2147483647, GID: 2147483647},
		"1:2:2147483646":         {UID: 1, GID: 2, Groups: []int64{2147483646}},
		"65534:65534:1000,65534": {UID: 65534, GID: 65534, Groups: []int64{1000}},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := identity.Parse(text)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			again, err := identity.Parse(got.String())
			require.NoError(t, err)
			assert.Equal(t, want, again)
		})
	}
}

func TestParseSortsGroups(t *testing.T) {
	got, err := identity.Parse("5003:6003:7002,6003,7001,7002")
	require.NoError(t, err)
	assert.Equal(t, []int64{7001, 7002}, got.Groups, "ascending, without duplicates and without the GID")
	assert.Equal(t, "5003:6003:7001,7002", got.String())

	got, err = identity.Parse("5003:6003:6003")
	require.NoError(t, err)
	assert.Nil(t, got.Groups)
	assert.Equal(t, "5003:6003", got.String())
}

func TestNewDoesNotChangeArgument(t *testing.T) {
	given := []int64{3, 1, 2, 1}
	identity.New(1, 2, given)
	assert.Equal(t, []int64{3, 1, 2, 1}, given)
}

func TestParseErrors(t *testing.T) {
	for name, text := range map[string]string{
		"empty text":                "",
		"a UID without a GID":       "5003",
		"an empty GID":              "5003:",
		"an empty UID":              ":6003",
		"an empty list of groups":   "5003:6003:",
		"a trailing comma":          "5003:6003:7001,",
		"a leading comma":           "5003:6003:,7001",
		"four parts":                "5003:6003:7001:7002",
		"a leading zero":            "05003:6003",
		"octal":                     "0o17:6003",
		"hexadecimal":               "0x10:6003",
		"an underscore":             "5_003:6003",
		"an exponent":               "5e3:6003",
		"a plus":                    "+5003:6003",
		"a minus":                   "-1:6003",
		"minus zero":                "-0:6003",
		"a negative GID":            "5003:-1",
		"a negative group":          "5003:6003:-1",
		"a space":                   " 5003:6003",
		"a line break":              "5003:6003\n",
		"a name":                    "alice:users",
		"2^31":                      "2147483648:6003",
		"2^31 as a GID":             "5003:2147483648",
		"2^31 as a group":           "5003:6003:2147483648",
		"2^32":                      "4294967296:6003",
		"2^32-1":                    "4294967295:6003",
		"2^64":                      "18446744073709551616:6003",
		"digits that are not ASCII": "５００３:6003",
		"a NUL":                     "5003\x00:6003",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := identity.Parse(text)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestFloor(t *testing.T) {
	floor := identity.Floor{MinUID: 1000, MinGID: 1000, DeniedGIDs: []int64{2000}}
	for name, c := range map[string]struct {
		id  identity.Identity
		why string // empty if there is no error
	}{
		"a user":                              {identity.Identity{UID: 5003, GID: 6003, Groups: []int64{7001}}, ""},
		"lowest UID and GID":                  {identity.Identity{UID: 1000, GID: 1000}, ""},
		"highest UID and GID":                 {identity.Identity{UID: 2147483647, GID: 2147483647, Groups: []int64{2147483646}}, ""},
		"next to nobody":                      {identity.Identity{UID: 65533, GID: 65535}, ""},
		"root":                                {identity.Identity{UID: 0, GID: 6003}, "UID 0 is root, who owns a home if its file system is not mounted, or if the directory was created and not given to its user: mount the file system, or chown the home"},
		"UID below the floor":                 {identity.Identity{UID: 999, GID: 6003}, "UID 999 is below 1000, the lowest of a user (identity.minUID)"},
		"negative UID":                        {identity.Identity{UID: -1, GID: 6003}, "UID -1 is below 1000, the lowest of a user (identity.minUID)"},
		"nobody":                              {identity.Identity{UID: 65534, GID: 6003}, "UID 65534 is nobody, which is what NFS shows for an owner that it cannot map (idmapd) or squashes"},
		"nobody of an old server":             {identity.Identity{UID: 4294967294, GID: 6003}, "UID 4294967294 is nobody, which is what NFS shows for an owner that it cannot map (idmapd) or squashes"},
		"nogroup of an old server":            {identity.Identity{UID: 5003, GID: 4294967294}, "GID 4294967294 is nogroup, which is what NFS shows for a group that it cannot map (idmapd) or squashes"},
		"UID of 2^31":                         {identity.Identity{UID: 2147483648, GID: 6003}, "UID 2147483648 is over 2147483647, the highest that Kubernetes accepts"},
		"GID of root":                         {identity.Identity{UID: 5003, GID: 0}, "GID 0 is below 1000, the lowest of a user (identity.minGID)"},
		"GID below the floor":                 {identity.Identity{UID: 5003, GID: 999}, "GID 999 is below 1000, the lowest of a user (identity.minGID)"},
		"negative GID":                        {identity.Identity{UID: 5003, GID: -1}, "GID -1 is below 1000, the lowest of a user (identity.minGID)"},
		"nogroup":                             {identity.Identity{UID: 5003, GID: 65534}, "GID 65534 is nogroup, which is what NFS shows for a group that it cannot map (idmapd) or squashes"},
		"GID of 2^31":                         {identity.Identity{UID: 5003, GID: 2147483648}, "GID 2147483648 is over 2147483647, the highest that Kubernetes accepts"},
		"denied GID":                          {identity.Identity{UID: 5003, GID: 2000}, "GID 2000 is denied here (identity.deniedGIDs)"},
		"supplementary group of root":         {identity.Identity{UID: 5003, GID: 6003, Groups: []int64{0}}, "GID 0 is below 1000, the lowest of a user (identity.minGID)"},
		"supplementary group below the floor": {identity.Identity{UID: 5003, GID: 6003, Groups: []int64{7001, 999}}, "GID 999 is below 1000, the lowest of a user (identity.minGID)"},
		"supplementary nogroup":               {identity.Identity{UID: 5003, GID: 6003, Groups: []int64{7001, 65534}}, "GID 65534 is nogroup, which is what NFS shows for a group that it cannot map (idmapd) or squashes"},
		"denied supplementary group":          {identity.Identity{UID: 5003, GID: 6003, Groups: []int64{2000, 7001}}, "GID 2000 is denied here (identity.deniedGIDs)"},
	} {
		t.Run(name, func(t *testing.T) {
			err := floor.Check(c.id)
			if c.why == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, c.why)
		})
	}
}

// TestFloorDeniesRoot tests that even a floor of 0 or less denies root, nobody and negative IDs.
func TestFloorDeniesRoot(t *testing.T) {
	for _, floor := range []identity.Floor{{}, {MinUID: -10, MinGID: -10}, {MinUID: 1, MinGID: 1}} {
		assert.Error(t, floor.Check(identity.Identity{UID: 0, GID: 1000}))
		assert.Error(t, floor.Check(identity.Identity{UID: -5, GID: 1000}))
		assert.Error(t, floor.Check(identity.Identity{UID: 1000, GID: 0}))
		assert.Error(t, floor.Check(identity.Identity{UID: 1000, GID: -5}))
		assert.Error(t, floor.Check(identity.Identity{UID: 1000, GID: 1000, Groups: []int64{0}}))
		assert.Error(t, floor.Check(identity.Identity{UID: 65534, GID: 1000}))
		assert.NoError(t, floor.Check(identity.Identity{UID: 1, GID: 1}))
	}
}

func TestLeaveOut(t *testing.T) {
	floor := identity.Floor{MinUID: 1000, MinGID: 1000, DeniedGIDs: []int64{500, 2000}}
	for text, want := range map[string]string{
		"20335:68100:680,975,1020,68000": "20335:68100:1020,68000", // from a public report
		"5003:6003":                      "5003:6003",
		"5003:6003:7001":                 "5003:6003:7001",
		"5003:6003:0,27,65534":           "5003:6003",
		"5003:27:27,7001":                "5003:27:7001",
		"5003:6003:500,680,2000":         "5003:6003:500,2000",
	} {
		id, err := identity.Parse(text)
		require.NoError(t, err)
		assert.Equal(t, want, floor.LeaveOut(id).String())
		assert.Equal(t, id, identity.New(id.UID, id.GID, id.Groups), "the argument is not changed")
	}
	beyond := floor.LeaveOut(identity.New(5003, 6003, []int64{7001, 2147483648, 4294967294}))
	assert.Equal(t, "5003:6003:7001", beyond.String())
}

func TestCheckOwner(t *testing.T) {
	assert.ErrorContains(t, identity.CheckOwner(0), "UID 0 is root")
	assert.ErrorContains(t, identity.CheckOwner(65534), "UID 65534 is nobody")
	assert.ErrorContains(t, identity.CheckOwner(4294967294), "UID 4294967294 is nobody")
	for _, uid := range []int64{1, 999, 1000, 65533, 65535, 2147483647, 4294967293} {
		assert.NoError(t, identity.CheckOwner(uid))
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"5003:6003", "5003:6003:7001,7002", "0:0", "05:6", "+1:2", "1:2:", "2147483648:1", "1:2:2,2", "١:٢"} {
		f.Add(seed)
	}
	spelling := regexp.MustCompile(`\A(0|[1-9][0-9]{0,9}):(0|[1-9][0-9]{0,9})(:(0|[1-9][0-9]{0,9})(,(0|[1-9][0-9]{0,9}))*)?\z`)
	f.Fuzz(func(t *testing.T, text string) {
		id, err := identity.Parse(text)
		if err != nil {
			return
		}
		require.Regexp(t, spelling, text)
		for _, n := range append([]int64{id.UID, id.GID}, id.Groups...) {
			assert.True(t, n >= 0 && n <= 2147483647)
		}
		assert.True(t, slices.IsSorted(id.Groups))
		assert.NotContains(t, id.Groups, id.GID)
		again, err := identity.Parse(id.String())
		require.NoError(t, err)
		assert.Equal(t, id, again)
	})
}

func TestWithGroups(t *testing.T) {
	id := identity.New(1, 2, []int64{7003, 7001, 7002})
	assert.Equal(t, "1:2:7001,7002", id.WithGroups(2).String(), "those with the lowest numbers")
	assert.Equal(t, id, id.WithGroups(3))
	assert.Equal(t, id, id.WithGroups(15))
	assert.Equal(t, "1:2", id.WithGroups(0).String())
	assert.Equal(t, "1:2:7001,7002,7003", id.String(), "the argument is not changed")
}
