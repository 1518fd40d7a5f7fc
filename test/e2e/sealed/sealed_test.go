package sealed_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"jupyter-user.io/jupyter-user-webhook/test/e2e/sealed"
	"jupyter-user.io/jupyter-user-webhook/test/machine"
)

// programVariable is an environment variable. It makes this test binary run as one of the programs below.
const programVariable = "SEALED_TEST_PROGRAM"

const (
	// ends is a program that makes the leftovers of a node (see makeLeftovers), and ends with status 7.
	ends = "ends"
	// stays is a program that makes the same leftovers, and then waits.
	stays = "stays"
	// kept is the program stays, run with UntilInterrupt of sealed.Program.
	kept   = "kept"
	serves = "serves"
)

func TestMain(m *testing.M) {
	program := os.Getenv(programVariable)
	if program == "" {
		os.Exit(m.Run()) //nolint:forbidigo // TestMain is the main of this program
	}
	os.Exit(sealed.Run(sealed.Program{ //nolint:forbidigo // likewise
		Inside:         func(enclosure sealed.Enclosure) int { return inside(program, enclosure) },
		Tunnels:        []string{"http"},
		Opened:         func(_, address string) { fmt.Println("address", address) },
		UntilInterrupt: program == kept,
	}))
}

func inside(program string, enclosure sealed.Enclosure) int {
	if program == serves {
		return serve(enclosure)
	}
	if err := makeLeftovers(enclosure); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("folder", enclosure.Folder)
	if program == stays || program == kept {
		select {}
	}
	return 7
}

// makeLeftovers makes mounts, devices, namespaces, cgroups and a process, like a node, and removes nothing.
func makeLeftovers(enclosure sealed.Enclosure) error {
	mounted := filepath.Join(enclosure.Folder, "mounted")
	script := `set -e
mkdir "$1"
mount -t tmpfs tmpfs "$1"
touch "$1/file"
ip link add litter0 type bridge
ip netns add litter
echo 1 >/proc/sys/vm/panic_on_oom
for cgroup in /sys/fs/cgroup/*/"$2" /sys/fs/cgroup/"$2"; do
	[ -d "$cgroup" ] || continue
	mkdir -p "$cgroup/below/deeper"
done
setsid sleep infinity >/dev/null 2>&1 &
`
	command := exec.Command("sh", "-c", script, "sh", mounted, enclosure.Cgroup)
	command.Env = append(os.Environ(), "LITTER_OF="+enclosure.Folder) // findLeftovers finds the process by this variable.
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

func serve(enclosure sealed.Enclosure) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = enclosure.Open("http", listener.Addr().String())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("folder", enclosure.Folder)
	name, _ := os.Hostname()
	_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	return 1
}

// running is a process that the function startBy has started, with the folder and the tunnel's address that the process has
// printed.
type running struct {
	*exec.Cmd
	folder, address string
	stderr          *bytes.Buffer
}

func start(t *testing.T, program string) running {
	t.Helper()
	return startBy(t, program, "/proc/self/exe")
}

// startBy starts one of the programs above, and waits until it has printed its folder. command is this test binary, or a
// program that starts this test binary.
func startBy(t *testing.T, program, command string, arguments ...string) running {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make namespaces")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*machine.Patience)
	t.Cleanup(cancel)
	r := running{Cmd: exec.CommandContext(ctx, command, arguments...), stderr: new(bytes.Buffer)}
	r.Env = append(os.Environ(), programVariable+"="+program)
	r.Stderr = io.MultiWriter(t.Output(), r.stderr)
	out, err := r.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, r.Start())
	lines := bufio.NewScanner(out)
	for r.folder == "" && lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "folder":
			r.folder = value
		case "address":
			r.address = value
		}
	}
	require.NotEmpty(t, r.folder, "the program must print its folder")
	return r
}

// machineState returns those parts of the state of the machine that the enclosure of a node could change: mounts, network
// devices, a kernel setting, the hosts file and the host name.
func machineState(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, path := range []string{"/proc/self/mounts", "/proc/net/dev", "/proc/sys/vm/panic_on_oom", "/etc/hosts"} {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		text := string(data)
		if path == "/proc/net/dev" {
			text = ""
			for line := range strings.Lines(string(data)) { // The counters of sent and received data change.
				device, _, _ := strings.Cut(line, ":")
				text += device + "\n"
			}
		}
		found[path] = text
	}
	name, err := os.Hostname()
	require.NoError(t, err)
	found["host name"] = name
	return found
}

// findLeftovers returns the processes, the folder and the cgroups that are left of an enclosure.
func findLeftovers(folder string) (found []string) {
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range commands {
		data, _ := os.ReadFile(path)
		environment, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		if strings.Contains(string(environment), folder) {
			found = append(found, strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	for _, pattern := range []string{folder, "/sys/fs/cgroup/" + filepath.Base(folder), "/sys/fs/cgroup/*/" + filepath.Base(folder)} {
		paths, _ := filepath.Glob(pattern)
		found = append(found, paths...)
	}
	return found
}

func TestEnclosureLeavesNothing(t *testing.T) {
	before := machineState(t)
	r := start(t, ends)
	var exit *exec.ExitError
	require.ErrorAs(t, r.Wait(), &exit)
	assert.Equal(t, 7, exit.ExitCode(), "the status must be that of the program inside")
	assert.Empty(t, findLeftovers(r.folder))
	assert.Equal(t, before, machineState(t))
}

func TestInterruptRemovesEnclosure(t *testing.T) {
	before := machineState(t)
	r := start(t, stays)
	assert.NotEmpty(t, findLeftovers(r.folder), "findLeftovers must find a running enclosure")
	require.NoError(t, r.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, r.Wait(), &exit)
	assert.Equal(t, 130, exit.ExitCode())
	assert.Empty(t, findLeftovers(r.folder))
	assert.Equal(t, before, machineState(t))
}

// TestUntilInterrupt tests that Ctrl-C ends a program with UntilInterrupt without an error, that a message says that
// everything was removed, and that nothing is left.
func TestUntilInterrupt(t *testing.T) {
	r := start(t, kept)
	require.NoError(t, r.Process.Signal(os.Interrupt))
	require.NoError(t, r.Wait())
	assert.Equal(t, "\nEverything was removed.\n", r.stderr.String())
	assert.Empty(t, findLeftovers(r.folder))
}

// TestKilledRun tests that after the outside process is killed, the kernel kills all processes of the enclosure, and removes
// its mounts, devices and namespaces. The next run removes the folder and the cgroups.
func TestKilledRun(t *testing.T) {
	before := machineState(t)
	r := start(t, stays)
	require.NoError(t, r.Process.Kill())
	_ = r.Wait()
	require.Eventually(t, func() bool {
		for _, what := range findLeftovers(r.folder) {
			if !strings.HasPrefix(what, "/") {
				return false
			}
		}
		return true
	}, machine.Patience, 10*time.Millisecond, "processes are left")
	assert.Equal(t, before, machineState(t))
	entries, err := os.ReadDir(filepath.Join(r.folder, "mounted"))
	require.NoError(t, err)
	assert.Empty(t, entries, "the mount must be gone")

	_ = start(t, ends).Wait()
	assert.Empty(t, findLeftovers(r.folder), "the next run must remove the folder")
}

// TestParentKilled tests that the program ends when the parent of the outside process, which is usually go test, is killed.
func TestParentKilled(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	// With a second command, the shell does not replace itself with the first.
	r := startBy(t, stays, "sh", "-c", `"$0"; true`, self)
	require.NoError(t, r.Process.Kill())
	// Wait waits for the shell, and for every process that can still write to its standard error.
	_ = r.Wait()
	assert.Equal(t, "error: interrupted\n", r.stderr.String())
	assert.Empty(t, findLeftovers(r.folder))
}

// TestFirstProcessKilled kills the first process of the namespaces, as the kernel does if no memory is left. The program
// must end with an error, and leave nothing.
func TestFirstProcessKilled(t *testing.T) {
	r := start(t, stays)
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.Process.Pid))
	require.NoError(t, err)
	var first []string
	for _, path := range children {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		first = append(first, strings.Fields(string(data))...)
	}
	require.Len(t, first, 1)
	pid, err := strconv.Atoi(first[0])
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	var exit *exec.ExitError
	require.ErrorAs(t, r.Wait(), &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Equal(t, "error: the first process of the namespaces, and with it all others, did not end by itself: signal: killed\n",
		r.stderr.String())
	assert.Empty(t, findLeftovers(r.folder))
}

func TestNextRunKeepsFolderInUse(t *testing.T) {
	r := start(t, stays)
	_ = start(t, ends).Wait()
	assert.DirExists(t, r.folder)
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	_ = r.Wait()
	assert.Empty(t, findLeftovers(r.folder))
}

func TestTunnel(t *testing.T) {
	r := start(t, serves)
	response, err := http.Get("http://" + r.address)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	name, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, sealed.HostName, string(name), "the server must run inside the enclosure")
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	_ = r.Wait()
}

func TestEnclosureNeedsRoot(t *testing.T) {
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), programVariable+"="+ends)
	if os.Geteuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	output, err := command.CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, "error: a node needs root (namespaces, mounts, other users' files): run this as root\n", string(output))
}
