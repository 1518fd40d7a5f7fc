package check

import (
	"maps"
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// otherModeOrNamespaces returns findings about places of one kind whose mode differs from the configuration, or whose
// namespaces differ from the installation.
func (s *state) otherModeOrNamespaces(what string) (found []Finding) {
	only := s.wantedScope()
	var otherMode []place
	elsewhere := map[string][]place{}
	for _, p := range s.placesOf(what) {
		if p.mode() != s.mode() {
			otherMode = append(otherMode, p)
		}
		if is := p.scope(); !slices.Equal(is, only) {
			elsewhere[is.short()] = append(elsewhere[is.short()], p)
		}
	}
	if len(otherMode) > 0 {
		found = append(found, s.inOtherMode(what, otherMode))
	}
	for _, is := range slices.Sorted(maps.Keys(elsewhere)) {
		where, objects := placesName(what, elsewhere[is])
		if err := s.missing[parameters]; err != nil {
			found = append(found, unknown(where, "in effect in %s, and it is unknown whether that is intended: %s", is, oneLine(err)))
			continue
		}
		found = append(found, failed(where, "in effect in %s, and the installation is for %s: install again with the right "+
			"onlyNamespaces: %s",
			is, only.short(), s.repair(what, objects, "onlyNamespaces={...}")))
	}
	return found
}

// inOtherMode returns the finding about places in another mode. If the configured mode is unknown, the installed one may be
// intended.
func (s *state) inOtherMode(what string, places []place) Finding {
	where, objects := placesName(what, places)
	does := "if the webhook does not respond, Pods are admitted unchanged"
	switch warns := s.mode() == config.ModeWarn; {
	case warns && what == bindings:
		does = "Pods are denied instead of warned about"
	case warns:
		does = "if the webhook does not respond, Pods are denied"
	case what == bindings:
		does = "Pods are warned about instead of denied"
	}
	if s.config == nil {
		return unknown(where, "%s, and it is unknown whether that is intended: %s", does, oneLine(s.missing[configuration]))
	}
	return failed(where, "%s, and the webhook's configuration says mode: %s: %s", does, s.mode(),
		s.repair(what, objects, "mode="+string(s.mode())))
}

// placesName returns one name for several places, and the objects that have these places.
func placesName(what string, places []place) (where string, objects []string) {
	var names []string
	for _, p := range places {
		names = append(names, p.name)
		if !slices.Contains(objects, p.object) {
			objects = append(objects, p.object)
		}
	}
	return installedKinds[what] + " " + firstFew(names), objects
}
