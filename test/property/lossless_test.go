package property

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	kjson "sigs.k8s.io/json"
)

// replaceable matches the paths of values that the webhook may replace or remove. The expression does not use the webhook's
// code, so that the tests find errors there.
var replaceable = regexp.MustCompile(`^/(` + strings.Join([]string{
	`metadata/annotations/jupyter-user\.io~1(user|discovery|identity|home|config)`,
	`spec/securityContext/(fsGroup|supplementalGroupsPolicy|supplementalGroups/\d+)`,
	`spec/volumes/\d+/emptyDir/(sizeLimit|medium)`,
	`spec/initContainers/jupyter-user-init/.*`,
	`spec/containers/\d+/(command/\d+|command|workingDir)`,
	`spec/containers/\d+/env/(HOME|USER|LOGNAME|NB_USER|NB_UID|NB_GID)/.*`,
	`spec/containers/\d+/(livenessProbe|readinessProbe|startupProbe|lifecycle/postStart|lifecycle/preStop)/exec(/command(/\d+)?)?`,
	`spec/containers/\d+/securityContext/(runAsUser|runAsGroup|runAsNonRoot|allowPrivilegeEscalation|privileged|procMount)`,
	`spec/containers/\d+/securityContext/(capabilities|seccompProfile)(/.*)?`,
}, "|") + `)$`)

// openInImagesHome matches JUPYTERHUB_ROOT_DIR, the variables XDG_*, and any argument, if the value is a path in the image's own home, also in quotes.
// The webhook may replace these paths. (Of the arguments it replaces only those for root_dir and preferred_dir.)
var openInImagesHome = regexp.MustCompile(`^/spec/containers/\d+/(env/(JUPYTERHUB_ROOT_DIR|XDG_.*)(#\d+)?/value="|args/\d+="(--[A-Za-z0-9_.-]+=)?('|\\")?)/home/(jovyan|rstudio|onyxia)[/"'\\]`)

// checkLossless tests that every leaf of the submitted Pod is still in the admitted Pod, byte for byte. The exceptions are
// values whose path matches replaceable, empty lists, empty maps, null, settings that match openInImagesHome, and
// JUPYTER_CONFIG_PATH.
func checkLossless(t *testing.T, before, after []byte) {
	t.Helper()
	then, now := leaves(t, before), leaves(t, after)
	for place, value := range then {
		if now[place] != value && !replaceable.MatchString(place) {
			// The webhook may fill empty lists and maps, also where they are null.
			if (value == "{}" || value == "[]" || value == "null") && now[place] == "" {
				continue
			}
			if openInImagesHome.MatchString(place + "=" + value) {
				assert.Regexp(t, `^"(--[A-Za-z0-9_.-]+=)?/home/[^/]+(/[^"]*)?"$`, now[place], "the path is replaced by a path in the user's home")
				continue
			}
			if strings.Contains(place, "/env/JUPYTER_CONFIG_PATH") && strings.HasSuffix(place, "/value") {
				assert.True(t, strings.HasSuffix(now[place], ":"+strings.TrimPrefix(value, `"`)) || now[place] == `"/config"`, "the value is kept behind ours")
				continue
			}
			assert.Equal(t, value, now[place], "%s belongs to the pod", place)
		}
	}
}

// The function "leaves" returns all values of a document that contain no other value, by path. The path of an init container
// has the name of the container and not its index, because the webhook adds an init container before the others. The path of
// a variable has the variable's name. A name that is repeated gets a number, as in A#1. HOME, NB_USER, NB_UID and NB_GID get
// no number, because the webhook removes all but one of each.
func leaves(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	w := walker{jsontext.NewDecoder(bytes.NewReader(raw)), map[string]string{}}
	require.NoError(t, w.walk(""))
	return w.found
}

// A walker reads a document token by token. It reads init containers and variables twice, to find their names. Decoding each
// value separately would read the innermost values a dozen times.
type walker struct {
	*jsontext.Decoder

	found map[string]string
}

// walk adds the leaves of the next value.
func (w walker) walk(place string) error {
	switch w.PeekKind() {
	case jsontext.KindBeginObject:
		return w.each(place, "{}", func(int) error {
			key, err := w.ReadToken()
			if err != nil {
				return err
			}
			return w.walk(place + "/" + strings.ReplaceAll(key.String(), "/", "~1"))
		})
	case jsontext.KindBeginArray:
		if place == "/spec/initContainers" || strings.HasPrefix(place, "/spec/containers/") && strings.HasSuffix(place, "/env") {
			return w.walkNamed(place)
		}
		return w.each(place, "[]", func(i int) error { return w.walk(place + "/" + itoa(i)) })
	default:
		value, err := w.ReadValue()
		w.found[place] = string(value)
		return err
	}
}

// walker.each calls the function "member" for each member of the next value, an object or an array. If the value has no
// member, the value is a leaf.
func (w walker) each(place, empty string, member func(i int) error) error {
	if _, err := w.ReadToken(); err != nil {
		return err
	}
	count := 0
	for ; w.PeekKind() != jsontext.KindEndObject && w.PeekKind() != jsontext.KindEndArray; count++ {
		if err := member(count); err != nil {
			return err
		}
	}
	if count == 0 {
		w.found[place] = empty
	}
	_, err := w.ReadToken()
	return err
}

func (w walker) walkNamed(place string) error {
	var seen []string
	return w.each(place, "[]", func(int) error {
		element, err := w.ReadValue()
		if err != nil {
			return err
		}
		var e struct {
			Name string `json:"name"`
		}
		if err := kjson.UnmarshalCaseSensitivePreserveInts(element, &e); err != nil {
			return err
		}
		key := e.Name
		identity := slices.Contains([]string{"HOME", "NB_USER", "NB_UID", "NB_GID"}, e.Name)
		if repeated := count(seen, func(s string) bool { return s == e.Name }); repeated > 0 && !identity {
			key += "#" + itoa(repeated)
		}
		seen = append(seen, e.Name)
		return walker{jsontext.NewDecoder(bytes.NewReader(element)), w.found}.walk(place + "/" + key)
	})
}
