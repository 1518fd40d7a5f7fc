package homes

import "jupyter-user.io/jupyter-user-webhook/webhook/config"

// Patterns returns the directories of the share that each user must have.
func Patterns(c *config.Config) []config.HomePattern { return []config.HomePattern{c.Share.Home} }

// initials are all first letters of names, by any configuration.
const initials = "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// dirsAbove returns each directory in which something is made: those above the homes, the root of the share among them.
func dirsAbove(c *config.Config) []string {
	dirs, seen := []string{"."}, map[string]bool{}
	for _, pattern := range Patterns(c) {
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
