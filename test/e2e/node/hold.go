package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Hold blocks a program when it opens a file in a folder, until Release is called. So a test can inspect a state that
// normally lasts for a few milliseconds. The kernel asks the process of the test for permission before each open in the
// folder. If the process of the test ends, the kernel allows every open.
type Hold struct {
	events *os.File
	held   chan struct{}
}

// NewHold begins to block the program that has this path in its container. Other programs can open files as usual.
func NewHold(folder, program string) (*Hold, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("ask the kernel for events about files: %w", err)
	}
	h := &Hold{events: os.NewFile(uintptr(fd), "fanotify"), held: make(chan struct{})}
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, unix.FAN_OPEN_PERM|unix.FAN_EVENT_ON_CHILD, unix.AT_FDCWD, folder); err != nil {
		return nil, errors.Join(fmt.Errorf("ask the kernel for events about files in %s: %w", folder, err), h.events.Close())
	}
	go h.respond(program)
	return h, nil
}

// Held returns a channel that is closed once the program is blocked.
func (h *Hold) Held() <-chan struct{} { return h.held }

// Release lets the program continue. The kernel allows every open that still waits.
func (h *Hold) Release() error { return h.events.Close() }

func (h *Hold) respond(program string) {
	buffer := make([]byte, 4096)
	var files []int
	var once sync.Once
	for {
		n, err := h.events.Read(buffer)
		if err != nil {
			// Release has closed h.events. For each blocked open, the kernel has also opened the file in this process.
			for _, fd := range files {
				_ = unix.Close(fd)
			}
			return
		}
		for events := buffer[:n]; len(events) > 0; {
			event := unix.FanotifyEventMetadata{}
			if _, err := binary.Decode(events, binary.NativeEndian, &event); err != nil {
				return
			}
			events = events[event.Event_len:]
			if exe, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(int(event.Pid)), "exe")); exe == program {
				files = append(files, int(event.Fd))
				once.Do(func() { close(h.held) })
				continue
			}
			h.allow(event.Fd)
		}
	}
}

func (h *Hold) allow(fd int32) {
	answer, err := binary.Append(nil, binary.NativeEndian, unix.FanotifyResponse{Fd: fd, Response: unix.FAN_ALLOW})
	if err == nil {
		_, _ = h.events.Write(answer)
	}
	_ = unix.Close(int(fd))
}
