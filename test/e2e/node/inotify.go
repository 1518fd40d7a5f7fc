package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"jupyter-user.io/jupyter-user-webhook/test/progress"
)

// The kernel gives each user of a machine a limited number of inotify instances (fs.inotify.max_user_instances), often 128.
// Namespaces share this limit. A kubelet that gets no instance ends at once with exit status 1, and so do other programs of a
// node. If two clusters start at the same time, the limit may be reached.
const (
	// watchers is the number of inotify instances that a node and its Pods use.
	watchers = 24
	// limitFile has the limit.
	limitFile = "/proc/sys/fs/inotify/max_user_instances"
	// watchersInterval is the time between two attempts to get them.
	watchersInterval = time.Second
)

// watcher makes an inotify instance.
func watcher() (fd int, err error) { return unix.InotifyInit1(unix.IN_CLOEXEC) }

// reserveWatchers takes as many inotify instances as the node will use, so that no other cluster takes them first. It returns a
// function that frees them. If other programs have them, it waits for a while.
func reserveWatchers(ctx context.Context, out io.Writer, limit time.Duration, take func() (fd int, err error)) (release func(), err error) {
	var taken []int
	release = func() {
		for _, fd := range taken {
			_ = unix.Close(fd)
		}
		taken = nil
	}
	var meter *progress.Meter
	err = wait.PollUntilContextTimeout(ctx, watchersInterval, limit, true, func(context.Context) (bool, error) {
		for len(taken) < watchers {
			fd, err := take()
			if errors.Is(err, unix.EMFILE) {
				release()
				if meter == nil {
					meter = progress.Start(out, "inotify", "waiting for instances that other programs have")
				}
				return false, nil
			}
			if err != nil {
				return false, err
			}
			taken = append(taken, fd)
		}
		return true, nil
	})
	if meter != nil {
		meter.End("")
	}
	if err == nil {
		return release, nil
	}
	release()
	most, _ := os.ReadFile(limitFile)
	return nil, fmt.Errorf("a node needs %d inotify instances, and other programs of this machine have nearly all of root's %s: end some, or "+
		"allow more (sysctl fs.inotify.max_user_instances=512): %w", watchers, strings.TrimSpace(string(most)), err)
}
