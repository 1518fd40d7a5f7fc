package answer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/webhook/answer"
)

// TestTooMuchIsSaid: to the author of a pod that an API server did send, what is too much and what to leave out.
func TestTooMuchIsSaid(t *testing.T) {
	for _, a := range []answer.Answer{
		answer.TooLarge(1), answer.TooMany("f", 2, 1), answer.TooManyNames(2, 1), answer.TooManyInAll("f", 1),
	} {
		assert.Contains(t, a.Message, "leave ")
		assert.NotContains(t, a.Message, "no API server")
	}
	assert.Equal(t, "the review is larger than 4194304 bytes: of a pod so large, with the defaults that an API server adds to each of "+
		"its containers, no notebook is made; leave out containers, variables or other long lists", answer.TooLarge(4<<20).Message)
}

// TestReasonsAreStable: dashboards, alerts and people's scripts know these words and codes.
func TestReasonsAreStable(t *testing.T) {
	for reason, c := range map[string]struct {
		code int32
		a    answer.Answer
	}{
		"NotAPodReview":           {400, answer.NotAPodReview("v1 ConfigMap")},
		"NotAReview":              {400, answer.NotAReview("the body is empty")},
		"PodUnreadable":           {400, answer.PodUnreadable(errors.New("x"))},
		"TooLarge":                {413, answer.TooLarge(1)},
		"TooMany":                 {422, answer.TooMany("f", 2, 1)},
		"TooManyChanges":          {422, answer.TooManyChanges(2, 1)},
		"InternalError":           {500, answer.Internal("u")},
		"NameInvalid":             {422, answer.NameInvalid("f", "n", "r")},
		"NameReserved":            {403, answer.NameReserved("f", "n")},
		"NameDomain":              {403, answer.NameDomain("f", "n", "d")},
		"NamesDiffer":             {422, answer.NamesDiffer("l", "a", "k", "b")},
		"IdentityRefused":         {403, answer.IdentityRefused("n", errors.New("x"))},
		"TooManyGroups":           {403, answer.TooManyGroups("n", 15)},
		"IdentityUnknown":         {403, answer.IdentityUnknown("n")},
		"IdentitySilent":          {503, answer.IdentitySilent("n")},
		"RestrictedNeedsIdentity": {403, answer.RestrictedNeedsIdentity("ns", "n")},
		"GroupForeign":            {403, answer.GroupForeign("f", 1, "n")},
		"AnnotationInvalid":       {422, answer.AnnotationInvalid("a", "v", "on", "off")},
		"NoSuchContainer":         {422, answer.NoSuchContainer("a", "v", []string{"c"})},
		"NoContainer":             {422, answer.NoContainer()},
		"NotLinux":                {422, answer.NotLinux("windows")},
		"UserNamespace":           {422, answer.UserNamespace("spec.hostUsers")},
		"VolumeTaken":             {403, answer.VolumeTaken("f", "n", "w")},
		"ShareAgain":              {403, answer.ShareAgain("f", "c", "v")},
		"MountForeign":            {403, answer.MountForeign("f", "v", "/a")},
		"MountTaken":              {403, answer.MountTaken("f", "/a", "o")},
		"MountNested":             {403, answer.MountNested("f", "/a/b", "/a")},
		"EnvForeign":              {403, answer.EnvForeign("f", "v")},
		"SidecarForeign":          {403, answer.SidecarForeign("f", 1, 2)},
		"DeviceForeign":           {403, answer.DeviceForeign("f", "v")},
		"ContainerTaken":          {403, answer.ContainerTaken("f", "n")},
		"Drifted":                 {403, answer.Drifted("f")},
		"NotInjected":             {403, answer.NotInjected("l")},
		"IdentityDisputed":        {403, answer.OwnersDiffer("n", 1, 2)},
		"IdentityDiffers":         {403, answer.IdentityDiffers("a", "n")},
		"GenerationUnknown":       {503, answer.GenerationUnknown("a", "g")},
	} {
		t.Run(reason, func(t *testing.T) {
			assert.EqualValues(t, reason, c.a.Reason)
			assert.Equal(t, c.code, c.a.Code)
			assert.NotContains(t, c.a.Message, "%!", "a sentence has all its parts")
			assert.NotContains(t, c.a.Message, "\n")
		})
	}
}

// TestNoSentenceIsBrokenByWhatAStrangerWrote: everything in a pod is written by the attacker.
func TestNoSentenceIsBrokenByWhatAStrangerWrote(t *testing.T) {
	for _, evil := range []string{
		"a\nb", "\r", "\x1b[2J", "\x00", "\u202egnp", "\u0085", "\u2028", "а", "\xff", strings.Repeat("long", 1<<18), strings.Repeat("ä", 1<<18),
	} {
		sentences := map[string]string{
			"NotAPodReview":     answer.NotAPodReview(evil).Message,
			"PodUnreadable":     answer.PodUnreadable(fmt.Errorf("says %q", evil)).Message,
			"Internal":          answer.Internal(evil).Message,
			"NameInvalid":       answer.NameInvalid("f", evil, "r").Message,
			"NameDomain":        answer.NameDomain("f", evil, "corp.example").Message,
			"NameDomain, none":  answer.NameDomain("f", evil, "").Message,
			"NamesDiffer":       answer.NamesDiffer("l", evil, "k", evil).Message,
			"AnnotationInvalid": answer.AnnotationInvalid("a", evil, "on").Message,
			"NoSuchContainer":   answer.NoSuchContainer("a", evil, []string{evil, evil}).Message,
			"NotLinux":          answer.NotLinux(evil).Message,
			"GenerationUnknown": answer.GenerationUnknown("a", evil).Message,
			"MountForeign":      answer.MountForeign("f", "v", evil).Message,
			"MountTaken":        answer.MountTaken("f", evil, "o").Message,
			"MountNested":       answer.MountNested("f", evil, evil).Message,
			"FSGroupTaken":      answer.FSGroupTaken(1, []string{evil, evil}),
			"AnnotationUnknown": answer.AnnotationUnknown(evil, []string{"a"}),
			"Shown":             answer.Shown(evil),
			"Plain":             answer.Plain(answer.Cut(evil, 100)),
		}
		for name, sentence := range sentences {
			assert.NotRegexp(t, `[\x00-\x1f\x7f\x{80}-\x{9f}\x{202e}\x{2028}]`, sentence, "%s of %.10q", name, evil)
			assert.Less(t, len(sentence), 900, "%s of %.10q", name, evil)
			assert.True(t, strings.ToValidUTF8(sentence, "") == sentence, "%s of %.10q", name, evil)
		}
	}
}

func TestPlainNamesAreNotQuoted(t *testing.T) {
	assert.Equal(t, "there is no container named \"nope\" for the notebook: the pod has nb, side-car",
		answer.NoSuchContainer("a", "nope", []string{"nb", "side-car"}).Message)
	assert.Contains(t, answer.NoSuchContainer("a", "x", []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}).Message,
		"the pod has 1, 2, 3, 4, 5, 6, 7, 8 and 2 more")
	assert.Contains(t, answer.NoSuchContainer("a", "x", []string{"", "my nb", "nb\n"}).Message, `the pod has "", my nb, "nb\n"`)
}

func TestPlainLeavesAllElseAsItIs(t *testing.T) {
	assert.Equal(t, `container "nb": it's \ <here>`, answer.Plain(`container "nb": it's \ <here>`))
	assert.Equal(t, `"a\nb" '\u0430' \x1b[2J \ufffd`, answer.Plain("\"a\nb\" 'а' \x1b[2J \xff"))
}

func TestSeveralErrorsAreOneLine(t *testing.T) {
	got := answer.PodUnreadable(errors.Join(errors.New("one"), errors.New("two")))
	assert.Equal(t, "this is not a Pod that can be read: one; two", got.Message)
}

func TestJoin(t *testing.T) {
	one, two := answer.NoContainer(), answer.NotAReview("x")
	assert.Equal(t, "spec.containers: the pod has no container that the notebook could run in", answer.Join([]answer.Answer{one}))
	assert.Equal(t, "this is not an AdmissionReview as an API server sends it: x", answer.Join([]answer.Answer{two}))
	assert.Equal(t, "2 things stand against it:\n- "+one.String()+"\n- "+two.String(), answer.Join([]answer.Answer{one, two}))

	many := make([]answer.Answer, 60)
	text := answer.Join(many)
	assert.True(t, strings.HasPrefix(text, "60 things stand against it:\n- "))
	assert.True(t, strings.HasSuffix(text, "\n- and 10 more"))
	assert.Equal(t, 51, strings.Count(text, "\n- "))
	assert.Len(t, answer.First(many), 50)
	assert.NotContains(t, answer.Join(many[:50]), "more")
}

func TestFirstWarnings(t *testing.T) {
	warnings := make([]string, 60)
	got := answer.FirstWarnings(warnings)
	assert.Len(t, got, 51)
	assert.Equal(t, "and 10 more", got[50])
	assert.Len(t, warnings, 60)
	assert.Empty(t, warnings[50], "the given list is left alone")
	assert.Equal(t, warnings[:50], answer.FirstWarnings(warnings[:50]))
	assert.Nil(t, answer.FirstWarnings(nil))
}

func TestWrap(t *testing.T) {
	assert.Equal(t, []string{""}, answer.Wrap("", 5))
	assert.Equal(t, []string{"a b c", "d"}, answer.Wrap("a b  c d", 5))
	assert.Equal(t, []string{"a", "longword", "b"}, answer.Wrap("a longword b", 5), "a long word stays whole, to be copied")
}
