package check

import (
	"maps"
	"slices"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// entriesThatDiffer returns findings about the entries of one kind of object whose mode differs from the webhook's
// configuration, or whose namespaces differ from onlyNamespaces.
func (s *state) entriesThatDiffer(what string) (found []Finding) {
	only := s.wantedScope()
	var otherMode []scopedEntry
	elsewhere := map[string][]scopedEntry{}
	for _, p := range s.scopedEntries(what) {
		if p.mode() != s.mode() {
			otherMode = append(otherMode, p)
		}
		if is := p.scope(); !slices.Equal(is, only) {
			elsewhere[is.short()] = append(elsewhere[is.short()], p)
		}
	}
	if len(otherMode) > 0 {
		found = append(found, s.wrongModeFinding(what, otherMode))
	}
	for _, is := range slices.Sorted(maps.Keys(elsewhere)) {
		where, objects := describeEntries(what, elsewhere[is])
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

// wrongModeFinding returns the finding about entries in another mode than the webhook's configuration. The finding is
// Unknown if the configuration could not be read.
func (s *state) wrongModeFinding(what string, entries []scopedEntry) Finding {
	where, objects := describeEntries(what, entries)
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

// describeEntries returns a text that names the kind and the first few entries, for a message. It also returns the names of
// the objects that contain the entries.
func describeEntries(what string, entries []scopedEntry) (where string, objects []string) {
	var names []string
	for _, p := range entries {
		names = append(names, p.name)
		if !slices.Contains(objects, p.object) {
			objects = append(objects, p.object)
		}
	}
	return installedKinds[what] + " " + firstFew(names), objects
}
