package e2e

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/images"
)

// TestInitContainerDenies tests denials by the init container: the notebook container does not start, kubectl describe
// shows the reason, and nothing changes on the share.
func TestInitContainerDenies(t *testing.T) {
	for name, c := range map[string]struct{ user, want string }{
		"no home, name is contained in alice": {"li", "li has no home: /data/hpc/home/li does not exist on the share. " +
			"Check the name, or ask the admin to make it: jupyter-user-webhook homes makes the homes that users of the directory service do not have yet"},
		"no home": {"no-home", "no-home has no home: /data/hpc/home/no-home does not exist on the share"},
		"no home, name is the beginning of qiang.guo03": {"qiang.guo0", "qiang.guo0 has no home"},
		"owner 0":     {"root-owned", "UID 0 is root"},
		"owner 65534": {"squashed", "UID 65534 is nobody, which is what NFS shows for an owner that it cannot map"},
		"owner 500":   {"low-uid", "UID 500 is below 1000"},
		"a file":      {"a-file", "is no directory"},
		"a symlink":   {"a-link", "is a symbolic link"},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := cluster.share.listing()
			require.NoError(t, err)
			p := run(t, atStart, "denied", c.user, images.DockerStacks)
			assertInitFailed(t, p, c.want)
			after, err := cluster.share.listing()
			require.NoError(t, err)
			assert.Equal(t, before, after, "nothing was created on the share, and no owner has changed")
		})
	}
}

// assertInitFailed asserts that the init container jupyter-user-init has failed, and that the notebook container has not
// started. The text want must be in the termination message of the init container, and in the output of kubectl describe.
func assertInitFailed(t *testing.T, p pod, want string) {
	t.Helper()
	got := p.await(t, readyLimit, "to be stopped", func(p *corev1.Pod) bool { return initMessage(p) != "" })
	assert.Contains(t, initMessage(got), want)
	assert.Nil(t, got.Status.ContainerStatuses[0].State.Running, "the notebook never started")
	assert.Nil(t, got.Status.ContainerStatuses[0].State.Terminated, "the notebook never started")
	described := kubectl(t, "describe", "pod", p.name, "-n", p.namespace)
	assert.Contains(t, described.Stdout, want)
}

// TestDeniedAtAdmission tests that a webhook with sources of identities denies a user without a valid identity at
// admission, and not on the node. In these tests the sources are the share and a passwd file, which must agree.
// TestHomeReplacedBetweenAdmissionAndStart tests homes that change after admission.
func TestDeniedAtAdmission(t *testing.T) {
	for user, want := range map[string]string{
		"root-owned":  "UID 0 is root",
		"squashed":    "UID 65534 is nobody",
		"low-uid":     "UID 500 is below 1000",
		"li":          "IdentityUnknown",
		"homeless":    "passwd has UID 5010, and there is no home on the share",
		"renamed":     "passwd has no such user, and the home on the share belongs to UID 5013",
		"two-uids":    "passwd has UID 5011, and the home on the share belongs to UID 5012",
		"many-groups": "TooManyGroups",
	} {
		t.Run(user, func(t *testing.T) {
			result := kubectl(t, "run", "denied", "-n", atAdmission.namespace, "--image="+images.DockerStacks, "--labels=jupyter-user="+user)
			assert.Equal(t, 1, result.ExitCode)
			assert.Contains(t, result.Stderr, want)
		})
	}
}

// TestHomeIsSymlink tests that a user whose home is a symbolic link to another user's home is denied, with both discoveries.
func TestHomeIsSymlink(t *testing.T) {
	t.Run(atStart.name, func(t *testing.T) {
		assertInitFailed(t, run(t, atStart, "link-owner", "link-owner", images.Plain, "--command", "--", "hello"),
			"link-owner is a symbolic link")
	})
	t.Run(atAdmission.name, func(t *testing.T) {
		result := kubectl(t, "run", "link-owner", "-n", atAdmission.namespace, "--image="+images.Plain,
			"--labels=jupyter-user=link-owner")
		assert.Equal(t, 1, result.ExitCode)
		assert.Contains(t, result.Stderr, "IdentityDisputed")
		assert.Contains(t, result.Stderr, "passwd has UID 5001, and there is no home on the share")
	})
}

// gatedPod is a Pod with a scheduling gate. A test can therefore change the home between the Pod's admission and its start.
const gatedPod = `
apiVersion: v1
kind: Pod
metadata:
  name: gated
  labels: {jupyter-user: replaced}
spec:
  schedulingGates: [{name: e2e/wait}]
  containers:
  - {name: nb, image: ` + images.DockerStacks + `}
`

// TestHomeReplacedBetweenAdmissionAndStart replaces the home by a link to another user's home, or by a file, or removes the
// home. With discovery at admission, which has recorded the owner, the test also replaces the home by a directory of another
// owner. A new directory of the same owner would be accepted, because no program has recorded the directory itself yet.
// TestRestartWithChangedHome tests that a new directory of the same owner is denied when the notebook container restarts.
func TestHomeReplacedBetweenAdmissionAndStart(t *testing.T) {
	path, bob := cluster.share.path("replaced"), cluster.share.path("bob")
	for name, c := range map[string]struct {
		replace func() error
		want    map[discovery]string
	}{
		"by a directory of another owner": {
			func() error { return errors.Join(os.Mkdir(path, 0o700), os.Chown(path, 5002, 6002)) },
			map[discovery]string{atAdmission: "belongs to UID 5002, and the pod was admitted as UID 5006: the owner has changed since"}},
		"by a symlink to another user's home": {
			func() error { return os.Symlink(bob, path) },
			map[discovery]string{atAdmission: "is a symbolic link", atStart: "is a symbolic link"}},
		"by a file": {
			func() error { return os.WriteFile(path, nil, 0o600) },
			map[discovery]string{atAdmission: "replaced is no directory", atStart: "replaced is no directory"}},
		"removed": {
			func() error { return nil },
			map[discovery]string{atAdmission: "replaced has no home", atStart: "replaced has no home"}},
	} {
		for discovery, want := range c.want {
			t.Run(name+"/"+discovery.name, func(t *testing.T) {
				p := create(t, discovery, "gated", gatedPod)
				t.Cleanup(func() {
					require.NoError(t, os.RemoveAll(path))
					require.NoError(t, cluster.share.makeHome(homeOf("replaced")))
				})
				require.NoError(t, os.RemoveAll(path))
				require.NoError(t, c.replace())
				before, err := cluster.share.listing()
				require.NoError(t, err)
				result := kubectl(t, "patch", "pod", "gated", "-n", discovery.namespace, "--type=json",
					`-p=[{"op": "remove", "path": "/spec/schedulingGates"}]`)
				require.Zero(t, result.ExitCode, result.Stderr)
				assertInitFailed(t, p, want)
				after, err := cluster.share.listing()
				require.NoError(t, err)
				assert.Equal(t, before, after)
			})
		}
	}
}

// TestMissingClaimOrImage tests that for a missing claim or image, users see Kubernetes' own message.
func TestMissingClaimOrImage(t *testing.T) {
	t.Run("a missing claim", func(t *testing.T) {
		withoutClaim := discovery{"AtStart", "without-claim", "baseline"}
		require.NoError(t, cluster.makeNamespace(t.Context(), withoutClaim.namespace, withoutClaim.level))
		p := run(t, withoutClaim, "nb", "alice", images.DockerStacks)
		got := p.await(t, readyLimit, "to be unschedulable", func(p *corev1.Pod) bool {
			return len(p.Status.Conditions) > 0 && p.Status.Conditions[0].Message != ""
		})
		assert.Contains(t, got.Status.Conditions[0].Message, `persistentvolumeclaim "hpc-shared-pvc" not found`)
		assert.Contains(t, kubectl(t, "describe", "pod", "nb", "-n", withoutClaim.namespace).Stdout,
			`persistentvolumeclaim "hpc-shared-pvc" not found`)
	})
	// These subtests run in parallel, because containerd tries for 15 seconds to pull the missing image.
	for _, discovery := range discoveries {
		t.Run("a missing image/"+discovery.name, func(t *testing.T) {
			t.Parallel()
			p := run(t, discovery, "imageless", "alice", "registry.invalid/no/such:image")
			got := p.await(t, readyLimit, "to report that the image cannot be pulled", func(p *corev1.Pod) bool {
				statuses := p.Status.ContainerStatuses
				return len(statuses) > 0 && statuses[0].State.Waiting != nil && statuses[0].State.Waiting.Reason == "ErrImagePull"
			})
			assert.Contains(t, got.Status.ContainerStatuses[0].State.Waiting.Message, `failed to do request: Head "https://registry.invalid/`)
		})
	}
}
