package user_test

import (
	"fmt"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

var rules = config.User{MaxLength: 32}

func TestParse(t *testing.T) {
	for name, text := range map[string]string{
		"one letter":                    "a",
		"a word":                        "alice",
		"first and last name":           "qiang.guo03",
		"a leading underscore":          "_service",
		"an underscore only":            "_",
		"an underscore inside":          "alice_s",
		"a hyphen":                      "user-1",
		"digits after the first letter": "u123",
		"two dots inside":               "a..b",
		"a dot at the end":              "alice.",
		"32 characters":                 strings.Repeat("a", 32),
		"a reserved name as prefix":     "rooted",
		"a reserved name with a dot":    "root.smith",
		"an exponent":                   "e10",
		"a boolean of YAML":             "yes",
	} {
		t.Run(name, func(t *testing.T) {
			got, denied := user.Parse("here", text, rules)
			require.Nil(t, denied)
			assert.Equal(t, text, got.String())
		})
	}
}

func TestParseInvalidName(t *testing.T) {
	const begins, made = "a name begins with a to z or _", "a name is made of a to z, 0 to 9, dot, _ and -"
	for name, c := range map[string]struct{ text, why string }{
		"an empty name":                  {"", "the name is empty"},
		"33 characters":                  {strings.Repeat("a", 33), "it has 33 characters, and a name has at most 32"},
		"64 characters":                  {strings.Repeat("a", 64), "it has 64 characters, and a name has at most 32"},
		"a snapshot directory":           {".snapshot", "a leading dot is reserved for directories of the share, such as .snapshot"},
		"a dot":                          {".", "a leading dot is reserved for directories of the share, such as .snapshot"},
		"two dots":                       {"..", "a leading dot is reserved for directories of the share, such as .snapshot"},
		"a path that begins with ..":     {"../alice", "a leading dot is reserved for directories of the share, such as .snapshot"},
		"upper case":                     {"Alice", "names are lower case here (user.allowUpperCase is off)"},
		"upper case inside":              {"aliCe", "names are lower case here (user.allowUpperCase is off)"},
		"a reserved name in upper case":  {"ROOT", "names are lower case here (user.allowUpperCase is off)"},
		"a leading digit":                {"123abc", begins + " here (user.allowLeadingDigit is off)"},
		"a leading hyphen":               {"-rf", begins},
		"a flag":                         {"--uid=0", begins},
		"a leading space":                {" alice", begins},
		"a leading line break":           {"\nalice", begins},
		"a leading slash":                {"/alice", begins},
		"a leading look-alike":           {"\u0430lice", begins}, // the first letter is Cyrillic
		"a slash":                        {"alice/bob", made},
		"a backslash":                    {`corp\alice`, made},
		"a path with ..":                 {"alice/../bob", made},
		"a colon":                        {"alice:0", made},
		"a comma":                        {"alice,bob", made},
		"a space":                        {"alice bob", made},
		"a trailing space":               {"alice ", made},
		"a tab":                          {"alice\tbob", made},
		"a line break":                   {"alice\nroot", made},
		"a trailing line break":          {"alice\n", made},
		"a trailing carriage return":     {"alice\r", made},
		"a NUL":                          {"alice\x00", made},
		"an escape":                      {"alice\x1b[31m", made},
		"a DEL":                          {"alice\x7f", made},
		"a variable":                     {"alice$HOME", made},
		"a Kubernetes variable":          {"a$(NB_USER)", made},
		"a command":                      {"a`id`", made},
		"a machine account":              {"alice$", made},
		"a quote":                        {"o'neil", made},
		"a double quote":                 {`al"ice`, made},
		"a tilde":                        {"alice~", made},
		"a star":                         {"alice*", made},
		"a percent":                      {"alice%2f", made},
		"an umlaut":                      {"müller", made},
		"a look-alike":                   {"al\u0456ce", made}, // Cyrillic i
		"a full-width letter":            {"al\uff49ce", made},
		"a right-to-left override":       {"alice\u202egnp", made},
		"a zero-width space":             {"ali\u200bce", made},
		"a combining accent":             {"alice\u0301", made},
		"invalid UTF-8":                  {"alice\xff\xfe", made},
		"17 umlauts, which are 34 bytes": {strings.Repeat("ä", 17), begins},
	} {
		t.Run(name, func(t *testing.T) {
			got, denied := user.Parse("metadata.labels[jupyter-user]", c.text, rules)
			require.NotNil(t, denied)
			assert.Equal(t, user.Name{}, got, "a denied name gives no Name")
			assert.EqualValues(t, "NameInvalid", denied.Reason)
			assert.EqualValues(t, 422, denied.Code)
			assert.Equal(t, "metadata.labels[jupyter-user]", denied.Field)
			assert.True(t, strings.HasSuffix(denied.Message, " cannot be a user here: "+c.why), denied.Message)
			assertPrintable(t, denied.Message)
		})
	}
}

func assertPrintable(t *testing.T, message string) {
	t.Helper()
	assert.NotRegexp(t, `[\x00-\x1f\x7f]`, message, "a denial is one line, whatever the name is")
	assert.NotContains(t, message, "\u202e", "a denial is read from left to right")
}

func TestParseShortensLongName(t *testing.T) {
	_, denied := user.Parse("here", strings.Repeat("a", 1<<20), rules)
	require.NotNil(t, denied)
	assert.Less(t, len(denied.Message), 200)
}

func TestParseReservedName(t *testing.T) {
	for _, name := range []string{
		"root", "nobody", "jovyan", "users", "nogroup", "daemon", "bin", "sys", "www-data", "sudo", "wheel", "docker", "shadow",
		"_apt", "sshd", "nfsnobody", "backup", "staff",
	} {
		t.Run(name, func(t *testing.T) {
			_, denied := user.Parse("here", name, rules)
			require.NotNil(t, denied)
			assert.EqualValues(t, "NameReserved", denied.Reason)
			assert.EqualValues(t, 403, denied.Code)
		})
	}

	mixed := config.User{MaxLength: 32, AllowUpperCase: true, Domains: []string{"corp.example"}, Reserved: []string{"Scanner"}}
	for _, name := range []string{
		"Root", "ROOT", "JoVyan", "root@corp.example", "RooT@corp.example", "Scanner", "sCaNNer", "scanner@corp.example", "_APT",
	} {
		t.Run(name, func(t *testing.T) {
			_, denied := user.Parse("here", name, mixed)
			require.NotNil(t, denied)
			assert.EqualValues(t, "NameReserved", denied.Reason)
		})
	}
}

func TestParseUpperCase(t *testing.T) {
	got, denied := user.Parse("here", "Alice.Smith", config.User{MaxLength: 32, AllowUpperCase: true})
	require.Nil(t, denied)
	assert.Equal(t, "Alice.Smith", got.String(), "Alice is not alice: nothing is rewritten")
}

func TestParseDomain(t *testing.T) {
	corp := config.User{MaxLength: 8, Domains: []string{"corp.example"}}
	for name, text := range map[string]string{
		"configured domain":                 "alice@corp.example",
		"no domain":                         "alice",
		"name of maximum length and domain": "a2345678@corp.example",
		"one letter and domain":             "a@corp.example",
	} {
		t.Run(name, func(t *testing.T) {
			got, denied := user.Parse("here", text, corp)
			require.Nil(t, denied)
			assert.Equal(t, strings.Split(text, "@")[0], got.String())
		})
	}

	for name, c := range map[string]struct {
		text, reason string
		rules        config.User
	}{
		"another domain":                         {"alice@evil.example", "NameDomain", corp},
		"the domain with a look-alike in it":     {"alice@corp.e\u0445ample", "NameDomain", corp},
		"the domain in another case":             {"alice@Corp.Example", "NameDomain", corp},
		"a subdomain":                            {"alice@x.corp.example", "NameDomain", corp},
		"a domain with the same end":             {"alice@notcorp.example", "NameDomain", corp},
		"the domain with a trailing dot":         {"alice@corp.example.", "NameDomain", corp},
		"an empty domain":                        {"alice@", "NameDomain", corp},
		"two domains":                            {"alice@corp.example@corp.example", "NameDomain", corp},
		"the domain before the name":             {"corp.example@alice", "NameDomain", corp},
		"a line break after the domain":          {"alice@corp.example\n", "NameDomain", corp},
		"a domain, none configured":              {"alice@corp.example", "NameDomain", rules},
		"an empty domain, none configured":       {"alice@", "NameDomain", rules},
		"an empty name":                          {"@corp.example", "NameInvalid", corp},
		"an invalid name":                        {"../x@corp.example", "NameInvalid", corp},
		"a name that is too long without domain": {"a23456789@corp.example", "NameInvalid", corp},
	} {
		t.Run(name, func(t *testing.T) {
			_, denied := user.Parse("here", c.text, c.rules)
			require.NotNil(t, denied)
			assert.EqualValues(t, c.reason, denied.Reason)
			assertPrintable(t, denied.Message)
		})
	}
}

// allowed is the rule for names, except for the length, in the default configuration.
var allowed = regexp.MustCompile(`\A[a-z_][a-z0-9._-]*\z`)

// assertSafe asserts that an accepted name is safe as a directory, an argument and a field of a line of passwd.
func assertSafe(t *testing.T, text, name string, r config.User) {
	t.Helper()
	assert.Regexp(t, allowed, name)
	assert.LessOrEqual(t, len(name), r.MaxLength)
	assert.Equal(t, name, path.Base(name), "the name is one directory")
	assert.Equal(t, name, path.Clean(name), "the name is not that of the directory above")
	assert.Equal(t, "home/"+name, path.Join("home", name))
	for _, reserved := range []string{"root", "nobody", "jovyan", "users", "daemon", "lost+found"} {
		assert.False(t, strings.EqualFold(reserved, name))
	}
	if before, domain, has := strings.Cut(text, "@"); has && slices.Contains(r.Domains, domain) {
		text = before
	}
	assert.Equal(t, text, name, "nothing is rewritten, so that two users never get one home")
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"alice", "root", "../x", "$(id)", "a:b", "a\nb", "Alice", "alice@corp.example", ".snapshot", "а", ""} {
		f.Add(seed, "corp.example")
		f.Add(seed, "")
	}
	f.Fuzz(func(t *testing.T, text, domain string) {
		r := config.User{MaxLength: 32, Domains: []string{domain}}
		name, denied := user.Parse("here", text, r)
		if denied != nil {
			assert.Equal(t, user.Name{}, name)
			assert.Less(t, len(denied.Message), 1000+len(domain))
			return
		}
		assertSafe(t, text, name.String(), r)
	})
}

// TestParseHostileNames tests names with characters that are special in paths, shells, files and templates.
func TestParseHostileNames(t *testing.T) {
	pieces := []string{
		"..", "../", "/", "\\", ".", "~", "$(id)", "`id`", "$HOME", "${IFS}", "$(NB_USER)", "$$", ";", "|", "&", "'", `"`, " ", "\t",
		"\n", "\r\n", "\x00", "\x1b]0;", "\x7f", ":", ",", "=", "--", "-", "@", "@corp.example", "%s", "%2e%2e%2f", "{{.}}", "<!--", "*",
		"?", "[", "#", "+", "root", "ROOT", "jovyan", "alice", "bob", "a", "Z", "0", "65534", "_", "\u0430", "\u0456", "\uff0e\uff0e\uff0f",
		"\u2024", "\u2215", "\u202e", "\u200b", "\ufeff", "\u0130", "\u017f", "\u212a", "ä", "\xff", "\xc0\xae", "😀", strings.Repeat("a", 64),
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same names each time
	accepted := 0
	for range 20_000 {
		var b strings.Builder
		for range 1 + random.IntN(5) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		text := b.String()
		r := config.User{MaxLength: 32, Domains: [][]string{nil, {"corp.example"}}[random.IntN(2)]}
		name, denied := user.Parse("here", text, r)
		if denied != nil {
			if t.Failed() {
				return
			}
			assertPrintable(t, denied.Message)
			continue
		}
		accepted++
		assertSafe(t, text, name.String(), r)
	}
	assert.NotZero(t, accepted, "some of the names must be accepted, otherwise nothing is tested")
}

// TestParseUnicodeLetters tests letters that equal k and s when case is ignored: the Kelvin sign (U+212A) and the long s
// (U+017F).
func TestParseUnicodeLetters(t *testing.T) {
	for _, text := range []string{"\u212aate", "u\u017fers", "\u017f"} {
		_, denied := user.Parse("here", text, config.User{MaxLength: 32, AllowUpperCase: true})
		require.NotNil(t, denied, fmt.Sprintf("%+q", text))
		assert.EqualValues(t, "NameInvalid", denied.Reason)
	}
}

func TestParseLeadingDigit(t *testing.T) {
	digits := config.User{MaxLength: 32, AllowLeadingDigit: true}
	for _, text := range []string{"20201234", "2020-guo", "7", "0x10", "1e3", "9.lab"} {
		got, denied := user.Parse("here", text, digits)
		require.Nil(t, denied, text)
		assert.Equal(t, text, got.String())
		_, denied = user.Parse("here", text, config.User{MaxLength: 32})
		require.NotNil(t, denied, text)
		assert.Equal(t, "\""+text+"\" cannot be a user here: a name begins with a to z or _ here (user.allowLeadingDigit is off)", denied.Message)
	}
	for _, text := range []string{"-1", ".1", "1/2", "1:2", "1 2", "1+1", "\u0661", "1@corp.example", ""} {
		_, denied := user.Parse("here", text, digits)
		assert.NotNil(t, denied, text)
	}
}

func TestParseSeveralDomains(t *testing.T) {
	rules := config.User{MaxLength: 32, Domains: []string{"a.example", "b.example"}}
	for text, want := range map[string]string{"alice": "alice", "alice@a.example": "alice", "alice@b.example": "alice"} {
		got, denied := user.Parse("here", text, rules)
		require.Nil(t, denied, text)
		assert.Equal(t, want, got.String())
	}
	for _, text := range []string{"alice@c.example", "alice@a.example@b.example", "alice@", "alice@A.EXAMPLE", "@a.example", "alice@a.example or b.example"} {
		_, denied := user.Parse("here", text, rules)
		assert.NotNil(t, denied, text)
	}
}
