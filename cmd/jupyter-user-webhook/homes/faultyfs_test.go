package homes_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faulty is a FUSE file system with the content of a folder. A test can make changes to the file system fail.
type faulty struct {
	folder string
	// mu guards fault, which returns the error of a change; 0 if the change succeeds. An operation is for example "mkdir".
	mu    sync.Mutex
	fault func(operation, name string) syscall.Errno
	// noReplace is the error of a rename with RENAME_NOREPLACE, which NFS does not have; 0 if such a rename succeeds.
	noReplace syscall.Errno
	// squash is the UID that chown sets in place of the requested UID; 0 if chown sets the requested UID.
	squash uint32
}

func (f *faulty) set(fault func(operation, name string) syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) errorOf(operation, name string) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault == nil {
		return 0
	}
	return f.fault(operation, name)
}

// mount mounts the folder as a faulty file system, and returns the mount point.
func (f *faulty) mount(t *testing.T) string {
	t.Helper()
	data := &fs.LoopbackRoot{Path: f.folder}
	//nolint:staticcheck // the successor of NewNode needs a wrapper that forwards each call by hand
	data.NewNode = func(data *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &node{LoopbackNode: fs.LoopbackNode{RootData: data}, fileSystem: f}
	}
	root := &node{LoopbackNode: fs.LoopbackNode{RootData: data}, fileSystem: f}
	data.RootNode = root
	mountPoint := t.TempDir()
	server, err := fs.Mount(mountPoint, root, &fs.Options{
		NullPermissions: true, MountOptions: fuse.MountOptions{DirectMountStrict: true, AllowOther: true, FsName: "faulty",
			Options: []string{"default_permissions"}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Unmount()) })
	return mountPoint
}

type node struct {
	fs.LoopbackNode
	fileSystem *faulty
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if e := n.fileSystem.errorOf("mkdir", name); e != 0 {
		return nil, e
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if e := n.fileSystem.errorOf("create", name); e != 0 {
		return nil, nil, 0, e
	}
	child, _, fuseFlags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if errno != 0 {
		return nil, nil, 0, errno
	}
	handle, errno := n.open(name, flags)
	return child, handle, fuseFlags, errno
}

func (n *node) open(name string, flags uint32) (fs.FileHandle, syscall.Errno) {
	path := filepath.Join(n.fileSystem.folder, n.Path(n.Root()), name)
	file, err := os.OpenFile(path, int(flags)&^syscall.O_EXCL&^syscall.O_CREAT, 0)
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	return &handle{file, n.fileSystem}, 0
}

// handle is an open file whose writes can fail.
type handle struct {
	file       *os.File
	fileSystem *faulty
}

func (h *handle) Write(_ context.Context, data []byte, at int64) (uint32, syscall.Errno) {
	if e := h.fileSystem.errorOf("write", ""); e != 0 {
		return 0, e
	}
	n, err := h.file.WriteAt(data, at)
	return uint32(n), fs.ToErrno(err)
}

func (h *handle) Release(context.Context) syscall.Errno { return fs.ToErrno(h.file.Close()) }

func (n *node) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if e := n.fileSystem.errorOf("symlink", name); e != 0 {
		return nil, e
	}
	return n.LoopbackNode.Symlink(ctx, target, name, out)
}

func (n *node) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	operation := "chmod"
	if _, is := in.GetUID(); is {
		operation = "chown"
	}
	if e := n.fileSystem.errorOf(operation, ""); e != 0 {
		return e
	}
	if operation == "chown" && n.fileSystem.squash != 0 {
		in.Uid = n.fileSystem.squash
	}
	return n.LoopbackNode.Setattr(ctx, nil, in, out)
}

func (n *node) Rename(ctx context.Context, name string, parent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if e := n.fileSystem.errorOf("rename", newName); e != 0 {
		return e
	}
	if flags != 0 && n.fileSystem.noReplace != 0 {
		return n.fileSystem.noReplace
	}
	return n.LoopbackNode.Rename(ctx, name, parent, newName, flags)
}

func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	if e := n.fileSystem.errorOf("rmdir", name); e != 0 {
		return e
	}
	return n.LoopbackNode.Rmdir(ctx, name)
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	if e := n.fileSystem.errorOf("unlink", name); e != 0 {
		return e
	}
	return n.LoopbackNode.Unlink(ctx, name)
}

// inMountNamespace runs a test in a child process with its own mount namespace, so that the mounts of the test end with the
// process.
func inMountNamespace(t *testing.T, test func(*testing.T)) {
	t.Helper()
	const inside = "HOMES_INSIDE"
	if os.Getenv(inside) == t.Name() {
		test(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can mount a file system that fails")
	}
	if file, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skipf("this system cannot mount a file system that fails: %v", err)
	} else {
		require.NoError(t, file.Close())
	}
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	program := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v")
	program.Env = append(os.Environ(), inside+"="+t.Name())
	program.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	output, err := program.CombinedOutput()
	t.Logf("%s", output)
	require.NoError(t, err)
}
