package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// TestHomes tests notebooks in homes of several modes, sizes and UIDs. The notebook runs as the owner, and the mode and the
// owner of the home do not change.
func TestHomes(t *testing.T) {
	for i, name := range []string{"bob", "qiang.guo03", "qiang_guo03", "many-files", "large-uid"} {
		for _, discovery := range discoveries {
			t.Run(name+"/"+discovery.name, func(t *testing.T) {
				t.Parallel()
				h := homeOf(name)
				p := run(t, discovery, fmt.Sprintf("home-%d", i), name, images.Plain,
					withProbes, "--command", "--", "hello")
				p.ready(t)
				assertOwned(t, p, h)
				// With discovery at start the shell of kubectl exec is root with only the capabilities SETUID and SETGID,
				// so it can list only a home that others may list.
				if discovery == atAdmission || h.mode&0o005 != 0 {
					want := map[string]string{"many-files": "1000\n", "bob": "1\n"}[name]
					if want != "" {
						assert.Equal(t, want, p.exec(t, "sh", "-c", "ls $HOME | wc -l").Stdout)
					}
				}
				stat := p.exec(t, "stat", "-c", "%a %u:%g", "/home/"+name)
				assert.Equal(t, fmt.Sprintf("%o %d:%d\n", h.mode, h.uid, h.gid), stat.Stdout, stat.Stderr)
			})
		}
	}
}
