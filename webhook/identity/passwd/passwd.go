// Package passwd knows people's UIDs, GIDs and supplementary groups from a passwd and a group file, as getent prints them: a
// mounted ConfigMap, or files that a sidecar writes out of SSSD, LDAP or NIS.
//
// Both files are read when the webhook starts, and again when they change. They are taken over together, or not at all: where one
// is broken (cut short, without a user, too large, gone), what was read before stays in use, and log and metric say so.
//
// The files are read as NSS reads them: fields that are not used are not looked at, the first line of a name counts, and a bad
// line costs that line, with a warning in the log and a metric.
//
// A sidecar should write beside and rename. A file that is written in place is broken until it is whole, but for the moments in
// which it happens to end with a line: then whoever comes behind that line is nobody until the next look.
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

// Options of a Source.
type Options struct {
	// Passwd and Group are the paths of the files. Without the second nobody has supplementary groups.
	Passwd, Group string
	// Rules of the names: a domain that they take off a Pod's name is taken off those in the files too.
	Rules config.User
	// Homes has the home fields read, where homes are by them (share.homePrefix).
	Homes bool
	// Every is how often Watch looks whether the files have changed; 2 s where it is 0.
	Every time.Duration
	// Log and Registry may be nil.
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Source answers who people are. It is safe for concurrent use.
type Source struct {
	files   files
	every   time.Duration
	log     *slog.Logger
	metrics *metrics

	// people are what was read last and was not broken.
	people atomic.Pointer[table]
	// lock is held by who looks at the files, one at a time, and what is below belongs to it. It is a channel because who
	// waits for it may have to go before it comes.
	lock chan struct{}
	// tried are the files that were read last, whatever came of it; nil where they are to be read in any case.
	tried *stamps
	// fault is what is broken in the files as they are now; nil where nothing is.
	fault error
	// lasting tells that the look before this one has found something broken too.
	lasting bool
	// told is what the log says is broken; empty where it says that all is well.
	told string
	// toldLines are the bad lines that the log has last.
	toldLines string
}

// Open reads the files for the first time. Here a broken one is an error: there is nothing to go on with.
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
		files: files{o.Passwd, o.Group, o.Rules, o.Homes}, every: o.Every, log: o.Log, metrics: m, lock: make(chan struct{}, 1),
	}
	s.people.Store(&table{})
	if s.look(); s.fault != nil {
		return nil, fmt.Errorf("read who the users are: %w", s.fault)
	}
	return s, nil
}

// Find answers who somebody is, and nil for who is not in the files. It only looks into memory.
func (s *Source) Find(_ context.Context, name user.Name) (*identity.Identity, error) {
	id := s.people.Load().find(name.String())
	s.metrics.Count(lookups.Hit, id, nil)
	return id, nil
}

// FindUncached is Find after a look whether the files have changed. Where they are broken now, it is Find.
func (s *Source) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	defer s.metrics.Took(time.Now())
	if err := s.inTurn(ctx, s.look); err != nil {
		s.metrics.Count(lookups.Miss, nil, err)
		return nil, fmt.Errorf("look whether %s and %s have changed: %w", s.files.passwd, s.files.group, err)
	}
	id := s.people.Load().find(name.String())
	s.metrics.Count(lookups.Miss, id, nil)
	return id, nil
}

// inTurn does something with the files that nobody else does at that time. It does not wait for longer than the context
// lasts: files can be on a share too, and a share can hang.
func (s *Source) inTurn(ctx context.Context, do func()) error {
	select {
	case s.lock <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { <-s.lock }()
		do()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
