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

func TestParseTakesNames(t *testing.T) {
	for name, text := range map[string]string{
		"one letter":                     "a",
		"a word":                         "alice",
		"first and last name":            "qiang.guo03",
		"an underscore in front":         "_service",
		"nothing but an underscore":      "_",
		"an underscore inside":           "alice_s",
		"a hyphen":                       "user-1",
		"digits after the first letter":  "u123",
		"two dots inside":                "a..b",
		"a dot at the end":               "alice.",
		"32 characters, the most":        strings.Repeat("a", 32),
		"a reserved name in the front":   "rooted",
		"a reserved name with a dot":     "root.smith",
		"a number like exponent":         "e10",
		"a word that YAML takes for one": "yes",
	} {
		t.Run(name, func(t *testing.T) {
			got, denied := user.Parse("here", text, rules)
			require.Nil(t, denied)
			assert.Equal(t, text, got.String())
		})
	}
}

func TestParseDeniesWhatIsNoName(t *testing.T) {
	const begins, made = "a name begins with a to z or _", "a name is made of a to z, 0 to 9, dot, _ and -"
	for name, c := range map[string]struct{ text, why string }{
		"nothing":                       {"", "the name is empty"},
		"33 characters":                 {strings.Repeat("a", 33), "it has 33 characters, and a name has at most 32"},
		"64 characters":                 {strings.Repeat("a", 64), "it has 64 characters, and a name has at most 32"},
		"a snapshot directory":          {".snapshot", "a leading dot is reserved for directories of the share, such as .snapshot"},
		"the directory itself":          {".", "a leading dot is reserved for directories of the share, such as .snapshot"},
		"the directory above":           {"..", "a leading dot is reserved for directories of the share, such as .snapshot"},
		"the way out":                   {"../alice", "a leading dot is reserved for directories of the share, such as .snapshot"},
		"upper case":                    {"Alice", "names are lower case here (user.allowUpperCase is off)"},
		"upper case inside":             {"aliCe", "names are lower case here (user.allowUpperCase is off)"},
		"a reserved name in upper case": {"ROOT", "names are lower case here (user.allowUpperCase is off)"},
		"a digit in front":              {"123abc", begins + " here (user.allowLeadingDigit is off)"},
		"a hyphen in front":             {"-rf", begins},
		"a flag":                        {"--uid=0", begins},
		"a space in front":              {" alice", begins},
		"a line in front":               {"\nalice", begins},
		"a root directory":              {"/alice", begins},
		"a look-alike in front":         {"\u0430lice", begins}, // the first letter is Cyrillic
		"a slash":                       {"alice/bob", made},
		"a backslash":                   {`corp\alice`, made},
		"a way out behind":              {"alice/../bob", made},
		"a colon":                       {"alice:0", made},
		"a comma":                       {"alice,bob", made},
		"a space":                       {"alice bob", made},
		"a space behind":                {"alice ", made},
		"a tab":                         {"alice\tbob", made},
		"a line break":                  {"alice\nroot", made},
		"a line break behind":           {"alice\n", made},
		"a carriage return behind":      {"alice\r", made},
		"a NUL":                         {"alice\x00", made},
		"an escape":                     {"alice\x1b[31m", made},
		"a DEL":                         {"alice\x7f", made},
		"a variable":                    {"alice$HOME", made},
		"a Kubernetes variable":         {"a$(NB_USER)", made},
		"a command":                     {"a`id`", made},
		"a machine account":             {"alice$", made},
		"a quote":                       {"o'neil", made},
		"a double quote":                {`al"ice`, made},
		"a tilde":                       {"alice~", made},
		"a star":                        {"alice*", made},
		"a percent":                     {"alice%2f", made},
		"an umlaut":                     {"müller", made},
		"a look-alike":                  {"al\u0456ce", made}, // Cyrillic i
		"a full-width letter":           {"al\uff49ce", made},
		"a right-to-left override":      {"alice\u202egnp", made},
		"a zero-width space":            {"ali\u200bce", made},
		"a combining accent":            {"alice\u0301", made},
		"bytes that are no UTF-8":       {"alice\xff\xfe", made},
		"one umlaut too many of 32":     {strings.Repeat("ä", 17), begins},
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

func TestParseDeniesALongNameWithoutRepeatingIt(t *testing.T) {
	_, denied := user.Parse("here", strings.Repeat("a", 1<<20), rules)
	require.NotNil(t, denied)
	assert.Less(t, len(denied.Message), 200)
}

func TestParseDeniesReservedNames(t *testing.T) {
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
	for why, name := range map[string]string{
		"a share may not tell Root from root":          "Root",
		"nor ROOT":                                     "ROOT",
		"nor JoVyan":                                   "JoVyan",
		"a domain does not make root a user":           "root@corp.example",
		"nor in another case":                          "RooT@corp.example",
		"the site reserves names of its own":           "Scanner",
		"which are compared without regard to case":    "sCaNNer",
		"and behind the domain":                        "scanner@corp.example",
		"what is reserved is the name and its _prefix": "_APT",
	} {
		t.Run(why, func(t *testing.T) {
			_, denied := user.Parse("here", name, mixed)
			require.NotNil(t, denied)
			assert.EqualValues(t, "NameReserved", denied.Reason)
		})
	}
}

func TestParseTakesUpperCaseOnlyWhereItIsConfigured(t *testing.T) {
	got, denied := user.Parse("here", "Alice.Smith", config.User{MaxLength: 32, AllowUpperCase: true})
	require.Nil(t, denied)
	assert.Equal(t, "Alice.Smith", got.String(), "Alice is not alice: nothing is rewritten")
}

func TestParseTakesOffOneDomain(t *testing.T) {
	corp := config.User{MaxLength: 8, Domains: []string{"corp.example"}}
	for name, text := range map[string]string{
		"the configured one":         "alice@corp.example",
		"none":                       "alice",
		"which does not count":       "a2345678@corp.example",
		"and is no part of the name": "a@corp.example",
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
		"a domain below it":                      {"alice@x.corp.example", "NameDomain", corp},
		"a domain that ends in it":               {"alice@notcorp.example", "NameDomain", corp},
		"the domain with a dot behind":           {"alice@corp.example.", "NameDomain", corp},
		"an empty domain":                        {"alice@", "NameDomain", corp},
		"two domains":                            {"alice@corp.example@corp.example", "NameDomain", corp},
		"the domain in front":                    {"corp.example@alice", "NameDomain", corp},
		"a line behind the domain":               {"alice@corp.example\n", "NameDomain", corp},
		"a domain where none is taken off":       {"alice@corp.example", "NameDomain", rules},
		"an empty domain where none is":          {"alice@", "NameDomain", rules},
		"nobody of the domain":                   {"@corp.example", "NameInvalid", corp},
		"a name that is none":                    {"../x@corp.example", "NameInvalid", corp},
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

// allowed is the rule of the documentation.
var allowed = regexp.MustCompile(`\A[a-z_][a-z0-9._-]*\z`)

// assertSafe checks an accepted name in everything that it becomes: a directory, an argument, a line.
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

// TestUnicodeLettersAreDenied: the Kelvin sign (U+212A) and the long s (U+017F) become k and s when case is ignored, but a
// name that contains them is denied.
func TestUnicodeLettersAreDenied(t *testing.T) {
	for _, text := range []string{"\u212aate", "u\u017fers", "\u017f"} {
		_, denied := user.Parse("here", text, config.User{MaxLength: 32, AllowUpperCase: true})
		require.NotNil(t, denied, fmt.Sprintf("%+q", text))
		assert.EqualValues(t, "NameInvalid", denied.Reason)
	}
}

// TestParseTakesALeadingDigitOnlyWhereItIsConfigured tests student numbers, and texts that are denied in any case.
func TestParseTakesALeadingDigitOnlyWhereItIsConfigured(t *testing.T) {
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

// TestSeveralDomainsAreSynonyms: each configured domain is removed, and no other domain.
func TestSeveralDomainsAreSynonyms(t *testing.T) {
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
