package handoff_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/handoff"
)

// The following command lines are written out, so that a change of the format fails the tests. The format must not change,
// because Pods that run while the webhook is updated have such command lines.

var discoverCases = map[string]struct {
	value handoff.Discover
	args  []string
}{
	"at start": {
		handoff.Discover{
			User: "qiang.guo03", Homes: "/data/hpc/home", Scratch: "/config", Home: "/home/qiang.guo03", MinUID: 1000, MinGID: 1000,
		},
		[]string{
			"discover", "--user=qiang.guo03", "--homes=/data/hpc/home", "--scratch=/config", "--home=/home/qiang.guo03",
			"--min-uid=1000", "--min-gid=1000",
		},
	},
	"known at admission": {
		handoff.Discover{
			User: "alice", Homes: "/data/hpc/home", Scratch: "/config", Home: "/home/alice", MinUID: 1000, MinGID: 500,
			DeniedGIDs: []int64{0, 2000}, Expect: &handoff.Expected{UID: 5003, GID: 6003, Groups: []int64{7001, 7002}},
		},
		[]string{
			"discover", "--user=alice", "--homes=/data/hpc/home", "--scratch=/config", "--home=/home/alice", "--min-uid=1000",
			"--min-gid=500", "--denied-gids=0,2000", "--uid=5003", "--gid=6003", "--groups=7001,7002",
		},
	},
	"with settings of Jupyter": {
		handoff.Discover{
			User: "a", Homes: "/h", Scratch: "/s", Home: "/x", MinUID: 1, MinGID: 1,
			JupyterConfig: `{"ServerApp":{"ip":"","port":8888}}`, Umask: "0027",
			Expect: &handoff.Expected{UID: 5003, GID: 6003},
		},
		[]string{
			"discover", "--user=a", "--homes=/h", "--scratch=/s", "--home=/x", "--min-uid=1", "--min-gid=1",
			`--jupyter-config={"ServerApp":{"ip":"","port":8888}}`, "--umask=0027", "--uid=5003",
			"--gid=6003",
		},
	},
	"with directories of the user": {
		handoff.Discover{
			User: "a", Homes: "/h", Scratch: "/s", Home: "/x", MinUID: 1, MinGID: 1,
			Directories: []string{"/directories/hpc-shared-pvc/scratch/a", "/directories/archive/u/a"},
			Expect:      &handoff.Expected{UID: 5003, GID: 6003},
		},
		[]string{
			"discover", "--user=a", "--homes=/h", "--scratch=/s", "--home=/x",
			`--directories=["/directories/hpc-shared-pvc/scratch/a","/directories/archive/u/a"]`, "--min-uid=1", "--min-gid=1", "--uid=5003",
			"--gid=6003",
		},
	},
	"known, without groups": {
		handoff.Discover{
			User: "a", Homes: "/h", Scratch: "/s", Home: "/x", MinUID: 1, MinGID: 1,
			Expect: &handoff.Expected{UID: 2147483647, GID: 2147483647},
		},
		[]string{
			"discover", "--user=a", "--homes=/h", "--scratch=/s", "--home=/x", "--min-uid=1", "--min-gid=1", "--uid=2147483647",
			"--gid=2147483647",
		},
	},
}

var execCases = map[string]struct {
	value handoff.Exec
	args  []string
}{
	"the pod's command": {
		handoff.Exec{User: "alice", Home: "/home/alice", Scratch: "/config", Argv: []string{"jupyter", "lab", "--port", "9999"}},
		[]string{"exec", "--user=alice", "--home=/home/alice", "--scratch=/config", "--", "jupyter", "lab", "--port", "9999"},
	},
	"in another directory": {
		handoff.Exec{User: "alice", Home: "/home/alice", Scratch: "/config", WorkingDir: "/work, of $HOME", Argv: []string{"sh"}},
		[]string{"exec", "--user=alice", "--home=/home/alice", "--scratch=/config", "--working-dir=/work, of $HOME", "--", "sh"},
	},
	"with settings of Jupyter": {
		handoff.Exec{User: "alice", Home: "/home/alice", Scratch: "/config", JupyterConfig: true, Image: &handoff.ImageStart{}},
		[]string{"exec", "--user=alice", "--home=/home/alice", "--scratch=/config", "--jupyter-config", "--image-start", "--"},
	},
	"the image's own start, of a known family": {
		handoff.Exec{User: "alice", Home: "/home/alice", Scratch: "/config", Image: &handoff.ImageStart{}},
		[]string{"exec", "--user=alice", "--home=/home/alice", "--scratch=/config", "--image-start", "--"},
	},
	"a configured start": {
		handoff.Exec{User: "alice", Home: "/home/alice", Scratch: "/config", Image: &handoff.ImageStart{
			Entrypoint: []string{"tini", "-g", "--"}, Command: []string{"start.sh", `a "quoted" one`, ""},
		}},
		[]string{
			"exec", "--user=alice", "--home=/home/alice", "--scratch=/config", "--image-start", `--entrypoint=["tini","-g","--"]`,
			`--command=["start.sh","a \"quoted\" one",""]`, "--",
		},
	},
	"a configured start with the pod's args": {
		handoff.Exec{User: "a", Home: "/h", Scratch: "/s", Image: &handoff.ImageStart{Command: []string{"x"}}, Argv: []string{"--", "--user=root"}},
		[]string{"exec", "--user=a", "--home=/h", "--scratch=/s", "--image-start", `--command=["x"]`, "--", "--", "--user=root"},
	},
}

func TestDiscoverArgs(t *testing.T) {
	for name, c := range discoverCases {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.args, c.value.Args())
			got, err := handoff.ParseDiscover(c.args)
			require.NoError(t, err)
			assert.Equal(t, c.value, got)
		})
	}
}

func TestExecArgs(t *testing.T) {
	for name, c := range execCases {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.args, c.value.Args())
			got, err := handoff.ParseExec(c.args)
			require.NoError(t, err)
			assert.Equal(t, c.value.Argv, slices.Clip(append([]string(nil), got.Argv...)))
			got.Argv = c.value.Argv // an empty Argv can be nil
			assert.Equal(t, c.value, got)
		})
	}
}

func TestParseDiscoverErrors(t *testing.T) {
	valid := discoverCases["known at admission"].args
	for name, args := range invalidVariants(valid, []string{"--denied-gids=0,2000", "--groups=7001,7002"}) {
		t.Run(name, func(t *testing.T) {
			_, err := handoff.ParseDiscover(args)
			assert.Error(t, err)
		})
	}
	for name, replaced := range map[string][2]string{
		"an empty user":                 {"--user=alice", "--user="},
		"a path as user":                {"--user=alice", "--user=../bob"},
		"a user with a line break":      {"--user=alice", "--user=alice\nroot"},
		"a user with a field separator": {"--user=alice", "--user=alice:x"},
		"a user of another script":      {"--user=alice", "--user=\u0430lice"},
		"a home with a field separator": {"--home=/home/alice", "--home=/home/alice:/bin/sh"},
		"a home with a line break":      {"--home=/home/alice", "--home=/home/alice\nevil"},
		"empty homes":                   {"--homes=/data/hpc/home", "--homes="},
		"a scratch with a NUL":          {"--scratch=/config", "--scratch=/config\x00"},
		"a word as number":              {"--min-uid=1000", "--min-uid=many"},
		"a number with a leading zero":  {"--min-uid=1000", "--min-uid=01000"},
		"a number with a plus":          {"--min-uid=1000", "--min-uid=+1000"},
		"a number with a space":         {"--min-uid=1000", "--min-uid= 1000"},
		"a negative number":             {"--min-uid=1000", "--min-uid=-1"},
		"a UID of 2^31":                 {"--uid=5003", "--uid=2147483648"},
		"a UID without a GID":           {"--gid=6003", "--groups=1"},
		"a list with an empty element":  {"--groups=7001,7002", "--groups=7001,,7002"},
		"a list with a trailing comma":  {"--groups=7001,7002", "--groups=7001,"},
		"a list with a space":           {"--groups=7001,7002", "--groups=7001, 7002"},
		"an empty list":                 {"--denied-gids=0,2000", "--denied-gids="},
		"another verb":                  {"discover", "exec"},
		"the verb in another case":      {"discover", "Discover"},
		"a flag of the other verb":      {"--home=/home/alice", "--image-start"},
		"a flag in another case":        {"--user=alice", "--User=alice"},
		"a flag with one hyphen":        {"--user=alice", "-user=alice"},
		"a flag with three hyphens":     {"--user=alice", "---user=alice"},
		"a flag without a value":        {"--user=alice", "--user"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, valid, replaced[0])
			args := slices.Clone(valid)
			args[slices.Index(args, replaced[0])] = replaced[1]
			_, err := handoff.ParseDiscover(args)
			assert.Error(t, err)
		})
	}
}

func TestParseExecErrors(t *testing.T) {
	valid := execCases["in another directory"].args
	for name, args := range invalidVariants(valid[:len(valid)-2], []string{"--working-dir=/work, of $HOME"}) {
		t.Run(name, func(t *testing.T) {
			_, err := handoff.ParseExec(append(args, "--", "sh"))
			assert.Error(t, err)
		})
	}
	for name, args := range map[string][]string{
		"no arguments":                 nil,
		"the verb only":                {"exec"},
		"a command without --":         {"exec", "--user=a", "--home=/h", "--scratch=/s", "sh"},
		"neither -- nor a command":     {"exec", "--user=a", "--home=/h", "--scratch=/s"},
		"flags after --":               {"exec", "--user=a", "--", "--home=/h", "--scratch=/s", "sh"},
		"a switch with a value":        {"exec", "--user=a", "--home=/h", "--scratch=/s", "--image-start=no", "--"},
		"a switch with an empty value": {"exec", "--user=a", "--home=/h", "--scratch=/s", "--image-start=", "--"},
		"--entrypoint without image":   {"exec", "--user=a", "--home=/h", "--scratch=/s", `--entrypoint=["x"]`, "--", "sh"},
		"an entrypoint without JSON":   {"exec", "--user=a", "--home=/h", "--scratch=/s", "--image-start", "--entrypoint=tini", "--"},
		"an entrypoint of a JSON map":  {"exec", "--user=a", "--home=/h", "--scratch=/s", "--image-start", `--entrypoint={"a":1}`, "--"},
		"an empty entrypoint":          {"exec", "--user=a", "--home=/h", "--scratch=/s", "--image-start", `--entrypoint=[]`, "--"},
		"an entrypoint of null":        {"exec", "--user=a", "--home=/h", "--scratch=/s", "--image-start", `--entrypoint=null`, "--"},
		"a command of numbers":         {"exec", "--user=a", "--home=/h", "--scratch=/s", "--image-start", `--command=[1]`, "--"},
		"a command of two JSON lists":  {"exec", "--user=a", "--home=/h", "--scratch=/s", "--image-start", `--command=["x"]["y"]`, "--"},
		"a user ..":                    {"exec", "--user=..", "--home=/h", "--scratch=/s", "--", "sh"},
		"a user with a leading hyphen": {"exec", "--user=-a", "--home=/h", "--scratch=/s", "--", "sh"},
		"a home with a line break":     {"exec", "--user=a", "--home=/h\n", "--scratch=/s", "--", "sh"},
		"an empty argument":            {"exec", "--user=a", "--home=/h", "", "--scratch=/s", "--", "sh"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := handoff.ParseExec(args)
			assert.Error(t, err)
		})
	}
}

// invalidVariants returns invalid command lines. Each has a single fault: a repeated argument, a missing required argument
// or an unknown argument. The parameter optional has the arguments that are not required.
func invalidVariants(valid []string, optional []string) map[string][]string {
	variants := map[string][]string{}
	for i, arg := range valid {
		if !slices.Contains(optional, arg) {
			variants["without "+arg] = slices.Delete(slices.Clone(valid), i, i+1)
		}
		variants["twice "+arg] = slices.Insert(slices.Clone(valid), i, arg)
		for _, unknown := range []string{"--unknown=x", "--unknown", "", "-", "--=x", "=", "--no-user=x", "alice", "--user alice"} {
			variants[unknown+" before "+arg] = slices.Insert(slices.Clone(valid), i, unknown)
		}
	}
	return variants
}

// TestArgsRoundTrip writes random values as command lines and parses them. The values have texts that are special in a
// command line.
func TestArgsRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4)) // the same values each time
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	ids := func() (ids []int64) {
		for range random.IntN(4) {
			ids = append(ids, random.Int64N(1<<31))
		}
		return ids
	}
	anything := func() string {
		return strings.Repeat(pick("a", " ", "\n", "--", "=", "$(X)", "$$", `"`, `\`, "<&>", "ä", "😀", "\u2028", "[", ","), random.IntN(4))
	}
	argv := func() (argv []string) {
		for range random.IntN(4) {
			argv = append(argv, pick(anything(), "--", "--user=root", "", "sh", "-c"))
		}
		return argv
	}
	for range 10_000 {
		user, dir := pick("alice", "_", "qiang.guo03", "A-b", "user-1"), pick("/config", "/a b", "/x,y", "/Ω", "/a=b", "/--", "/$HOME")
		d := handoff.Discover{
			User: user, Homes: dir, Scratch: dir + "/s", Home: dir + "/" + user,
			MinUID: random.Int64N(1 << 31), MinGID: random.Int64N(1 << 31), DeniedGIDs: ids(),
		}
		if random.IntN(2) == 0 {
			d.Expect = &handoff.Expected{UID: random.Int64N(1 << 31), GID: random.Int64N(1 << 31), Groups: ids()}
		}
		gotDiscover, err := handoff.ParseDiscover(d.Args())
		require.NoError(t, err)
		require.Equal(t, d, gotDiscover)

		e := handoff.Exec{User: user, Home: dir, Scratch: dir, WorkingDir: anything(), Argv: append(argv(), "sh")}
		if random.IntN(2) == 0 {
			e.Image = &handoff.ImageStart{Entrypoint: argv(), Command: argv()}
		}
		gotExec, err := handoff.ParseExec(e.Args())
		require.NoError(t, err)
		require.Equal(t, e, gotExec)
	}
}

// FuzzArgs tests ParseDiscover and ParseExec: a command line that is parsed, written and parsed again must give the same
// value.
func FuzzArgs(f *testing.F) {
	for _, c := range discoverCases {
		f.Add(strings.Join(c.args, "\x00"))
	}
	for _, c := range execCases {
		f.Add(strings.Join(c.args, "\x00"))
	}
	f.Fuzz(func(t *testing.T, joined string) {
		args := strings.Split(joined, "\x00")
		if d, err := handoff.ParseDiscover(args); err == nil {
			again, err := handoff.ParseDiscover(d.Args())
			require.NoError(t, err)
			assert.Equal(t, d, again)
			assert.Regexp(t, `\A[A-Za-z0-9_][A-Za-z0-9._-]*\z`, d.User)
			assert.NotRegexp(t, `[:[:cntrl:]]`, d.Home)
		}
		if e, err := handoff.ParseExec(args); err == nil {
			again, err := handoff.ParseExec(e.Args())
			require.NoError(t, err)
			assert.Equal(t, e, again)
			assert.Regexp(t, `\A[A-Za-z0-9_][A-Za-z0-9._-]*\z`, e.User)
		}
	})
}
