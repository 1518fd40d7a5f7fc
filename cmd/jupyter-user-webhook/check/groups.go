package check

import (
	"context"
	"fmt"
	"strings"
)

// groupsOfImages warns of identity.imageGroups, the groups that any Pod may have. A notebook with such a group has the
// group's rights on the files that the notebook mounts.
func groupsOfImages(_ context.Context, s *state) []Finding {
	groups := s.config.Identity.ImageGroups
	if len(groups) == 0 {
		return []Finding{ok("", "Pods have the groups of their users, and no others")}
	}
	return []Finding{warning("", "identity.imageGroups: any Pod may have the group %s: a user can then read files of "+
		"another user that are in their own home and have such a GID; leave out groups that no image needs",
		strings.Trim(strings.Join(strings.Fields(fmt.Sprint(groups)), ", "), "[]"))}
}
