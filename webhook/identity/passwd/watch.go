package passwd

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"
)

// Watch looks at the files again and again, and takes over what has changed, until the context ends. It looks rather than
// waits to be told: inotify says nothing of what happens on the other machines of a network file system.
func (s *Source) Watch(ctx context.Context) error {
	ticker := time.NewTicker(s.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			// The error is the context's own, and then the next round is the last.
			_ = s.inTurn(ctx, func() {
				s.look()
				s.tell(ctx)
			})
		}
	}
}

// look reads the files if they are others than those that were read last. It needs the turn.
func (s *Source) look() {
	if now, err := s.files.stat(); err == nil && s.tried != nil && s.tried.same(now) {
		return
	}
	people, read, err := s.files.read(s.people.Load())
	s.fault = err
	if s.tried = read; err != nil {
		return
	}
	s.people.Store(people)
	// The table before this one is as large, and an idle process would keep it for minutes: twice what the limit of its
	// container has to be made for. A reload is rare, and nobody waits for this but who asked for it.
	debug.FreeOSMemory()
	s.metrics.loaded(people, read)
	s.tellBadLines(people)
	s.log.Info("passwd read", "path", s.files.passwd, "users", len(people.people), "memberships", len(people.memberships))
}

// tell says in the log and in the metrics what is broken, once, and when it is no more. What is broken in a single look is not
// told: a file that is written in place is so for as long as that takes.
func (s *Source) tell(ctx context.Context) {
	switch {
	case s.fault == nil:
		if s.told != "" {
			s.metrics.whole()
			s.log.InfoContext(ctx, "passwd is whole again", "path", s.files.passwd)
		}
		s.told, s.lasting = "", false
	case s.fault.Error() == s.told:
		s.lasting = false
	case !s.lasting:
		s.lasting = true
	default:
		s.told, s.lasting = s.fault.Error(), false
		s.metrics.broken()
		s.log.LogAttrs(ctx, slog.LevelError, "passwd is broken, what was read before stays in use", attrs(s.fault)...)
	}
}

// attrs are the keys of a fault.
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
