package homes

import "jupyter-user.io/jupyter-user-webhook/webhook/config"

// Patterns returns the directories that each user must have on a further claim, or on the share if claim is empty. These
// are the home, which is on the share, and the directories with {user} in share.directories.
func Patterns(c *config.Config, claim string) (patterns []config.HomePattern) {
	if claim == "" && !c.Share.HomesByField() {
		patterns = append(patterns, c.Share.Home)
	}
	return append(patterns, c.Share.UserPatterns(claim)...)
}

// initials are all possible first letters of names.
const initials = "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// dirsAbove returns all possible directories that contain directories of users or of initials, including the root of the
// share.
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
