// Package passwd finds users' UIDs, GIDs and supplementary groups in a passwd and a group file, as getent prints them: from
// a mounted ConfigMap, or from files that a sidecar exports from SSSD, LDAP or NIS.
//
// Both files are read when the webhook starts, and again when they change. They are used together or not at all: if one is
// broken (truncated, without a user, too large, missing), the previous pair stays in use, and log and metric show the
// fault.
//
// The files are read as NSS reads them: unused fields are not validated, of several lines with one name the first is used, and a
// bad line is skipped, with a warning in the log and a metric.
//
// A sidecar should write a temporary file and rename it. A file that is written in place is broken while it is empty or its
// last line is incomplete. If such a file is read when its last line is complete, the users after that line are unknown until
// the next check.
package passwd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/lookups"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

// Options are the settings of a Source: its files, what it reads from them, and how often it checks them.
type Options struct {
	// Passwd and Group are the paths of the files. Without Group no user has supplementary groups.
	Passwd, Group string
	// Rules are the rules for user names: a domain that they remove from the user name on a Pod is also removed from names
	// in the files.
	Rules config.User
	// Homes decides whether home fields are kept. It must be true if share.homePrefix takes homes from the passwd file.
	Homes bool
	// MinUID is identity.minUID of the configuration. A passwd file without an account of at least this UID is broken: getent
	// prints the machine's own accounts alone while its directory service is down.
	MinUID int64
	// Every is the time between two checks of Watch; 2 s if it is 0.
	Every time.Duration
	// Log and Registry can be nil.
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Source implements webhook.Identities. It is safe for concurrent use.
type Source struct {
	files   files
	every   time.Duration
	log     *slog.Logger
	metrics *metrics

	// users is the last table without a fault.
	users atomic.Pointer[table]
	// lock is a mutex for reading the files, and protects the fields below. It is a channel so that waiting can be
	// cancelled.
	lock chan struct{}
	// lastRead are the stamps of the files that were read last, with or without a fault; nil if the files must be read again.
	lastRead *stamps
	// fault is the fault of the current files, or nil.
	fault error
	// faultSeen reports whether the previous check found a fault that is not logged yet.
	faultSeen bool
	// loggedFault is the fault that was logged last; empty if none was logged, or if its end is logged too.
	loggedFault string
	// loggedLines are the bad lines that were logged last.
	loggedLines string
}

// Open returns a source and reads the files. A broken file is an error here, because there is no previous table.
func Open(o Options) (*Source, error) {
	if o.Passwd == "" {
		return nil, errors.New("no passwd file is named")
	}
	if o.Every <= 0 {
		o.Every = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(o.Registry)
	if err != nil {
		return nil, fmt.Errorf("register the metrics of passwd: %w", err)
	}
	s := &Source{
		files: files{o.Passwd, o.Group, o.Rules, o.Homes, o.MinUID}, every: o.Every, log: o.Log, metrics: m,
		lock: make(chan struct{}, 1),
	}
	s.users.Store(&table{})
	if s.readIfChanged(); s.fault != nil {
		return nil, fmt.Errorf("read who the users are: %w", s.fault)
	}
	return s, nil
}

// Find returns a user's identity, or nil if the user is not in the files. It only reads memory.
func (s *Source) Find(_ context.Context, name user.Name) (*identity.Identity, error) {
	id := s.users.Load().find(name.String())
	s.metrics.Count(lookups.Hit, id, nil)
	return id, nil
}

// FindUncached does the same as Find, but first reads the files if they have changed. If they are broken, the previous table
// is used.
func (s *Source) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	defer s.metrics.Took(time.Now())
	if err := s.withLock(ctx, s.readIfChanged); err != nil {
		s.metrics.Count(lookups.Miss, nil, err)
		return nil, fmt.Errorf("check whether %s and %s have changed: %w", s.files.passwd, s.files.group, err)
	}
	id := s.users.Load().find(name.String())
	s.metrics.Count(lookups.Miss, id, nil)
	return id, nil
}

// withLock calls a function while it holds the lock. It waits only until the context ends, because the files can be on a
// share, where a read can hang. After the end of the context the function continues, and the lock is released when the
// function returns.
func (s *Source) withLock(ctx context.Context, work func()) error {
	select {
	case s.lock <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { <-s.lock }()
		work()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
