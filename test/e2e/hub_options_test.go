package e2e

import (
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// optionsUser is the user of those servers of spawnerTraits that must start. The other servers must be denied.
const optionsUser = "qiang.guo03"

// spawnerTraits returns settings (traits) of KubeSpawner for individual servers, by user and server. It has only options that
// need a running hub. test/golden tests the effect of KubeSpawner's options on Pods.
func spawnerTraits(discovery discovery) map[string]map[string]any {
	servers := map[string]map[string]any{
		"alice.smith/labelled": {"extra_labels": map[string]any{"jupyter-user": "{username}"}},
		"bob/namespaced":       {"extra_pod_config": map[string]any{"hostUsers": false}},
		optionsUser + "/list": {
			"cmd": []string{"jupyterhub-singleuser"}, "args": []string{"--ServerApp.terminado_settings={}"},
			"notebook_dir": "/home/" + optionsUser + "/work", "default_url": "/lab/tree/in-work.txt",
			"storage_pvc_ensure": false, "volumes": []any{}, "volume_mounts": []any{},
		},
		optionsUser + "/unset": {
			"image": images.DockerStacks, "cmd": nil,
			"lifecycle_hooks": map[string]any{"postStart": map[string]any{"exec": map[string]any{
				"command": []string{"sh", "-c", "touch $HOME/post-start-" + discovery.namespace},
			}}},
			"profile_list": []any{map[string]any{"display_name": "small"}, map[string]any{"display_name": "big", "kubespawner_override": map[string]any{
				"environment": map[string]string{"PROFILE": "big"},
			}}},
		},
		optionsUser + "/script": {
			"image": images.DockerStacks2023, "cmd": []string{"start-singleuser.sh"}, "args": []string{"--ServerApp.terminado_settings={}"},
			"storage_pvc_ensure": false,
			"volumes":            []any{map[string]any{"name": "home", "persistentVolumeClaim": map[string]any{"claimName": "shared-homes"}}},
			"volume_mounts":      []any{map[string]any{"name": "home", "mountPath": "/home/jovyan", "subPath": "{username}"}},
		},
	}
	return servers
}

// staticClaim is the claim of a hub with static storage: one claim for all users. The placeholder is the namespace.
const staticClaim = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: shared-homes, namespace: %s}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 10Gi}}
`

// spawnWithOptions spawns the servers of spawnerTraits, and asserts the effect of each option. With discovery at admission
// it leaves out the servers called unset and script.
func spawnWithOptions(t *testing.T, h jupyterHub, discovery discovery) {
	t.Run("extra_labels with the user's slug", func(t *testing.T) {
		t.Parallel()
		shown := h.logIn(t, "alice.smith", "labelled").startDenied(t)
		assert.Contains(t, shown, "a pod runs as one user: remove the label, or correct it. A hub that sets the label (KubeSpawner's "+
			"extra_labels, with a template such as {username}) can leave it out: the annotation is enough")
	})
	t.Run("extra_pod_config with a user namespace", func(t *testing.T) {
		t.Parallel()
		shown := h.logIn(t, "bob", "namespaced").startDenied(t)
		assert.Contains(t, shown, "remove hostUsers: false, or ask the admin whether this share supports them (share.allowUserNamespaces)")
	})
	t.Run("cmd as a list, args, notebook_dir, default_url, no storage", func(t *testing.T) {
		t.Parallel()
		testCmdList(t, h)
	})
	if discovery == atAdmission {
		// The other two servers test how jupyter-user-init runs the start scripts of images. Only with discovery at start does the
		// webhook put it before the command.
		return
	}
	t.Run("cmd unset, lifecycle_hooks, profile_list", func(t *testing.T) {
		t.Parallel()
		testUnsetCmd(t, h)
	})
	t.Run("start-singleuser.sh, static storage", func(t *testing.T) {
		t.Parallel()
		testStartScript(t, h)
	})
}

func testCmdList(t *testing.T, h jupyterHub) {
	owner := homeOf(optionsUser)
	require.NoError(t, cluster.share.makeFolder(owner, "work"))
	require.NoError(t, cluster.share.write(owner, "work/in-work.txt", "found"))
	s := h.logIn(t, optionsUser, "list")
	s.start(t, nil)
	s.assertOwnedBy(t, optionsUser)
	assert.Contains(t, serverProcess(t, s.pod(t).processes(t)).Args, "--ServerApp.terminado_settings={}")
	found := s.jupyter(t).Call(t, http.MethodGet, "api/contents/in-work.txt", nil, http.StatusOK)
	assert.Contains(t, string(found), "found", "notebook_dir is where Jupyter looks")
	assert.Equal(t, "/lab/tree/in-work.txt", serverProcess(t, s.pod(t).processes(t)).Environment()["JUPYTERHUB_DEFAULT_URL"])
	_, mounted := serverProcess(t, s.pod(t).processes(t)).Mounts()["/home/jovyan"]
	assert.False(t, mounted)
}

func testUnsetCmd(t *testing.T, h jupyterHub) {
	s := h.logIn(t, optionsUser, "unset")
	s.start(t, map[string]any{"profile": "big"})
	s.assertOwnedBy(t, optionsUser)
	process := serverProcess(t, s.pod(t).processes(t))
	assert.Contains(t, strings.Join(process.Args, " "), "jupyterhub-singleuser", "the image's own start knows that there is a hub")
	assert.Equal(t, "big", process.Environment()["PROFILE"])
	assert.Contains(t, process.Environment(), "BEFORE_NOTEBOOK_HOOK", "start.sh ran")
	info, err := os.Stat(cluster.share.path(optionsUser, "post-start-"+strings.TrimPrefix(h.namespace, "jhub-")))
	require.NoError(t, err)
	assert.Equal(t, uint32(homeOf(optionsUser).uid), info.Sys().(*syscall.Stat_t).Uid, "the hook ran as the user")
}

func testStartScript(t *testing.T, h jupyterHub) {
	require.NoError(t, cluster.apply(t.Context(), strings.ReplaceAll(staticClaim, "%s", h.namespace)))
	s := h.logIn(t, optionsUser, "script")
	s.start(t, nil)
	s.assertOwnedBy(t, optionsUser)
	process := serverProcess(t, s.pod(t).processes(t))
	assert.Contains(t, strings.Join(process.Args, " "), "jupyterhub-singleuser --ServerApp.terminado_settings={}")
	assert.Contains(t, process.Environment(), "BEFORE_NOTEBOOK_HOOK", "start.sh ran")
	assert.Contains(t, process.Mounts(), "/home/jovyan")
}
