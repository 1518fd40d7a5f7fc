package passwd

import (
	"fmt"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Listed is an account of a passwd file.
type Listed struct {
	// Name is the name in the file, without a domain that the rules remove.
	Name     string
	UID, GID int64
}

// List returns the accounts of a passwd file, including system accounts. If a name has several lines, the first is used. If the
// error is not nil, the list is incomplete: it has the lines before the error. bad describes the unreadable lines.
func List(path string, rules config.User) (accounts []Listed, bad []string, err error) {
	file, _, err := open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close() //nolint:errcheck // the file is only read
	t, seen := &table{}, map[string]bool{}
	err = t.eachAccount(path, file, func(name string, uid, gid uint32, _ []byte) {
		if parsed, denied := user.Parse("", name, fileRules(rules)); denied == nil {
			name = parsed.String()
		}
		if !seen[name] {
			seen[name] = true
			accounts = append(accounts, Listed{name, int64(uid), int64(gid)})
		}
	})
	for _, lines := range t.bad {
		for _, f := range lines.first {
			bad = append(bad, f.Error())
		}
		if more := lines.count - len(lines.first); more > 0 {
			bad = append(bad, fmt.Sprintf("%s: %d more lines cannot be read", path, more))
		}
	}
	return accounts, bad, err
}
