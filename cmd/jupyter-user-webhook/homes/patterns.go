package homes

import "jupyter-user.io/jupyter-user-webhook/webhook/config"

// Patterns returns the patterns of the directories that each user must have on a further claim, or on the share if claim is
// empty: the patterns with {user} in share.directories. On the share, share.home comes first, unless share.homePrefix is set.
func Patterns(c *config.Config, claim string) (patterns []config.HomePattern) {
	if claim == "" && !c.Share.HomesByField() {
		patterns = append(patterns, c.Share.Home)
	}
	return append(patterns, c.Share.UserPatterns(claim)...)
}

// initials has all possible first characters of user names.
const initials = "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// dirsAbove returns the root of the share and all directories that can be above a user's directory.
func dirsAbove(patterns []config.HomePattern) []string {
	dirs, seen := []string{"."}, map[string]bool{}
	for _, pattern := range patterns {
		for _, initial := range initials {
			for _, above := range pattern.Above(string(initial)) {
				if !seen[above.Dir] {
					seen[above.Dir] = true
					dirs = append(dirs, above.Dir)
				}
			}
		}
	}
	return dirs
}
