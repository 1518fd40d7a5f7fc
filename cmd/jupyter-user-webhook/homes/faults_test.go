package homes_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const byInitial = "home/{initial}/{user}"

// TestKillAtEveryStep kills a run before each of its changes to the share. After that, a home must be complete or missing,
// and the next run must give the same result as a run that was not killed.
func TestKillAtEveryStep(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		skeleton := skeletonDir(t)
		for _, noReplace := range []syscall.Errno{0, syscall.EINVAL} {
			var steps atomic.Int64
			s := newSite(t)
			f := &faulty{folder: s.root, noReplace: noReplace}
			f.set(func(string, string) syscall.Errno { steps.Add(1); return 0 })
			o := childTask{Share: f.mount(t), Home: byInitial, Skeleton: skeleton, Users: 1}
			c, output := o.process(t)
			require.NoError(t, c.Run(), output)
			whole := tree(t, s.root)
			require.Equal(t, filled, tree(t, s.path("home/a/alice")))
			require.Greater(t, steps.Load(), int64(20))
			leftBehind := 0
			for step := int64(1); step <= steps.Load(); step++ {
				leftBehind += killAt(t, step, skeleton, noReplace, whole)
			}
			assert.Greater(t, int64(leftBehind), steps.Load()/2, "most kills must leave an unfinished directory behind")
		}
	})
}

// killAt kills a run before the change of the given number. It returns 1 if the next run removed an unfinished directory.
func killAt(t *testing.T, step int64, skeleton string, noReplace syscall.Errno, whole []string) int {
	t.Helper()
	s := newSite(t)
	f := &faulty{folder: s.root, noReplace: noReplace}
	o := childTask{Share: f.mount(t), Home: byInitial, Skeleton: skeleton, Users: 1}
	c, output := o.process(t)
	started := make(chan struct{})
	var steps atomic.Int64
	f.set(func(string, string) syscall.Errno {
		if steps.Add(1) != step {
			return 0
		}
		<-started
		_ = c.Process.Kill()
		return syscall.EINTR
	})
	require.NoError(t, c.Start())
	close(started)
	require.Error(t, c.Wait(), output)
	require.Equal(t, syscall.SIGKILL, c.ProcessState.Sys().(syscall.WaitStatus).Signal(), "step %d: %s", step, output)
	if _, err := os.Lstat(s.path("home/a/alice")); err == nil {
		assert.Equal(t, filled, tree(t, s.path("home/a/alice")), "step %d", step)
	}
	f.set(nil)
	again, output := o.process(t)
	require.NoError(t, again.Run(), "step %d: %s", step, output)
	assert.Equal(t, whole, tree(t, s.root), "step %d: %s", step, output)
	if strings.Contains(output.String(), "removed: home") {
		return 1
	}
	return 0
}

// TestConcurrentRuns tests two runs at the same time. On one node, the second run waits. On two nodes the runs do not see
// each other's lock. After a third run every home is complete, and no unfinished directory is left.
func TestConcurrentRuns(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			nodes     int
			noReplace syscall.Errno
		}{"one node": {nodes: 1}, "two nodes": {nodes: 2}, "two nodes of NFS": {2, syscall.EINVAL}} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t)
				o := childTask{Share: s.root, Home: byInitial, Skeleton: skeletonDir(t), Users: 50}
				other := o
				if c.nodes == 2 {
					other.Share = (&faulty{folder: s.root, noReplace: c.noReplace}).mount(t)
				}
				var runs sync.WaitGroup
				for _, o := range []childTask{o, other} {
					runs.Go(func() {
						process, output := o.process(t)
						err := process.Run()
						if c.nodes == 1 {
							assert.NoError(t, err, output)
						}
						t.Logf("%v, %s", err, output.String()[max(0, output.Len()-200):])
					})
				}
				runs.Wait()
				process, output := o.process(t)
				require.NoError(t, process.Run(), output)
				if c.nodes == 1 {
					assert.Equal(t, "{Made:0 Existing:50 Skipped:0 Failed:0}\n", output.String())
				}
				assert.NotContains(t, strings.Join(tree(t, s.root), "\n"), ".jupyter-user-homes-")
				assert.Equal(t, filled, tree(t, s.path("home/a/alice")))
				want := len(tree(t, s.path("home/a/alice")))
				for i := 1; i < 50; i++ {
					assert.Len(t, tree(t, s.path(fmt.Sprintf("home/u/user%d", i))), want)
				}
			})
		}
	})
}

// runFails makes the homes of the given number of users on the faulty file system, asserts that the run fails, and returns
// the run's output.
func (f *faulty) runFails(t *testing.T, users int) string {
	t.Helper()
	process, output := childTask{Share: f.mount(t), Home: "home/{user}", Skeleton: skeletonDir(t), Users: users}.process(t)
	require.Error(t, process.Run())
	return output.String()
}

// TestServerDeniesChanges tests changes that the server denies. The run ends with one error, and leaves nothing behind.
func TestServerDeniesChanges(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			what  string
			errno syscall.Errno
			want  string
		}{
			"mkdir": {"mkdir", syscall.EACCES, "the share does not let this process (UID 0) make directories and give them to users"},
			"chown": {"chown", syscall.EPERM, "the share does not let this process (UID 0) make directories and give them to users"},
			"chmod": {"chmod", syscall.EPERM, "the share does not let this process set the mode of a directory that it has made: its server keeps ACLs " +
				"(ZFS with aclmode=restricted, ONTAP). Remove the inheritable entries of the ACLs above the homes, or let the server accept a " +
				"change of the mode: "},
			"create":    {"create", syscall.EACCES, "the share does not let this process (UID 0) make directories and give them to users"},
			"read-only": {"mkdir", syscall.EROFS, "the share is mounted read-only here"},
			"full":      {"write", syscall.ENOSPC, "the share is full"},
		} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t)
				f := &faulty{folder: s.root, noReplace: syscall.EINVAL}
				f.set(func(what, _ string) syscall.Errno {
					if what == c.what {
						return c.errno
					}
					return 0
				})
				before := tree(t, s.root)
				output := f.runFails(t, 3)
				lines := strings.Split(strings.TrimSpace(output), "\n")
				require.Len(t, lines, 2, output)
				assert.Equal(t, "{Made:0 Existing:0 Skipped:0 Failed:0}", lines[0])
				assert.Contains(t, lines[1], "error: make home/alice: "+c.want)
				assert.Equal(t, before, tree(t, s.root))
			})
		}
	})
}

// TestLeftoverThatStays tests that a run goes on if root cannot remove the unfinished directory of a killed run. The directory
// can belong to its user already, who can have put something into it that root cannot remove without the capability FOWNER. The
// test injects that error.
func TestLeftoverThatStays(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		s := newSite(t)
		require.NoError(t, os.Mkdir(s.path("home/.jupyter-user-homes-OLD"), 0o700))
		require.NoError(t, os.WriteFile(s.path("home/.jupyter-user-homes-OLD/kept"), nil, 0o600))
		f := &faulty{folder: s.root, noReplace: syscall.EINVAL}
		f.set(func(what, name string) syscall.Errno {
			if what == "unlink" && name == "kept" {
				return syscall.EPERM
			}
			return 0
		})
		output := f.runFails(t, 2)
		assert.Contains(t, output, "failed: home/.jupyter-user-homes-OLD, which a killed run left behind, cannot be removed")
		assert.Contains(t, output, "{Made:2 Existing:0 Skipped:0 Failed:1}")
		assert.Equal(t, filled, tree(t, s.path("home/alice")))
	})
}

// TestQuotaErrorSkipsOneUser tests that the run goes on if one user is over quota.
func TestQuotaErrorSkipsOneUser(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		s := newSite(t)
		f := &faulty{folder: s.root}
		first := true
		f.set(func(what, _ string) syscall.Errno {
			if what == "write" && first {
				first = false
				return syscall.EDQUOT
			}
			return 0
		})
		output := f.runFails(t, 2)
		assert.Contains(t, output, "failed: home/alice: ")
		assert.Contains(t, output, "disk quota exceeded")
		assert.Contains(t, output, "made: home/user1, for 5002:6002")
		assert.NotContains(t, strings.Join(tree(t, s.root), "\n"), ".jupyter-user-homes-")
	})
}

// TestProcessWithoutChown tests the error of a process that is not root, or that is root without the capability CHOWN.
func TestProcessWithoutChown(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*exec.Cmd){
		"not root": func(c *exec.Cmd) { c.SysProcAttr.Credential = &syscall.Credential{Uid: 65532, Gid: 65532} },
		"root without CHOWN": func(c *exec.Cmd) {
			c.Args = append([]string{"setpriv", "--bounding-set=-chown", "--inh-caps=-chown", c.Path}, c.Args[1:]...)
			c.Path = "/usr/bin/setpriv"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			makeEnterable(t, s.root)
			before := tree(t, s.root)
			process, output := childTask{Share: s.root, Home: "home/{user}", Skeleton: enterableSkeleton(t), Users: 3}.process(t)
			process.Path = enterableCopy(t, process.Path)
			change(process)
			require.Error(t, process.Run())
			assert.Equal(t, 1, strings.Count(output.String(), "error: "), output)
			assert.Contains(t, output.String(), "error: make home/alice: the share does not let this process (UID ")
			assert.Equal(t, before, tree(t, s.root))
		})
	}
}

// TestRootWithTwoCapabilities tests a run as root with the two capabilities that the chart's CronJob has. Such a run can
// also remove a directory that a killed run has already given to a user.
func TestRootWithTwoCapabilities(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.mkdir(t, "home/a", 0, 0o755)
	left := "home/a/.jupyter-user-homes-OLD"
	s.mkdir(t, left, 5001, 0o700)
	s.mkdir(t, left+"/closed", 5001, 0o500)
	require.NoError(t, os.WriteFile(s.path(left+"/closed/file"), nil, 0o400))
	s.link(t, s.path("home"), left+"/link")
	makeEnterable(t, s.root)
	process, output := childTask{Share: s.root, Home: byInitial, Skeleton: skeletonDir(t), Users: 1}.process(t)
	process.Args = append([]string{"setpriv", "--bounding-set=-all,+chown,+dac_override", "--inh-caps=-all,+chown,+dac_override",
		enterableCopy(t, process.Path)}, process.Args[1:]...)
	process.Path = "/usr/bin/setpriv"
	require.NoError(t, process.Run(), output)
	assert.Contains(t, output.String(), "removed: "+left)
	assert.Equal(t, filled, tree(t, s.path("home/a/alice")))
	assert.Len(t, tree(t, s.path("home/a")), 1+len(filled))
}

// makeEnterable lets every user enter a directory and the directories above.
func makeEnterable(t *testing.T, dir string) {
	t.Helper()
	for ; dir != "/tmp" && dir != "/"; dir = dir[:strings.LastIndexByte(dir, '/')] {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
}

// enterableCopy copies a program to a directory in which every user can run it.
func enterableCopy(t *testing.T, program string) string {
	t.Helper()
	text, err := os.ReadFile(program)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/program", text, 0o755))
	makeEnterable(t, dir)
	return dir + "/program"
}

func enterableSkeleton(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/.bashrc", nil, 0o644))
	makeEnterable(t, dir)
	return dir
}

// TestDirectoryCreatedMeanwhile tests a directory that another node makes during the run. The run does not replace the
// directory. If the directory belongs to the user, the run reports no failure.
func TestDirectoryCreatedMeanwhile(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			noReplace syscall.Errno
			uid       int
			want      string
			// late is set if the directory is made just before the rename. Else it is made just before the chown.
			late bool
		}{
			"another user's, late":         {0, 5002, "failed: home/alice: is there already and belongs to UID 5002", true},
			"another user's, late, on NFS": {syscall.EINVAL, 5002, "failed: home/alice: is there already and belongs to UID 5002", true},
			"another user's":               {0, 5002, "failed: home/alice: is there already and belongs to UID 5002", false},
			"another user's, on NFS":       {syscall.EINVAL, 5002, "failed: home/alice: is there already and belongs to UID 5002", false},
			"the user's":                   {0, 5001, "{Made:0 Existing:1 Skipped:0 Failed:0}", false},
			"the user's, on NFS":           {syscall.EINVAL, 5001, "{Made:0 Existing:1 Skipped:0 Failed:0}", false},
		} {
			t.Run(name, func(t *testing.T) {
				s := newSite(t)
				f := &faulty{folder: s.root, noReplace: c.noReplace}
				f.set(func(what, _ string) syscall.Errno {
					if what == map[bool]string{false: "chown", true: "rename"}[c.late] {
						f.fault = nil
						s.mkdir(t, "home/alice", c.uid, 0o700)
					}
					return 0
				})
				process, output := childTask{Share: f.mount(t), Home: "home/{user}", Skeleton: skeletonDir(t), Users: 1}.process(t)
				err := process.Run()
				assert.Equal(t, c.uid != 5001, err != nil, output)
				assert.Contains(t, output.String(), c.want)
				assert.Equal(t, []string{
					"drwxr-xr-x 0:0 .", "drwxr-xr-x 0:0 home", fmt.Sprintf("drwx------ %d:%d home/alice", c.uid, c.uid),
				}, tree(t, s.root))
			})
		}
	})
}

// TestServerMapsUserToNobody tests a server that maps the user's UID to nobody: the run removes the new home, and reports a
// failure.
func TestServerMapsUserToNobody(t *testing.T) {
	inMountNamespace(t, func(t *testing.T) {
		s := newSite(t)
		f := &faulty{folder: s.root}
		f.squash = 65534
		process, output := childTask{Share: f.mount(t), Home: "home/{user}", Skeleton: enterableSkeleton(t), Users: 1}.process(t)
		require.Error(t, process.Run())
		assert.Contains(t, output.String(), "failed: home/alice: it was given to UID 5001, but the server shows UID 65534")
		assert.Equal(t, []string{"drwxr-xr-x 0:0 .", "drwxr-xr-x 0:0 home"}, tree(t, s.root))
	})
}
