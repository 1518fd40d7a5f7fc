package check

import (
	"context"
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// modeAndNamespaces: what the chart's values mode and onlyNamespaces say may well be meant, and then somebody should know. Where
// not all of what is installed says the same, the checks of the webhooks and the policies say what does not.
func modeAndNamespaces(_ context.Context, s *state) (found []Finding) {
	switch {
	case s.mode() == config.ModeWarn:
		found = append(found, warning("", "Warn: nothing is changed and nothing refused, so nothing of what is promised holds: when "+
			"the warnings are what you want: %s", s.installAnew("mode=Enforce")))
	case !s.enforces():
		found = append(found, unknown("", "Enforce by the webhook's configuration, and not by all that is installed: see the checks "+
			"webhooks and policies"))
	default:
		found = append(found, ok("", "Enforce: Pods are made into notebooks, or refused"))
	}
	if only := s.only(); len(only) > 0 {
		found = append(found, warning("", "in effect in %s (onlyNamespaces): elsewhere all is as if it were not there, and whoever "+
			"may create Pods there can mount what leads to the share", only))
	}
	for _, name := range s.left() {
		found = append(found, warning("namespace "+name, "has the share, or was asked about, and nothing is in effect there: "+
			"whoever may create Pods there can mount the share as it is: take the share away, or install it there too: %s",
			s.installAnew("onlyNamespaces={...}")))
	}
	return found
}

// enforces tells whether all that the installation has is there, and refuses.
func (s *state) enforces() bool {
	for _, what := range placed {
		all := s.placesOf(what)
		if len(all) == 0 || slices.ContainsFunc(all, func(p place) bool { return p.mode() != config.ModeEnforce }) {
			return false
		}
	}
	return true
}

// leftOut tells whether nothing is in effect in a namespace that could have notebooks.
func (s *state) leftOut(name string) bool {
	only := s.only()
	return len(only) > 0 && !slices.Contains(only, name) && name != systemNamespace
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
