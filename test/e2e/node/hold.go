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

// A Hold keeps a program from opening files in a folder, until it is let go. So a test can look at what is otherwise over in
// a few milliseconds. The kernel asks the one who holds about each file; should that one die, everybody goes on.
type Hold struct {
	asked *os.File
	held  chan struct{}
}

// NewHold holds a program, by the path that it has in its container. All others open what they like.
func NewHold(folder, program string) (*Hold, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("ask the kernel to be asked about files: %w", err)
	}
	h := &Hold{asked: os.NewFile(uintptr(fd), "fanotify"), held: make(chan struct{})}
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, unix.FAN_OPEN_PERM|unix.FAN_EVENT_ON_CHILD, unix.AT_FDCWD, folder); err != nil {
		return nil, errors.Join(fmt.Errorf("ask the kernel to be asked about files in %s: %w", folder, err), h.asked.Close())
	}
	go h.answer(program)
	return h, nil
}

// Held is closed once the program has come to where it is held.
func (h *Hold) Held() <-chan struct{} { return h.held }

// Release lets it go on: nobody is asked any more, and the kernel says yes to whoever still waits.
func (h *Hold) Release() error { return h.asked.Close() }

func (h *Hold) answer(program string) {
	buffer := make([]byte, 4096)
	var files []int
	var once sync.Once
	for {
		n, err := h.asked.Read(buffer)
		if err != nil {
			// Released. The files that were asked about are open here for as long as the answer is owed.
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
		_, _ = h.asked.Write(answer)
	}
	_ = unix.Close(int(fd))
}
