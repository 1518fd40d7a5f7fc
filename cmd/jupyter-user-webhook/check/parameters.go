package check

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// parametersAgree: what the policies take for ours is what the webhook makes. Without the parameters no Pod of the cluster
// can be created; with others than the configuration's, no notebook.
func parametersAgree(_ context.Context, s *state) (found []Finding) {
	const where = "Role " + parametersName
	if s.parameters == nil {
		return []Finding{failed(where, "is not there, and the policies refuse every Pod of the cluster without it: %s",
			s.installAnew())}
	}
	wanted, err := shippedParameters()
	if err != nil {
		return []Finding{unknown(where, "%s", oneLine(err))}
	}
	missing := slices.DeleteFunc(slices.Sorted(maps.Keys(wanted)), func(key string) bool {
		_, there := s.parameters[key]
		return there
	})
	if len(missing) > 0 {
		found = append(found, failed(where, "lacks %s: compare with deploy/install.yaml", some(missing)))
	}
	// A Pod of a namespace that the webhook is not asked for could be made by hand to look like one of ours.
	unserved := without(strings.Fields(wanted["unservedNamespaces"]), s.words("unservedNamespaces"))
	if len(unserved) > 0 {
		found = append(found, failed(where, "unservedNamespaces lacks %s, which the webhook is not asked for: who creates Pods "+
			"there can be anybody", some(unserved)))
	}
	if s.parameters["ownHomes"] == "Yes" && s.parameters["ownHomePrefix"]+s.parameters["ownHomeSuffix"] == "" {
		found = append(found, warning(where, "says ownHomes: Yes without a prefix or a suffix: whoever the API server knows by "+
			"the name of a home may use it, also by a client certificate"))
	}
	if s.config == nil {
		return append(found, failed("ConfigMap "+webhookName, "is not a configuration that the webhook can run by: %s",
			oneLine(s.missing[configuration])))
	}
	found = append(found, s.disagreements(where)...)
	if len(found) == 0 {
		found = append(found, ok(where, "is whole and agrees with the webhook's configuration"))
	}
	return found
}

// disagreements of the parameters with the configuration. Lists may name more: further claims are guarded too, and an image
// more is one that is accepted besides.
func (s *state) disagreements(where string) (found []Finding) {
	want := s.config.PolicyParameters()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		have := s.parameters[key]
		if key != "claims" && key != "initImages" {
			if have != want[key] {
				found = append(found, failed(where, "says %s: %q, and the webhook's configuration says %q: notebooks are refused "+
					"until they agree", key, have, want[key]))
			}
			continue
		}
		wanted, has := strings.Fields(want[key]), strings.Fields(have)
		if lacks := without(wanted, has); len(lacks) > 0 {
			found = append(found, failed(where, "%s lacks %s, which the webhook's configuration has", key, some(lacks)))
		}
		more := without(has, wanted)
		if key == "initImages" && len(more) > 0 {
			found = append(found, warning(where, "initImages accepts %s, which the webhook's configuration does not have: such an "+
				"image decides who a notebook runs as, take it out when no webhook of that release runs", some(more)))
		}
	}
	return found
}

// without are the words that others do not have.
func without(words, others []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(word string) bool { return slices.Contains(others, word) })
}

// shippedParameters are all parameters, as they are shipped.
func shippedParameters() (map[string]string, error) {
	found, err := shipped("Role")
	if err != nil {
		return nil, err
	}
	for _, m := range found {
		if m.GetName() == parametersName {
			annotations := m.GetAnnotations()
			maps.DeleteFunc(annotations, func(key, _ string) bool { return strings.Contains(key, "/") }) // They are Helm's, and ours.
			return annotations, nil
		}
	}
	return nil, nil
}
