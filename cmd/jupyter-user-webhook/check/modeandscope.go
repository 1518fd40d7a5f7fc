package check

import (
	"context"
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// modeAndScope checks that the webhook entries and the bindings have the mode and the namespaces of the installation: a
// binding that only warns, or an entry for fewer namespaces, is a gap. It only warns of mode Warn and of onlyNamespaces,
// because an admin may want them.
func modeAndScope(_ context.Context, s *state) (found []Finding) {
	for _, what := range scopedKinds {
		found = append(found, s.entriesThatDiffer(what)...)
	}
	anyMissing := slices.ContainsFunc(scopedKinds, func(what string) bool { return len(s.scopedEntries(what)) == 0 })
	switch {
	case s.mode() == config.ModeWarn:
		found = append(found, warning("", "Warn: nothing is changed and nothing is denied, so no promise of this project "+
			"holds. When the warnings are as you want them: %s", s.installAgain("mode=Enforce")))
	case anyMissing:
		found = append(found, failed("", "Enforce by the webhook's configuration, and webhooks or policies are missing: see the "+
			"checks webhooks and policies: %s", s.installAgain()))
	case len(found) == 0:
		found = append(found, ok("", "Enforce: Pods become notebooks, or are denied"))
	}
	if only := s.wantedScope(); len(only) > 0 {
		found = append(found, warning("", "in effect in %s (onlyNamespaces): elsewhere the webhook has no effect, and "+
			"anyone who may create Pods there can mount the share's volumes", only))
	}
	for _, name := range s.allLeftOut() {
		found = append(found, warning("namespace "+name, "has the share or was given with -n, and the webhook has no effect "+
			"there: anyone who can create Pods there can mount the whole share. Remove the share from it, or install the "+
			"webhook for it too: %s",
			s.installAgain("onlyNamespaces={...}")))
	}
	return found
}

// leftOut reports whether onlyNamespaces is set and does not list the namespace. The webhook's own namespace is never left
// out.
func (s *state) leftOut(name string) bool {
	only := s.wantedScope()
	return len(only) > 0 && !slices.Contains(only, name) && name != systemNamespace
}

// allLeftOut returns the namespaces with the share, and those that the options name, if onlyNamespaces leaves them out.
func (s *state) allLeftOut() (names []string) {
	for _, name := range append(s.namespacesWithShare(), s.Namespaces...) {
		if s.leftOut(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
