package check

import (
	"context"
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// modeAndNamespaces: what the chart's values mode and onlyNamespaces say may well be meant, and then somebody should know. Where
// not all of what is installed says the same, the checks of the webhooks and the policies say what does not.
func modeAndNamespaces(_ context.Context, s *state) (found []Finding) {
	if s.mode() == config.ModeWarn {
		found = append(found, warning("", "Warn: nothing is changed and nothing refused, so nothing of what is promised holds: when "+
			"the warnings are what you want: %s", s.installAnew("mode=Enforce")))
	} else {
		found = append(found, ok("", "Enforce: Pods are made into notebooks, or refused"))
	}
	only, agreed := s.inEffect()
	switch {
	case !agreed:
		found = append(found, unknown("", "webhooks and policies are not in effect in the same namespaces: see the checks webhooks "+
			"and policies"))
	case len(only) > 0:
		found = append(found, ok("", "in effect in %s (onlyNamespaces): elsewhere all is as if it were not there", only))
	}
	for _, name := range s.left() {
		found = append(found, warning("namespace "+name, "has the share, or was asked about, and nothing is in effect there: "+
			"whoever may create Pods there can mount the share as it is: take the share away, or install it there too: %s",
			s.installAnew("onlyNamespaces={...}")))
	}
	return found
}

// leftOut tells whether nothing is in effect in a namespace that could have notebooks.
func (s *state) leftOut(name string) bool {
	only, _ := s.inEffect()
	return len(only) > 0 && !slices.Contains(only, name) && !slices.Contains(s.words("unservedNamespaces"), name)
}

// left are the namespaces with the share, or asked about, that are left out.
func (s *state) left() (names []string) {
	for _, name := range append(s.namespacesWithShare(), s.Namespaces...) {
		if s.leftOut(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
