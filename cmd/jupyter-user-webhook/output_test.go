package main

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func TestPaint(t *testing.T) {
	assert.Equal(t, "\x1b[1m--- a\x1b[0m\n\x1b[1m+++ b\x1b[0m\n\x1b[36m@@ -1 +1 @@\x1b[0m\n same\n\x1b[31m-old\x1b[0m\n\x1b[32m+new\x1b[0m\n",
		paint("--- a\n+++ b\n@@ -1 +1 @@\n same\n-old\n+new\n"))
}

// TestToYAMLRoundTrip writes texts that some versions of YAML read as another type, and reads them with the library of
// kubectl.
func TestToYAMLRoundTrip(t *testing.T) {
	texts := []string{
		"", " ", "yes", "No", "on", "OFF", "y", "n", "true", "False", "null", "~", "Null", "012", "0o14", "0x1F", "0b1", "1_000", "1:30", "190:20:30",
		"1e3", "1E5", ".5", "5.", "+1", "-1", ".inf", "-.Inf", ".NaN", "2.50", "12345678901234567890", "2001-01-01", "2001-12-14t21:59:43.10-05:00",
		"<<", "=", "-", "- a", "--", "---", "...", "a: b", "a:", ":a", "a #b", "#a", "@a", "`a`", "!a", "!!str a", "&a", "*a", "|", ">", "|-", "?",
		"? a", "[a]", "{a}", "a, b", "'a'", `"a"`, `\n`, "%a", "a\nb", "a\n", "\na", "a\n\n", " a\n b", "\ta", "a\t", "a ", " a", "a\r\nb", "\r",
		"\x00", "\x1b[31m", "\x7f", "\u0080", "\u0085", "\u00a0", "\u2028", "\ufeff", "\ufffd", "\uffff", "😀", "ä", strings.Repeat("long ", 100),
		strings.Repeat("x", 2000), "$(A)", "a: |", "key: 'v", "#!/bin/sh\nset -e\n  if x; then\n\ty\nfi\n",
	}
	random := rand.New(rand.NewPCG(5, 6)) // the same documents each time
	var make func(depth int) any
	make = func(depth int) any {
		kind := random.IntN(8)
		switch {
		case kind == 0 && depth < 5:
			object := map[string]any{}
			for range random.IntN(5) {
				object[texts[random.IntN(len(texts))]] = make(depth + 1)
			}
			return object
		case kind == 1 && depth < 5:
			list := []any{}
			for range random.IntN(5) {
				list = append(list, make(depth+1))
			}
			return list
		case kind == 2:
			return []any{true, false, nil, json.Number("0"), json.Number("-1"), json.Number("1.5"), json.Number("9223372036854775807")}[random.IntN(7)]
		}
		return texts[random.IntN(len(texts))]
	}
	check := func(value any) {
		raw, err := json.Marshal(value)
		require.NoError(t, err)
		text, err := toYAML(raw)
		require.NoError(t, err, string(raw))
		back, err := yaml.YAMLToJSONStrict(text)
		require.NoError(t, err, "%s\n%s", raw, text)
		require.JSONEq(t, string(raw), string(back), string(text))
	}
	for _, text := range texts {
		check(text)
		check(map[string]any{text: text})
		check([]any{text, map[string]any{"a": []any{text}}})
	}
	for range 3_000 {
		check(make(0))
	}
}

func TestToYAMLStyle(t *testing.T) {
	got, err := toYAML([]byte(`{"b":[{"y":1,"x":[]}],"a":{},"c":"two\nlines\n","d":null,"e":"yes"}`))
	require.NoError(t, err)
	assert.Equal(t, "a: {}\nb:\n- x: []\n  \"y\": 1\nc: |\n  two\n  lines\nd: null\ne: \"yes\"\n", string(got))

	theirs, err := yaml.JSONToYAML([]byte(`{"b":[{"y":1,"x":[]}],"a":{},"c":"two\nlines\n","d":null,"e":"yes"}`))
	require.NoError(t, err)
	assert.Equal(t, string(theirs), string(got))
}

func FuzzUnescaped(f *testing.F) {
	f.Add(`{"a":"\u003c\\u003c\\\u003e\u0026"}`)
	f.Add(`"\\\\u003c"`)
	f.Add(`"\`)
	f.Fuzz(func(t *testing.T, text string) {
		got := unescaped([]byte(text))
		var before, after any
		if json.Unmarshal([]byte(text), &before) != nil {
			return
		}
		require.NoError(t, json.Unmarshal(got, &after))
		assert.Equal(t, before, after, "the content is the same")
		assert.Equal(t, got, unescaped(got))
	})
}
