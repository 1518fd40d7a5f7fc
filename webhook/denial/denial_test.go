package denial_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// TestTooLargeMessages tests that each denial of a Pod that is too large says to leave something out.
func TestTooLargeMessages(t *testing.T) {
	for _, d := range []denial.Denial{
		denial.TooLarge(1), denial.TooMany("f", 2, 1), denial.TooManyKeys(2, 1), denial.TooManyInAll("f", 1),
	} {
		assert.Contains(t, d.Message, "leave ")
		assert.NotContains(t, d.Message, "no API server")
	}
	assert.Equal(t, "the review is larger than 4194304 bytes: a Pod that large, with the defaults that the API server adds to each "+
		"container, cannot become a notebook; leave out containers, variables or other long lists", denial.TooLarge(4<<20).Message)
}

func TestInternalWithoutUID(t *testing.T) {
	const fault = "the webhook failed to review this pod, and the pod is not the cause: ask the admin to look for "
	assert.Equal(t, fault+"review u in the webhook's log", denial.Internal("u").Message)
	assert.Equal(t, fault+"it in the webhook's log", denial.Internal("").Message)
}

// TestReasonsAreStable spells out the reasons and codes, because dashboards, alerts and admins' scripts contain them.
func TestReasonsAreStable(t *testing.T) {
	for reason, c := range map[string]struct {
		code   int32
		denial denial.Denial
	}{
		"NotAPodReview":           {400, denial.NotAPodReview("v1 ConfigMap")},
		"NotAReview":              {400, denial.NotAReview("the body is empty")},
		"PodUnreadable":           {400, denial.PodUnreadable(errors.New("x"))},
		"TooLarge":                {413, denial.TooLarge(1)},
		"TooMany":                 {422, denial.TooMany("f", 2, 1)},
		"TooManyChanges":          {422, denial.TooManyChanges(2, 1)},
		"InternalError":           {500, denial.Internal("u")},
		"NameInvalid":             {422, denial.NameInvalid("f", "n", "r")},
		"NameReserved":            {403, denial.NameReserved("f", "n")},
		"NameDomain":              {403, denial.NameDomain("f", "n", "d")},
		"NamesDiffer":             {422, denial.NamesDiffer("l", "a", "k", "b")},
		"IdentityDenied":          {403, denial.IdentityDenied("n", errors.New("x"))},
		"TooManyGroups":           {403, denial.TooManyGroups("n", 15)},
		"IdentityUnknown":         {403, denial.IdentityUnknown("n")},
		"IdentitySilent":          {503, denial.IdentitySilent("n")},
		"RestrictedNeedsIdentity": {403, denial.RestrictedNeedsIdentity("ns", "n")},
		"GroupForeign":            {403, denial.GroupForeign("f", 1, "n")},
		"AnnotationInvalid":       {422, denial.AnnotationInvalid("a", "v", "on", "off")},
		"NoSuchContainer":         {422, denial.NoSuchContainer("a", "v", []string{"c"})},
		"NoContainer":             {422, denial.NoContainer()},
		"NotLinux":                {422, denial.NotLinux("windows")},
		"UserNamespace":           {422, denial.UserNamespace("spec.hostUsers")},
		"VolumeTaken":             {403, denial.VolumeTaken("f", "n", "w")},
		"ShareAgain":              {403, denial.ShareAgain("f", "c", "v")},
		"ClaimAgain":              {403, denial.ClaimAgain("f", "c")},
		"ClaimClosed":             {403, denial.ClaimClosed("f", "c")},
		"MountForeign":            {403, denial.MountForeign("f", "v", "/a", false)},
		"MountTaken":              {403, denial.MountTaken("f", "/a", "o")},
		"HomeUnusable":            {403, denial.HomeFieldUnusable("n", "is empty")},
		"PathTooLong":             {422, denial.PathTooLong("f", 2, 1)},
		"NameTooLong":             {422, denial.NameTooLong("f", 2, 1)},
		"MountNested":             {403, denial.MountNested("f", "/a/b", "/a")},
		"DeviceNested":            {403, denial.DeviceNested("f", "/a/b", "the home of n")},
		"EnvForeign":              {403, denial.EnvForeign("f", "v")},
		"SidecarForeign":          {403, denial.SidecarForeign("f", 1, 2)},
		"DeviceForeign":           {403, denial.DeviceForeign("f", "v")},
		"ContainerTaken":          {403, denial.ContainerTaken("f", "n")},
		"Drifted":                 {403, denial.Drifted("f")},
		"NotInjected":             {403, denial.NotInjected("l")},
		"IdentityDisputed":        {403, denial.IdentityDisputed("n", []denial.Account{{Source: denial.Passwd, UID: 1}, {Source: denial.Share, UID: 2}})},
		"IdentityDiffers":         {503, denial.IdentityDiffers("a", "n")},
		"IdentityUnusable":        {403, denial.IdentityUnusable("n", "has no uidNumber")},
		"HubNameUnmapped":         {403, denial.HubNameUnmapped("a", "n")},
		"HubNameUnusable":         {403, denial.HubNameUnusable("a", "n", "is two")},
		"HubNameSilent":           {503, denial.HubNameSilent("a", "n")},
		"HubNameDiffers":          {503, denial.HubNameDiffers("a")},
		"GenerationUnknown":       {503, denial.GenerationUnknown("a", "g")},
	} {
		t.Run(reason, func(t *testing.T) {
			assert.EqualValues(t, reason, c.denial.Reason)
			assert.Equal(t, c.code, c.denial.Code)
			assert.NotContains(t, c.denial.Message, "%!", "a sentence has all its parts")
			assert.NotContains(t, c.denial.Message, "\n")
		})
	}
}

// TestMessagesEscapeTextOfPods puts hostile text into sentences that contain text from the Pod. The author of a Pod can be an
// attacker.
func TestMessagesEscapeTextOfPods(t *testing.T) {
	for _, evil := range []string{
		"a\nb", "\r", "\x1b[2J", "\x00", "\u202egnp", "\u0085", "\u2028", "а", "\xff", strings.Repeat("long", 1<<18), strings.Repeat("ä", 1<<18),
	} {
		sentences := map[string]string{
			"NotAPodReview":      denial.NotAPodReview(evil).Message,
			"PodUnreadable":      denial.PodUnreadable(fmt.Errorf("says %q", evil)).Message,
			"Internal":           denial.Internal(evil).Message,
			"NameInvalid":        denial.NameInvalid("f", evil, "r").Message,
			"NameDomain":         denial.NameDomain("f", evil, "corp.example").Message,
			"NameDomain, none":   denial.NameDomain("f", evil, "").Message,
			"NamesDiffer":        denial.NamesDiffer("l", evil, "k", evil).Message,
			"AnnotationInvalid":  denial.AnnotationInvalid("a", evil, "on").Message,
			"NoSuchContainer":    denial.NoSuchContainer("a", evil, []string{evil, evil}).Message,
			"NotLinux":           denial.NotLinux(evil).Message,
			"GenerationUnknown":  denial.GenerationUnknown("a", evil).Message,
			"MountForeign":       denial.MountForeign("f", "v", evil, false).Message,
			"MountBesideHome":    denial.MountForeign("f", "v", evil, true).Message,
			"MountTaken":         denial.MountTaken("f", evil, "o").Message,
			"MountNested":        denial.MountNested("f", evil, evil).Message,
			"MountElsewhere":     denial.MountElsewhere("f", "v", evil, evil).Message,
			"ProxiesAlone":       denial.ProxiesAlone(evil, "a").Message,
			"OwnInitContainer":   denial.OwnInitContainer("f", evil, evil, "s", "c").Message,
			"HomeInUnusable":     denial.HomeInUnusable("a", evil, "is wrong").Message,
			"InjectInvalid":      denial.InjectInvalid("a", evil, "false").Message,
			"ShareByHub":         denial.ShareByHub("f", "c", []string{evil}).Message,
			"HubNameUnmapped":    denial.HubNameUnmapped("a", evil).Message,
			"HubNameUnusable":    denial.HubNameUnusable("a", evil, "is wrong").Message,
			"HubNameSilent":      denial.HubNameSilent("a", evil).Message,
			"PrivilegesRemoved":  denial.PrivilegesRemovedFrom(evil, []string{"f"}),
			"ReadinessAlone":     denial.ReadinessAlone(evil, "a"),
			"StartUnclear":       denial.StartUnclear(evil, "a"),
			"OnLoopback":         denial.OnLoopback("127." + evil),
			"ContainerByGuess":   denial.ContainerByGuess(evil, []string{evil}, "a"),
			"MountInShare":       denial.MountInShare("f", evil, evil).Message,
			"HomeOfTheImage":     denial.HomeOfTheImage("f", evil, "/home/alice"),
			"OpensInImagesHome":  denial.OpensInImagesHome(evil, "/home/alice"),
			"MountAroundRuntime": denial.MountAroundRuntime("f", evil, "/etc/hosts").Message,
			"MountOverKernel":    denial.MountOverKernel("f", evil).Message,
			"DeviceNested":       denial.DeviceNested("f", evil, "o").Message,
			"FSGroupRemoved":     denial.FSGroupRemoved(1, []string{evil, evil}),
			"AnnotationUnknown":  denial.AnnotationUnknown(evil, []string{"a"}),
			"Shown":              denial.Printable(evil),
			"Plain":              denial.PrintableText(denial.Cut(evil, 100)),
		}
		for name, sentence := range sentences {
			assert.NotRegexp(t, `[\x00-\x1f\x7f\x{80}-\x{9f}\x{202e}\x{2028}]`, sentence, "%s of %.10q", name, evil)
			assert.Less(t, len(sentence), 900, "%s of %.10q", name, evil)
			assert.True(t, strings.ToValidUTF8(sentence, "") == sentence, "%s of %.10q", name, evil)
		}
	}
}

// TestLongestMessage tests that a message is cut at maxMessage. HomeFieldUnusable does not shorten its argument.
func TestLongestMessage(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	assert.Len(t, denial.HomeFieldUnusable("alice", long).Message, 4096+len("…"))
	assert.Len(t, denial.Shortened(errors.New(long)), 4096+len("…"))
	assert.Equal(t, "short", denial.Shortened(errors.New("short")))
}

func TestPlainNamesAreNotQuoted(t *testing.T) {
	assert.Equal(t, "there is no container named \"nope\" for the notebook: the pod has nb, side-car",
		denial.NoSuchContainer("a", "nope", []string{"nb", "side-car"}).Message)
	assert.Contains(t, denial.NoSuchContainer("a", "x", []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}).Message,
		"the pod has 1, 2, 3, 4, 5, 6, 7, 8 and 2 more")
	assert.Contains(t, denial.NoSuchContainer("a", "x", []string{"", "my nb", "nb\n"}).Message, `the pod has "", my nb, "nb\n"`)
}

func TestPrintableText(t *testing.T) {
	assert.Equal(t, `container "nb": it's \ <here>`, denial.PrintableText(`container "nb": it's \ <here>`))
	assert.Equal(t, `"a\nb" '\u0430' \x1b[2J \ufffd`, denial.PrintableText("\"a\nb\" 'а' \x1b[2J \xff"))
}

func TestJoinedErrorsAreOneLine(t *testing.T) {
	got := denial.PodUnreadable(errors.Join(errors.New("one"), errors.New("two")))
	assert.Equal(t, "this is not a Pod that can be read: one; two", got.Message)
}

func TestJoin(t *testing.T) {
	one, two := denial.NoContainer(), denial.NotAReview("x")
	assert.Equal(t, "spec.containers: the pod has no container that the notebook could run in", denial.Join([]denial.Denial{one}))
	assert.Equal(t, "this is not an AdmissionReview as an API server sends it: x", denial.Join([]denial.Denial{two}))
	assert.Equal(t, "there are 2 problems:\n- "+one.String()+"\n- "+two.String(), denial.Join([]denial.Denial{one, two}))

	many := make([]denial.Denial, 60)
	text := denial.Join(many)
	assert.True(t, strings.HasPrefix(text, "there are 60 problems:\n- "))
	assert.True(t, strings.HasSuffix(text, "\n- and 10 more"))
	assert.Equal(t, 51, strings.Count(text, "\n- "))
	assert.Len(t, denial.FirstDenials(many), 50)
	assert.NotContains(t, denial.Join(many[:50]), "more")
}

func TestFirstWarnings(t *testing.T) {
	warnings := make([]string, 60)
	got := denial.FirstWarnings(warnings)
	assert.Len(t, got, 51)
	assert.Equal(t, "and 10 more", got[50])
	assert.Len(t, warnings, 60)
	assert.Empty(t, warnings[50], "the given list does not change")
	assert.Equal(t, warnings[:50], denial.FirstWarnings(warnings[:50]))
	assert.Nil(t, denial.FirstWarnings(nil))
}

func TestWrap(t *testing.T) {
	assert.Equal(t, []string{""}, denial.Wrap("", 5))
	assert.Equal(t, []string{"a b c", "d"}, denial.Wrap("a b  c d", 5))
	assert.Equal(t, []string{"a", "longword", "b"}, denial.Wrap("a longword b", 5), "a long word stays whole, so that it can be copied")
}
