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

// The kernel gives each user of a machine a number of inotify instances (fs.inotify.max_user_instances), often 128. No namespace keeps
// them apart. A kubelet that does not get its own ends at once with exit status 1, and so do other programs of a node. Two clusters that
// start together, beside whatever else the machine runs, may be one too many.
const (
	// watchers are as many inotify instances as a node and its pods use.
	watchers = 24
	// limitFile has how many there are.
	limitFile = "/proc/sys/fs/inotify/max_user_instances"
	// watchersInterval is how often it is tried to get them.
	watchersInterval = time.Second
)

// watcher makes an inotify instance.
func watcher() (fd int, err error) { return unix.InotifyInit1(unix.IN_CLOEXEC) }

// reserveWatchers takes what inotify instances the node will use, so that no other cluster takes them first, and returns how to
// give them up. It waits for a while where other programs have them.
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
