package passwd

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"
)

// Watch checks the files at each interval, and reads them if they have changed, until the context ends. It does not use
// inotify, which does not see changes by other machines on a network file system.
func (s *Source) Watch(ctx context.Context) error {
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			// The only error is that of the context, and then the loop ends.
			_ = s.withLock(ctx, func() {
				s.readIfChanged()
				s.logFault(ctx)
			})
		}
	}
}

// readIfChanged reads the files if they have changed since they were read last. The caller must hold the lock.
func (s *Source) readIfChanged() {
	if now, err := s.files.stat(); err == nil && s.lastRead != nil && s.lastRead.same(now) {
		return
	}
	users, read, err := s.files.read(s.users.Load())
	s.fault = err
	if s.lastRead = read; err != nil {
		return
	}
	s.users.Store(users)
	// The previous table is as large as the new one. An idle process would return the previous table's memory to the system
	// only after minutes: the container's memory limit would have to be twice as high. A reload is rare, and Find does not
	// wait for it.
	debug.FreeOSMemory()
	s.metrics.loaded(users, read)
	s.logBadLines(users)
	s.log.Info("passwd read", "path", s.files.passwd, "users", len(users.accounts), "memberships", len(users.memberships))
}

// logFault logs a fault once, logs once when the fault is gone, and sets the metrics. A fault of a single check is not
// logged: a file that is being written in place is broken for a moment.
func (s *Source) logFault(ctx context.Context) {
	switch {
	case s.fault == nil:
		if s.loggedFault != "" {
			s.metrics.clearBroken()
			s.log.InfoContext(ctx, "passwd is whole again", "path", s.files.passwd)
		}
		s.loggedFault, s.faultSeen = "", false
	case s.fault.Error() == s.loggedFault:
		s.faultSeen = false
	case !s.faultSeen:
		s.faultSeen = true
	default:
		s.loggedFault, s.faultSeen = s.fault.Error(), false
		s.metrics.setBroken()
		s.log.LogAttrs(ctx, slog.LevelError, "passwd is broken, what was read before stays in use", attrs(s.fault)...)
	}
}

func attrs(err error) []slog.Attr {
	var f *fault
	if !errors.As(err, &f) {
		return []slog.Attr{slog.String("fault", err.Error())}
	}
	found := []slog.Attr{slog.String("path", f.path)}
	if f.line > 0 {
		found = append(found, slog.Int("line", f.line))
	}
	return append(found, slog.String("fault", f.why))
}
