package check

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// valuesKey is the key of the webhook's ConfigMap that has the values from which the chart rendered the policies.
const valuesKey = "policies.json"

// parametersAgree checks that the policies were rendered from the same values as the webhook's configuration, because a
// change by hand can make them differ. It also warns of ownHomes with neither a prefix nor a suffix.
func parametersAgree(_ context.Context, s *state) (found []Finding) {
	const where = "ConfigMap " + webhookName
	if s.parameters == nil {
		return []Finding{failed(where, "does not say what the policies are rendered from (%s): %s", valuesKey, s.installAgain())}
	}
	if s.parameters["ownHomes"] == "Yes" && s.parameters["ownHomePrefix"]+s.parameters["ownHomeSuffix"] == "" {
		found = append(found, warning(where, "says ownHomes: Yes without a prefix or a suffix: any requester with the name "+
			"of a user may use that user's home, also with a client certificate"))
	}
	if s.config == nil {
		return append(found, failed(where, "is not a configuration that the webhook accepts: %s",
			oneLine(s.missing[configuration])))
	}
	for _, of := range []struct{ key, wanted string }{
		{"home", string(s.config.Share.Home)}, {"homePrefix", s.config.Share.HomePrefix},
		{"scratchVolume", s.config.Scratch.VolumeName},
	} {
		if have := s.parameters[of.key]; have != of.wanted {
			found = append(found, failed(where, "the policies are rendered with %s: %q, and the webhook's configuration says %q: "+
				"notebooks are denied until they agree: %s", of.key, have, of.wanted, s.installAgain()))
		}
	}
	for _, of := range []struct {
		key    string
		wanted []string
	}{
		{"claims", append(s.furtherClaims(), s.config.Share.ClaimName)}, {"images", []string{s.config.Init.Image}},
	} {
		for _, lacking := range lackedBy(of.wanted, s.words(of.key)) {
			found = append(found, failed(where, "%s of the policies lacks %s, which the webhook's configuration has: %s", of.key,
				lacking, s.installAgain()))
		}
	}
	more := lackedBy(s.words("images"), append(s.config.Init.AcceptedImages, s.config.Init.Image))
	if len(more) > 0 {
		found = append(found, warning(where, "the policies accept %s, which the webhook's configuration does not have: "+
			"remove it when no webhook of that release runs", firstFew(more)))
	}
	if len(found) == 0 {
		found = append(found, ok(where, "the policies are rendered from the webhook's configuration"))
	}
	return found
}

func lackedBy(words, others []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(word string) bool { return slices.Contains(others, word) })
}

// valuesOf parses the values of the policies. It joins the elements of a list with spaces, and splits ownHomes into three
// values.
func valuesOf(text string) (map[string]string, error) {
	var values map[string]any
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, fmt.Errorf("read %s: %w", valuesKey, err)
	}
	found := map[string]string{}
	for key, value := range values {
		switch v := value.(type) {
		case string:
			found[key] = v
		case []any:
			words := make([]string, 0, len(v))
			for _, word := range v {
				words = append(words, fmt.Sprint(word))
			}
			found[key] = strings.Join(words, " ")
		case map[string]any:
			found["ownHomes"] = map[bool]string{true: "Yes", false: "No"}[v["enabled"] == true]
			found["ownHomePrefix"], found["ownHomeSuffix"] = fmt.Sprint(v["prefix"]), fmt.Sprint(v["suffix"])
		}
	}
	return found, nil
}
