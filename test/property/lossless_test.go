package property

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ours are the places, by regular expression and without the planner's help, where a value of the pod's may be replaced or
// taken away. Everywhere else it has to be there afterwards, to the byte.
var ours = regexp.MustCompile(`^/(` + strings.Join([]string{
	`metadata/annotations/jupyter-user\.io~1(user|way|identity|config)`,
	`spec/securityContext/(fsGroup|supplementalGroupsPolicy|supplementalGroups/\d+)`,
	`spec/volumes/\d+/emptyDir/(sizeLimit|medium)`,
	`spec/initContainers/jupyter-user-init/.*`,
	`spec/containers/\d+/(command/\d+|command|workingDir)`,
	`spec/containers/\d+/env/(HOME|NB_USER|NB_UID|NB_GID)/.*`,
	`spec/containers/\d+/(livenessProbe|readinessProbe|startupProbe|lifecycle/postStart|lifecycle/preStop)/exec(/command(/\d+)?)?`,
	`spec/containers/\d+/securityContext/(runAsUser|runAsGroup|runAsNonRoot|allowPrivilegeEscalation|privileged|procMount)`,
	`spec/containers/\d+/securityContext/(capabilities|seccompProfile)(/.*)?`,
}, "|") + `)$`)

// openInImagesHome is the one wish of the pod's that is not kept for what it says: to open in the home of the image's own user.
var openInImagesHome = regexp.MustCompile(`^/spec/containers/\d+/env/JUPYTERHUB_ROOT_DIR(#\d+)?/value="/home/jovyan[/"]`)

// checkLossless holds every leaf of the pod as it was against the pod as it is.
func checkLossless(t *testing.T, before, after []byte) {
	t.Helper()
	then, now := leaves(t, before), leaves(t, after)
	for place, value := range then {
		if !ours.MatchString(place) && now[place] != value {
			// Empty lists and maps may be filled.
			if (value == "{}" || value == "[]" || value == "null") && now[place] == "" {
				continue
			}
			if openInImagesHome.MatchString(place + "=" + value) {
				assert.Regexp(t, `^"/home/[^/]+"$`, now[place], "another home is not where it is to open")
				continue
			}
			assert.Equal(t, value, now[place], "%s is the pod's", place)
		}
	}
}

// leaves are all values of a document that hold no other, as they are written, by their place. Init containers are told by
// name, because ours comes before them; an environment by name and turn, because a second HOME goes.
func leaves(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	found := map[string]string{}
	var walk func(place string, raw json.RawMessage)
	walk = func(place string, raw json.RawMessage) {
		raw = bytes.TrimSpace(raw)
		switch {
		case len(raw) > 2 && raw[0] == '{':
			var members map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(raw, &members))
			for key, value := range members {
				walk(place+"/"+strings.ReplaceAll(key, "/", "~1"), value)
			}
		case len(raw) > 2 && raw[0] == '[':
			var elements []json.RawMessage
			require.NoError(t, json.Unmarshal(raw, &elements))
			for i, key := range keys(t, place, elements) {
				walk(place+"/"+key, elements[i])
			}
		default:
			found[place] = string(raw)
		}
	}
	walk("", raw)
	return found
}

func keys(t *testing.T, place string, elements []json.RawMessage) []string {
	t.Helper()
	named := place == "/spec/initContainers"
	env := strings.HasPrefix(place, "/spec/containers/") && strings.HasSuffix(place, "/env")
	keys := make([]string, len(elements))
	var seen []string
	for i, element := range elements {
		keys[i] = itoa(i)
		if !named && !env {
			continue
		}
		var e struct{ Name string }
		require.NoError(t, json.Unmarshal(element, &e))
		keys[i] = e.Name
		identity := slices.Contains([]string{"HOME", "NB_USER", "NB_UID", "NB_GID"}, e.Name)
		if turn := count(seen, func(s string) bool { return s == e.Name }); turn > 0 && !identity {
			keys[i] += "#" + itoa(turn)
		}
		seen = append(seen, e.Name)
	}
	return keys
}
