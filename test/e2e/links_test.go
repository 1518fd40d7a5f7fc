package e2e

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// mountThroughHomeLink is a Pod that mounts an attacker's program. A symbolic link in the home leads from the mount path to
// the directory of jupyter-user-init, the program that the webhook injects. Container runtimes follow such links, as root.
const mountThroughHomeLink = `
apiVersion: v1
kind: Pod
metadata:
  name: through-link
  labels: {jupyter-user: emptied}
spec:
  volumes: [{name: fake, configMap: {name: fake, defaultMode: 0755}}]
  containers:
  - name: nb
    image: ` + images.Plain + `
    command: [sleep, "1000"]
    volumeMounts: [{name: fake, mountPath: /home/emptied/link}]
`

// TestMountThroughHomeLink tests that with discovery at start, the Pod of mountThroughHomeLink is denied, because the
// attacker's program would run as root. With discovery at admission no process is root, so the Pod runs.
func TestMountThroughHomeLink(t *testing.T) {
	for _, discovery := range discoveries {
		t.Run(discovery.name, func(t *testing.T) {
			link := cluster.share.path("emptied", "link")
			require.NoError(t, os.Symlink("/config", link))
			t.Cleanup(func() { emptyHome(t, "emptied") })
			makeConfigMap(t, discovery.namespace, "fake", map[string]string{"jupyter-user-init": "#!/bin/sh\nexec sleep 1000\n"})
			if discovery == atStart {
				result := tryCreate(t, discovery, mountThroughHomeLink)
				assert.Equal(t, 1, result.ExitCode, result.Stdout)
				assert.Contains(t, result.Stderr, "Error from server (MountNested)")
				assert.Contains(t, result.Stderr, "of /home/emptied/link and /home/emptied one is inside the other")
				return
			}
			p := create(t, discovery, "through-link", mountThroughHomeLink)
			p.ready(t)
			assertOwned(t, p, homeOf("emptied"))
		})
	}
}
