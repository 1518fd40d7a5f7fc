package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary run as the program: exec replaces the process, so each run needs its own process.
func TestMain(m *testing.M) {
	if os.Getenv("BE_THE_PROGRAM") != "" {
		os.Exit(program(os.Args[1:], os.Getenv(logVariable))) //nolint:forbidigo // TestMain is the main of this program
	}
	m.Run()
}

// logVariable is an environment variable. Its value is the file that replaces /dev/termination-log in a test's process.
const logVariable = "TERMINATION_LOG"

// pod has the directories that the webhook mounts in a notebook container.
type pod struct {
	home, scratch string
}

func newPod(t *testing.T) pod {
	t.Helper()
	skipUnlessRoot(t)
	homes, scratch := openDir(t), openDir(t)
	p := pod{home: makeHome(t, homes, "alice", 5001, 6001), scratch: scratch}
	require.NoError(t, run(discoverArgs(homes, scratch, "alice")))
	return p
}

// openDir returns a temporary directory that every UID can enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	return dir
}

// exec runs "jupyter-user-init exec" as root, with the environment variables in env, and returns the output.
func (p pod) exec(t *testing.T, env []string, flags []string, argv ...string) (string, error) {
	t.Helper()
	args := append([]string{"exec", "--user=alice", "--home=" + p.home, "--scratch=" + p.scratch}, flags...)
	cmd := exec.Command("/proc/self/exe", append(append(args, "--"), argv...)...)
	cmd.Env = append(env, "BE_THE_PROGRAM=1")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 0, Gid: 0, Groups: []uint32{0, 27}}}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func TestExecSetsIdentity(t *testing.T) {
	p := newPod(t)
	out, err := p.exec(t, []string{searchPath, "HOME=/root", "NB_UID=0", "A=b"}, nil, "sh", "-c",
		`grep -E '^(Uid|Gid|Groups|CapEff|CapPrm)' /proc/self/status; pwd; env`)
	require.NoError(t, err, out)
	fields := strings.Fields(out)
	text := strings.Join(fields, " ")
	assert.Contains(t, text, "Uid: 5001 5001 5001 5001")
	assert.Contains(t, text, "Gid: 6001 6001 6001 6001")
	assert.Contains(t, text, "Groups: 6001 CapPrm: 0000000000000000 CapEff: 0000000000000000")
	assert.Contains(t, out, "\n"+p.home+"\n", "it starts in the home")
	for _, v := range []string{"HOME=" + p.home, "NB_USER=alice", "NB_UID=5001", "NB_GID=6001", "A=b"} {
		assert.Contains(t, "\n"+out, "\n"+v+"\n")
	}
}

func TestExecWorkingDir(t *testing.T) {
	p := newPod(t)
	out, err := p.exec(t, []string{searchPath}, []string{"--working-dir=/usr"}, "pwd")
	require.NoError(t, err, out)
	assert.Equal(t, "/usr\n", out)
}

func TestExecDenies(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, p pod)
		flags  []string
		want   string
	}{
		"a home with a changed owner": {want: "belongs to UID 5002 now",
			change: func(t *testing.T, p pod) { require.NoError(t, os.Chown(p.home, 5002, 6002)) }},
		"a home that was replaced": {want: "is another directory than the one that the init container found",
			change: func(t *testing.T, p pod) {
				require.NoError(t, os.Rename(p.home, p.home+".old"))
				makeHome(t, filepath.Dir(p.home), "alice", 5001, 6001)
			}},
		"a home on which a file system was mounted meanwhile": {want: "is on another file system than the one that the init container found: " +
			"the home was mounted meanwhile, or its mount has gone (autofs), or the runtime shows each mount as another file system (gVisor). " +
			"Create the Pod again; if it stays so, ask the admin to have the file system of the home mounted on the node before Pods start, " +
			"or, for a runtime such as gVisor, for discovery at admission", change: func(t *testing.T, p pod) {
			mountTmpfs(t, p.home, "uid=5001,gid=6001,mode=0700")
		}},
		"a home that was replaced by a symlink": {want: "is no directory", change: func(t *testing.T, p pod) {
			require.NoError(t, os.Rename(p.home, p.home+".old"))
			require.NoError(t, os.Symlink(p.home+".old", p.home))
		}},
		"a truncated uid-gid.env": {want: "is not what the init container writes", change: func(t *testing.T, p pod) {
			require.NoError(t, os.Truncate(filepath.Join(p.scratch, "uid-gid.env"), 20))
		}},
		"a missing uid-gid.env": {want: "the init container has not written the identity of alice", change: func(t *testing.T, p pod) {
			require.NoError(t, os.Remove(filepath.Join(p.scratch, "uid-gid.env")))
		}},
		"uid-gid.env of another user": {want: "is about bob", change: func(t *testing.T, p pod) {
			env := strings.Replace(readFile(t, p.scratch, "uid-gid.env"), "alice", "bob", 1)
			require.NoError(t, os.WriteFile(filepath.Join(p.scratch, "uid-gid.env"), []byte(env), 0o644))
		}},
		"a home that its owner cannot enter": {want: "may not enter", change: func(t *testing.T, p pod) {
			require.NoError(t, os.Chmod(p.home, 0))
		}},
		"a missing working directory": {want: "cannot start in /not/there: no such file or directory, so correct the pod's " +
			"workingDir, or leave it out to start in the home\n", flags: []string{"--working-dir=/not/there"}},
		"a file as working directory": {want: "cannot start in /etc/passwd: not a directory, so", flags: []string{"--working-dir=/etc/passwd"}},
		"a missing home": {want: "is not there: no such file or directory, so create the Pod again",
			change: func(t *testing.T, p pod) { require.NoError(t, os.Rename(p.home, p.home+".old")) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t)
			if c.change != nil {
				c.change(t, p)
			}
			out, err := p.exec(t, []string{searchPath}, c.flags, "echo", "it ran")
			require.Error(t, err)
			assert.Contains(t, out, "jupyter-user-init: ")
			assert.Contains(t, out, c.want)
			assert.NotContains(t, out, "it ran")
			assert.Equal(t, 1, strings.Count(out, "\n"), "one line: %s", out)
		})
	}
}

func TestExecWithoutCommand(t *testing.T) {
	p := newPod(t)
	out, err := p.exec(t, []string{searchPath}, nil)
	require.Error(t, err)
	assert.Equal(t, "jupyter-user-init: there is nothing to run behind the --\n", out)
}

func TestExecOfMissingProgram(t *testing.T) {
	p := newPod(t)
	out, err := p.exec(t, []string{searchPath}, nil, "no-such-program")
	require.Error(t, err)
	assert.Equal(t, "jupyter-user-init: no-such-program is not in this image: no directory of its $PATH has a program of this "+
		"name, so correct the pod's command\n", out)
}

// TestExecInClosedImage tests the errors if the user cannot reach a directory of $PATH: in images of RAPIDS, /opt/conda/bin is in
// $PATH, and /opt/conda has mode 0770. The program that is not found, or the programs of an image family, may be in that directory.
func TestExecInClosedImage(t *testing.T) {
	p := newPod(t)
	conda := filepath.Join(openDir(t), "conda")
	bin := filepath.Join(conda, "bin")
	require.NoError(t, os.MkdirAll(bin, 0o755))
	for _, name := range []string{"tini", "jupyter"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o755))
	}
	require.NoError(t, os.Chmod(conda, 0o770))
	const closed = " in its $PATH is closed to other users than the image's own (permission denied), so ask for an image whose programs every " +
		"user may run"
	out, err := p.exec(t, []string{searchPath + ":" + bin}, nil, "jupyter", "lab")
	require.Error(t, err)
	assert.Equal(t, "jupyter-user-init: jupyter is not in this image, or alice (5001) may not see it: "+bin+closed+
		", or correct the pod's command\n", out)
	out, err = p.exec(t, []string{searchPath + ":" + bin}, []string{"--image-start"})
	require.Error(t, err)
	assert.Equal(t, nothingToRun+". Another cause can be that "+bin+closed+"\n", out)
}

const nothingToRun = "jupyter-user-init: this image belongs to no known family (docker-stacks, repo2docker, Zero to " +
	"JupyterHub), so its start command is unknown: write a command in the pod, or ask the admin to add the image to notebook.starts"

// TestImageStart starts images of each family and of no family. The programs of an image are scripts that print their own
// name and arguments. In the lists of programs, "X wraps Y" is a script X with Y in a comment.
func TestImageStart(t *testing.T) {
	stacksNow := []string{"tini", "start.sh", "start-notebook.py", "start-notebook.sh", "jupyter"}
	stacksBefore2024 := []string{"tini", "start.sh", "start-notebook.sh", "jupyter"}
	hubs := []string{"tini", "jupyter"}
	foundation := []string{"tini", "start.sh", "jupyter"}
	repo2docker := []string{"tini", "repo2docker-entrypoint", "jupyter"}
	stacksOf2023 := []string{"tini", "start.sh", "start-notebook.py wraps /usr/local/bin/start.sh", "start-notebook.sh", "jupyter"}
	skipped := "jupyter-user-init: if this image has its own entrypoint, that entrypoint has not run: the image is " +
		"started like those of Zero to JupyterHub. If it needs the entrypoint, name that in the pod's command, or ask the " +
		"admin to add the image to notebook.starts\n"
	stacksMentioningStart := []string{"tini", "start.sh", "start-notebook.py wraps none: the entrypoint is start.sh", "start-notebook.sh", "jupyter"}
	for name, c := range map[string]struct {
		image []string
		flags []string
		args  []string
		want  string
	}{
		"docker-stacks":                                                 {image: stacksNow, want: "tini -g -- start.sh start-notebook.py"},
		"docker-stacks with arguments":                                  {image: stacksNow, args: []string{"jupyterhub-singleuser"}, want: "tini -g -- start.sh jupyterhub-singleuser"},
		"docker-stacks before 2024":                                     {image: stacksBefore2024, want: "tini -g -- start-notebook.sh"},
		"docker-stacks before 2024 with arguments":                      {image: stacksBefore2024, args: []string{"start.sh", "jupyter", "lab"}, want: "tini -g -- start.sh jupyter lab"},
		"docker-stacks with start.sh in a comment of start-notebook.py": {image: stacksMentioningStart, want: "tini -g -- start.sh start-notebook.py"},
		"docker-stacks with start.sh in front":                          {image: stacksMentioningStart, args: []string{"start.sh", "jupyter", "lab"}, want: "tini -g -- start.sh jupyter lab"},
		"docker-stacks of late 2023":                                    {image: stacksOf2023, want: "tini -g -- start-notebook.py"},
		"docker-stacks of late 2023 with arguments": {image: stacksOf2023, args: []string{"start.sh", "jupyter", "lab"},
			want: "tini -g -- start.sh jupyter lab"},
		"docker-stacks' foundation":                {image: foundation, want: "tini -g -- start.sh jupyter lab"},
		"docker-stacks' foundation with arguments": {image: foundation, args: []string{"jupyter", "lab", "--port=9"}, want: "tini -g -- start.sh jupyter lab --port=9"},
		"docker-stacks' foundation with start.sh by its path": {image: foundation, args: []string{"%s/start.sh", "jupyter", "lab"},
			want: "tini -g -- %s/start.sh jupyter lab"},
		"repo2docker":                       {image: repo2docker, want: "repo2docker-entrypoint jupyter lab"},
		"repo2docker with arguments":        {image: repo2docker, args: []string{"jupyterhub-singleuser"}, want: "repo2docker-entrypoint jupyterhub-singleuser"},
		"Zero to JupyterHub":                {image: hubs, want: skipped + "tini -- jupyter lab"},
		"Zero to JupyterHub with arguments": {image: hubs, args: []string{"jupyterhub-singleuser"}, want: skipped + "tini -- jupyterhub-singleuser"},
		"Enterprise Gateway's kernel": {image: append([]string{"bootstrap-kernel.sh"}, stacksNow...), want: "tini -g " +
			"-- start.sh bootstrap-kernel.sh"},
		"no family with a hub's own start": {image: []string{"jupyterhub-singleuser"}, args: []string{"jupyterhub-singleuser", "--debug"}, want: skipped + "jupyterhub-singleuser --debug"},
		"no family with a wrapper of a hub's own start": {image: []string{"wrapper", "jupyterhub-singleuser"},
			args: []string{"wrapper", "jupyterhub-singleuser"}, want: skipped + "wrapper jupyterhub-singleuser"},
		"no family with a hub's own start by its path": {image: []string{"jupyterhub-singleuser"},
			args: []string{"%s/jupyterhub-singleuser", "--debug"}, want: skipped + "jupyterhub-singleuser --debug"},
		"no family with another program by its path":     {image: []string{"python"}, args: []string{"%s/python"}, want: nothingToRun},
		"tini and Jupyter with an entrypoint of its own": {image: append([]string{"docker-entrypoint.sh"}, hubs...), want: nothingToRun},
		"tini and Jupyter with s6-overlay":               {image: append([]string{"s6-svscan"}, hubs...), want: nothingToRun},
		"configured":                                     {image: []string{"go"}, flags: []string{`--entrypoint=["go"]`, `--command=["on"]`}, want: "go on"},
		"configured with arguments": {image: []string{"go"}, flags: []string{`--entrypoint=["go"]`, `--command=["on"]`},
			args: []string{"away"}, want: "go away"},
		"no family with arguments": {image: []string{"python"}, args: []string{"python"}, want: nothingToRun},
		"no family":                {image: []string{"python"}, want: nothingToRun},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPod(t)
			bin := openDir(t)
			for _, program := range c.image {
				program, wraps, _ := strings.Cut(program, " wraps ")
				script := "#!/bin/sh\n# " + wraps + "\necho \"" + program + " $*\"\n"
				require.NoError(t, os.WriteFile(filepath.Join(bin, program), []byte(script), 0o755))
			}
			for i := range c.args {
				c.args[i] = strings.ReplaceAll(c.args[i], "%s", bin)
			}
			out, _ := p.exec(t, []string{"PATH=" + bin}, append([]string{"--image-start"}, c.flags...), c.args...)
			assert.Equal(t, strings.ReplaceAll(c.want, "%s", bin), strings.TrimSpace(out))
		})
	}
}

func TestExecStartedAsOtherUser(t *testing.T) {
	p := newPod(t)
	cmd := exec.Command("/proc/self/exe", "exec", "--user=alice", "--home="+p.home, "--scratch="+p.scratch, "--", "id")
	cmd.Env = []string{searchPath, "BE_THE_PROGRAM=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 5009, Gid: 6009}}
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "cannot become 5001:6001")
	assert.Contains(t, string(out), "SETUID")
	assert.Equal(t, 1, strings.Count(string(out), "\n"), "one line: %s", out)
}

// TestExecStartedAsUser tests that a process gets an error if it already has the user's UID: it may have other groups, and
// has no right to drop them.
func TestExecStartedAsUser(t *testing.T) {
	p := newPod(t)
	cmd := exec.Command("/proc/self/exe", "exec", "--user=alice", "--home="+p.home, "--scratch="+p.scratch, "--", "id")
	cmd.Env = []string{searchPath, "BE_THE_PROGRAM=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 5001, Gid: 6001, Groups: []uint32{27}}}
	out, err := cmd.CombinedOutput()
	require.Error(t, err, string(out))
	assert.Contains(t, string(out), "cannot become 5001:6001")
}

// TestExecReplacesIdentityVariables tests that each identity variable has only one entry. If a variable has two entries, a
// program uses the first and a shell the last, so the test reads the raw environment.
func TestExecReplacesIdentityVariables(t *testing.T) {
	p := newPod(t)
	env := []string{searchPath, "HOME=/root", "NB_USER=jovyan", "NB_UID=0", "NB_GID=0", "HOMEPAGE=x"}
	out, err := p.exec(t, env, nil, "cat", "/proc/self/environ")
	require.NoError(t, err, out)
	var found []string
	for _, v := range strings.Split(out, "\x00") {
		if strings.HasPrefix(v, "HOME") || strings.HasPrefix(v, "NB_") {
			found = append(found, v)
		}
	}
	assert.ElementsMatch(t, []string{"HOME=" + p.home, "NB_USER=alice", "NB_UID=5001", "NB_GID=6001", "HOMEPAGE=x"}, found)
}

// TestExecPrependsJupyterConfigPath tests that the scratch volume is the first directory in JUPYTER_CONFIG_PATH, and that
// the directories of the image or the Pod follow.
func TestExecPrependsJupyterConfigPath(t *testing.T) {
	p := newPod(t)
	for had, want := range map[string]string{
		"":                              p.scratch,
		"JUPYTER_CONFIG_PATH=":          p.scratch,
		"JUPYTER_CONFIG_PATH=/jupyter":  p.scratch + ":/jupyter",
		"JUPYTER_CONFIG_PATH=/a:/b c/d": p.scratch + ":/a:/b c/d",
	} {
		env := []string{searchPath}
		if had != "" {
			env = append(env, had)
		}
		output, err := p.exec(t, env, []string{"--jupyter-config"}, "sh", "-c", `echo "$JUPYTER_CONFIG_PATH"`)
		require.NoError(t, err, output)
		assert.Equal(t, want+"\n", output, had)
	}
	output, err := p.exec(t, []string{searchPath, "JUPYTER_CONFIG_PATH=/jupyter"}, nil, "sh", "-c", `echo "$JUPYTER_CONFIG_PATH"`)
	require.NoError(t, err, output)
	assert.Equal(t, "/jupyter\n", output, "without settings of ours")
}

// TestExecMovesXDGDirectories tests that an XDG directory in an image's own home becomes the same directory in the user's home.
func TestExecMovesXDGDirectories(t *testing.T) {
	p := newPod(t)
	env := []string{searchPath, "XDG_CACHE_HOME=/home/jovyan/.cache/", "XDG_DATA_HOME=/home/rstudio/.data", "XDG_STATE_HOME=/home/bob", "OWN=/home/jovyan"}
	output, err := p.exec(t, env, nil, "sh", "-c", `echo "$XDG_CACHE_HOME $XDG_DATA_HOME $XDG_STATE_HOME $OWN"`)
	require.NoError(t, err, output)
	assert.Equal(t, p.home+"/.cache "+p.home+"/.data /home/bob /home/jovyan\n", output)
}

// TestExecOfUnusableProgram tests the error for a command that is no executable program. The error is one line that names the
// cause, and the remedy if it is known.
func TestExecOfUnusableProgram(t *testing.T) {
	bin := openDir(t)
	for name, content := range map[string]string{"unexecutable": "", "text": "echo", "orphan": "#!/no/such/shell\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(content), 0o755))
	}
	require.NoError(t, os.Chmod(filepath.Join(bin, "unexecutable"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(bin, "hidden"), 0o700))
	const denied = " cannot be run: alice (5001) may not execute it, so chmod a+x it, or name what is to run it"
	for name, want := range map[string]string{
		"":                    `the command is empty: its first word has to be a program, so correct the pod's command`,
		bin:                   bin + " cannot be run: it is a directory, so correct the pod's command",
		bin + "/unexecutable": bin + "/unexecutable" + denied,
		bin + "/hidden/x":     bin + "/hidden/x" + denied,
		bin + "/missing":      bin + "/missing is not in this image, so correct the pod's command",
		bin + "/text/below":   bin + "/text/below cannot be run: not a directory, so correct the pod's command",
		bin + "/text": bin + "/text cannot be run: exec format error (it is for another kind of machine, or a script without " +
			"a #! line)",
		bin + "/orphan": bin + "/orphan cannot be run: what it needs to run, such as the interpreter in its #! line, is not " +
			"in this image",
		"unexecutable": "unexecutable is not in this image: no directory of its $PATH has a program of this name, so correct the pod's command",
	} {
		t.Run(name, func(t *testing.T) {
			out, err := newPod(t).exec(t, []string{"PATH=" + bin}, nil, name)
			require.Error(t, err)
			assert.Equal(t, "jupyter-user-init: "+want+"\n", out)
		})
	}
}
