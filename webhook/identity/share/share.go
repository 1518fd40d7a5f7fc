// Package share finds who a person is by who owns the person's home, on the share mounted read-only into the webhook's own
// pod. It says UID and GID; supplementary groups are nothing that a directory knows.
//
// NFS hangs: a system call on a share whose server is gone comes back when the server does, and nothing ends it before. So
// nobody here waits for one longer than a set time, one person is looked up once however many ask, and only so many system
// calls are ever out at once. What was found is remembered for a short while, and for a longer one for when the share does not
// answer: a home seldom changes hands, and the init container looks again on the node.
package share

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/lru"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
	"jupyter-user.io/jupyter-user-webhook/webhook/identity/lookups"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

const (
	// maxLookups that are out at once. Each that hangs holds a thread.
	maxLookups = 32
	// maxRemembered people, and maxMissing names that have no home: anybody can make up names, and those are not to push
	// people out.
	maxRemembered, maxMissing = 20_000, 1000
)

// Options of a Source.
type Options struct {
	// Homes is the directory of the homes as this process sees it. It is best not itself where the share is mounted: then a
	// share that is not mounted is told from one on which somebody has no home.
	Homes string
	// Wait is how long one question waits for the share.
	Wait time.Duration
	// Fresh and FreshMissing are how long an owner, and that there is no home, are taken for true without another look.
	Fresh, FreshMissing time.Duration
	// Stale is how long the last owner that was seen counts while the share does not answer.
	Stale time.Duration
	// Registry of the metrics.
	Registry prometheus.Registerer
}

// Source is a webhook.Identities. It is safe for concurrent use.
type Source struct {
	Options
	metrics *metrics
	lstat   func(string) (fs.FileInfo, error)
	now     func() time.Time

	mu      sync.Mutex
	lookups map[string]*lookup

	// remembered and missing hold answers by name.
	remembered, missing *lru.Cache
}

// owner of the share: nil where there is no home.
type owner struct {
	id *identity.Identity
	at time.Time
}

// lookup is one that is out. What it found may be read when it is done.
type lookup struct {
	began time.Time
	done  chan struct{}
	id    *identity.Identity
	err   error
}

// New looks once, so that a wrong path is told at start. A share that does not answer by then is no reason not to start.
func New(ctx context.Context, o Options) (*Source, error) {
	s := &Source{
		Options: o, lstat: stat, now: time.Now, lookups: map[string]*lookup{},
		remembered: lru.New(maxRemembered), missing: lru.New(maxMissing),
	}
	var err error
	if s.metrics, err = newMetrics(o.Registry, s); err != nil {
		return nil, err
	}
	if _, err := s.await(ctx, ".", s.lookAtHomes); err != nil && !errors.Is(err, errNoAnswer) {
		return nil, fmt.Errorf("the directory of the homes: %w", err)
	}
	return s, nil
}

// errNoAnswer is a share that does not answer in time.
var errNoAnswer = errors.New("the share does not answer")

// Find answers nil for a name that has no home, and an error where the share does not say and nothing is remembered.
func (s *Source) Find(ctx context.Context, name user.Name) (*identity.Identity, error) {
	known, ok := s.recall(name)
	if ok && s.now().Sub(known.at) < s.fresh(known) {
		s.metrics.Count(lookups.Hit, known.id, nil)
		return known.id, nil
	}
	last := ok && known.id != nil && s.now().Sub(known.at) < s.Stale
	if last && s.hangs() {
		// Somebody waits in vain, which may be about one home. Whether this one is answered, the next question sees.
		_, _ = s.join(name.String(), s.lookupOf(name))
		s.metrics.Count(lookups.Stale, known.id, nil)
		return known.id, nil
	}
	id, err := s.findTimed(ctx, name)
	if err != nil && last {
		s.metrics.Count(lookups.Stale, known.id, nil)
		return known.id, nil
	}
	s.metrics.Count(lookups.Miss, id, err)
	return id, err
}

// FindUncached is Find without what is remembered.
func (s *Source) FindUncached(ctx context.Context, name user.Name) (*identity.Identity, error) {
	id, err := s.findTimed(ctx, name)
	s.metrics.Count(lookups.Miss, id, err)
	return id, err
}

func (s *Source) findTimed(ctx context.Context, name user.Name) (*identity.Identity, error) {
	defer s.metrics.Took(time.Now())
	return s.await(ctx, name.String(), s.lookupOf(name))
}

// lookupFunc is what a lookup does.
type lookupFunc func() (*identity.Identity, error)

func (s *Source) lookupOf(name user.Name) lookupFunc {
	return func() (*identity.Identity, error) { return s.lookAt(name) }
}

// await waits for a lookup by that name, its own or one that is out already.
func (s *Source) await(ctx context.Context, name string, look lookupFunc) (*identity.Identity, error) {
	l, err := s.join(name, look)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Wait)
	defer cancel()
	select {
	case <-l.done:
		return l.id, l.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w within %s", errNoAnswer, s.Wait)
	}
}

// join finds the lookup by that name, or begins one. One that is out for longer than anybody waits is waited for by nobody.
func (s *Source) join(name string, look lookupFunc) (*lookup, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, out := s.lookups[name]; out {
		if age := s.now().Sub(l.began); age > s.Wait {
			return nil, fmt.Errorf("%w, for %s", errNoAnswer, age.Round(time.Second/10))
		}
		return l, nil
	}
	if len(s.lookups) >= maxLookups {
		return nil, fmt.Errorf("%w: %d questions are out, and no more are asked", errNoAnswer, maxLookups)
	}
	l := &lookup{began: s.now(), done: make(chan struct{})}
	s.lookups[name] = l
	go func() {
		if l.id, l.err = look(); l.err == nil {
			s.metrics.answered(s.now())
		}
		s.mu.Lock()
		delete(s.lookups, name)
		s.mu.Unlock()
		close(l.done)
	}()
	return l, nil
}

// lookAt is the system call, in a goroutine of its own: nobody knows when it comes back.
func (s *Source) lookAt(name user.Name) (*identity.Identity, error) {
	info, err := s.lstat(filepath.Join(s.Homes, name.String()))
	if errors.Is(err, fs.ErrNotExist) {
		// Where the homes are not there either, it is the share that is missing, and nobody is to be told to have no home.
		_, err = s.lookAtHomes()
		info = nil
	}
	if err != nil {
		return nil, err
	}
	a := &owner{at: s.now()}
	// A file or a symbolic link is nobody's home. What it is, the init container tells.
	if info != nil && info.IsDir() {
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil, errors.New("this system does not say who owns a directory")
		}
		id := identity.New(int64(stat.Uid), int64(stat.Gid), nil)
		a.id = &id
	}
	s.remember(name, a)
	return a.id, nil
}

// oPath is O_PATH of open(2), which package syscall does not name.
const oPath = 0x200000

// stat returns what is at a path, and follows no link. A directory is opened: a home that is a file system of its own, as NFS v4
// and autofs have them, is mounted by opening it, and until then lstat returns the directory below. It takes no right on the home.
func stat(path string) (fs.FileInfo, error) {
	f, err := os.OpenFile(path, oPath|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ENOTDIR) {
		return os.Lstat(path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // nothing is written to it
	return f.Stat()
}

// lookAtHomes looks into the directory, for which it has to be open to others.
func (s *Source) lookAtHomes() (*identity.Identity, error) {
	info, err := s.lstat(s.Homes + "/.")
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", s.Homes)
	}
	return nil, err
}

// remember keeps an answer until a newer one comes. That a home is gone is newer than whose it was.
func (s *Source) remember(name user.Name, a *owner) {
	if a.id == nil {
		s.remembered.Remove(name)
		s.missing.Add(name, a)
		return
	}
	s.missing.Remove(name)
	s.remembered.Add(name, a)
}

func (s *Source) recall(name user.Name) (*owner, bool) {
	for _, cache := range []*lru.Cache{s.remembered, s.missing} {
		if a, ok := cache.Get(name); ok {
			return a.(*owner), true
		}
	}
	return nil, false
}

func (s *Source) fresh(a *owner) time.Duration {
	if a.id == nil {
		return s.FreshMissing
	}
	return s.Fresh
}

// hangs tells whether somebody has waited in vain for something that is still out.
func (s *Source) hangs() bool { return s.longest() > s.Wait }

// longest is for how long the oldest lookup that is out has been.
func (s *Source) longest() (age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lookups {
		age = max(age, s.now().Sub(l.began))
	}
	return age
}

func (s *Source) oldest() float64 { return s.longest().Seconds() }

func (s *Source) unanswered() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return float64(len(s.lookups))
}
