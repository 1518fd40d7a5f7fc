package check

import (
	"context"
	"fmt"
	"strings"
)

// groupsOfImages names the groups that any Pod may ask for: files with these GIDs on the share are accessible to every
// notebook that sees them.
func groupsOfImages(_ context.Context, s *state) []Finding {
	groups := s.config.Identity.ImageGroups
	if len(groups) == 0 {
		return []Finding{ok("", "Pods have the groups of their users, and no others")}
	}
	return []Finding{warning("", "identity.imageGroups: a Pod has %s for asking: a home that holds files of another user's "+
		"with such a number shows them to its own user; leave out what no image needs",
		strings.Trim(strings.Join(strings.Fields(fmt.Sprint(groups)), ", "), "[]"))}
}
