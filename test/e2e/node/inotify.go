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
// node. Other programs of root have some of them, so two clusters that start at the same time can reach the limit.
const (
	// inotifyInstances is the number of inotify instances that a node and its Pods use.
	inotifyInstances = 24
	limitFile        = "/proc/sys/fs/inotify/max_user_instances"
	// inotifyInterval is the time between two attempts to get the instances.
	inotifyInterval = time.Second
)

func newInotify() (fd int, err error) { return unix.InotifyInit1(unix.IN_CLOEXEC) }

// reserveInotify takes as many inotify instances as the node will use, so that no other cluster takes them first, and
// returns a function that frees them. While other programs have too many instances, reserveInotify waits, but not longer
// than limit.
func reserveInotify(ctx context.Context, out io.Writer, limit time.Duration, take func() (fd int, err error)) (
	release func(), err error,
) {
	var taken []int
	release = func() {
		for _, fd := range taken {
			_ = unix.Close(fd)
		}
		taken = nil
	}
	var meter *progress.Meter
	err = wait.PollUntilContextTimeout(ctx, inotifyInterval, limit, true, func(context.Context) (bool, error) {
		for len(taken) < inotifyInstances {
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
		"allow more (sysctl fs.inotify.max_user_instances=512): %w", inotifyInstances, strings.TrimSpace(string(most)), err)
}
