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

// programVariable makes this test binary run as one of the programs below.
const programVariable = "SEALED_TEST_PROGRAM"

const (
	// ends leaves everything behind and ends with status 7.
	ends = "ends"
	// stays does the same, and then waits.
	stays = "stays"
	// kept is like stays, but Ctrl-C ends it without an error.
	kept = "kept"
	// serves serves HTTP through a door.
	serves = "serves"
)

func TestMain(m *testing.M) {
	which := os.Getenv(programVariable)
	if which == "" {
		os.Exit(m.Run()) //nolint:forbidigo // TestMain is the main of this program
	}
	os.Exit(sealed.Run(sealed.Program{ //nolint:forbidigo // likewise
		Inside:         func(enclosure sealed.Enclosure) int { return inside(which, enclosure) },
		Doors:          []string{"http"},
		Opened:         func(_, address string) { fmt.Println("address", address) },
		UntilInterrupt: which == kept,
	}))
}

func inside(which string, enclosure sealed.Enclosure) int {
	if which == serves {
		return serve(enclosure)
	}
	if err := litter(enclosure); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("folder", enclosure.Folder)
	if which == stays || which == kept {
		select {}
	}
	return 7
}

// litter makes what a node makes, and removes nothing.
func litter(enclosure sealed.Enclosure) error {
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
	command.Env = append(os.Environ(), "LITTER_OF="+enclosure.Folder) // remains finds the process by it.
	said, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, said)
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

// running is a running program with its output: its folder and the addresses of its doors.
type running struct {
	*exec.Cmd
	folder, address string
	// said is the program's standard error.
	said *bytes.Buffer
}

func start(t *testing.T, which string) running {
	t.Helper()
	return startBy(t, which, "/proc/self/exe")
}

// startBy starts the program itself, or a command that starts it.
func startBy(t *testing.T, which, command string, arguments ...string) running {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make namespaces")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*machine.Patience)
	t.Cleanup(cancel)
	r := running{Cmd: exec.CommandContext(ctx, command, arguments...), said: new(bytes.Buffer)}
	r.Env = append(os.Environ(), programVariable+"="+which)
	r.Stderr = io.MultiWriter(t.Output(), r.said)
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
	require.NotEmpty(t, r.folder, "the program says where its folder is")
	return r
}

// whole returns what must not change on the machine.
func whole(t *testing.T) map[string]string {
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

// remains lists processes of the programs, and what is left of an enclosure on disk and among the cgroups.
func remains(folder string) (found []string) {
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

func TestNothingIsLeft(t *testing.T) {
	before := whole(t)
	r := start(t, ends)
	var exit *exec.ExitError
	require.ErrorAs(t, r.Wait(), &exit)
	assert.Equal(t, 7, exit.ExitCode(), "the status is that of the program inside")
	assert.Empty(t, remains(r.folder))
	assert.Equal(t, before, whole(t))
}

func TestInterruptedItCleansUp(t *testing.T) {
	before := whole(t)
	r := start(t, stays)
	assert.NotEmpty(t, remains(r.folder), "what is looked for can be found")
	require.NoError(t, r.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	require.ErrorAs(t, r.Wait(), &exit)
	assert.Equal(t, 130, exit.ExitCode())
	assert.Empty(t, remains(r.folder))
	assert.Equal(t, before, whole(t))
}

// TestInterruptIsTheEnd: Ctrl-C ends a program that runs until then without an error. One sentence says that nothing is left.
func TestInterruptIsTheEnd(t *testing.T) {
	r := start(t, kept)
	require.NoError(t, r.Process.Signal(os.Interrupt))
	require.NoError(t, r.Wait())
	assert.Equal(t, "\nEverything was removed.\n", r.said.String())
	assert.Empty(t, remains(r.folder))
}

// TestKilledItLeavesAFolderToTheNextRun: the kernel kills all processes, and removes mounts, devices and namespaces with them.
func TestKilledItLeavesAFolderToTheNextRun(t *testing.T) {
	before := whole(t)
	r := start(t, stays)
	require.NoError(t, r.Process.Kill())
	_ = r.Wait()
	require.Eventually(t, func() bool {
		for _, what := range remains(r.folder) {
			if !strings.HasPrefix(what, "/") {
				return false
			}
		}
		return true
	}, machine.Patience, 10*time.Millisecond, "processes are left")
	assert.Equal(t, before, whole(t))
	entries, err := os.ReadDir(filepath.Join(r.folder, "mounted"))
	require.NoError(t, err)
	assert.Empty(t, entries, "what was mounted there is gone")

	_ = start(t, ends).Wait()
	assert.Empty(t, remains(r.folder), "the next run removes it")
}

// TestItEndsWithGoTest: when go test ends, the program ends too.
func TestItEndsWithGoTest(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	// Because of the second command, the shell does not replace itself with the first.
	r := startBy(t, stays, "sh", "-c", `"$0"; true`, self)
	require.NoError(t, r.Process.Kill())
	// This waits for the shell, and for every process that can still write to its standard error.
	_ = r.Wait()
	assert.Equal(t, "error: interrupted\n", r.said.String())
	assert.Empty(t, remains(r.folder))
}

// TestTheFirstProcessIsKilled: the kernel can kill the first process, for example if there is no memory left.
func TestTheFirstProcessIsKilled(t *testing.T) {
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
		r.said.String())
	assert.Empty(t, remains(r.folder))
}

func TestTheNextRunLeavesAloneWhatIsInUse(t *testing.T) {
	r := start(t, stays)
	_ = start(t, ends).Wait()
	assert.DirExists(t, r.folder)
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	_ = r.Wait()
	assert.Empty(t, remains(r.folder))
}

func TestADoorLeadsInside(t *testing.T) {
	r := start(t, serves)
	response, err := http.Get("http://" + r.address)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	name, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, sealed.HostName, string(name), "inside, the host name is that of another machine")
	require.NoError(t, r.Process.Signal(syscall.SIGTERM))
	_ = r.Wait()
}

func TestOnlyRootCanStartAnEnclosure(t *testing.T) {
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), programVariable+"="+ends)
	if os.Geteuid() == 0 {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	said, err := command.CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, "error: a node needs root (namespaces, mounts, other users' files): run this as root\n", string(said))
}
