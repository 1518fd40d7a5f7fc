package lookups

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/lru"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

const (
	// MaxLookups is the limit of concurrent lookups at one source. Each hanging lookup holds a goroutine, and for the share
	// a thread.
	MaxLookups = 32
	// maxRemembered is how many values a cache has.
	maxRemembered = 20_000
	// MaxMissing is how many keys without a value a cache has: clients can make up names, which must not displace users.
	MaxMissing = 1000
)

// ErrSilent is wrapped by the error of a source that does not respond in time.
var ErrSilent = errors.New("does not respond")

// Options are the options of a Finder.
type Options struct {
	// Source is the source's name in metrics, such as share, and What its name in messages, such as "the share".
	Source, What string
	// Wait is how long a caller waits for the source.
	Wait time.Duration
	// Fresh is how long a found value is used without another lookup, and FreshMissing how long a missing one.
	Fresh, FreshMissing time.Duration
	// Stale is how long the last value is used while the source does not respond.
	Stale time.Duration
	// Registry is for the metrics.
	Registry prometheus.Registerer
	// Now is the clock; time.Now if it is nil.
	Now func() time.Time
}

// Finder looks up values by key at a slow source. No caller waits longer than Wait, concurrent callers of one key share one
// lookup, and at most MaxLookups run at once. A value is cached for a short time, and for a longer time in case the source
// does not respond. A Finder is safe for concurrent use.
type Finder[V any] struct {
	Options
	*Metrics
	lastResponse, lastFailure prometheus.Gauge

	mu      sync.Mutex
	lookups map[string]*lookup[V]

	// remembered and missing cache results by key.
	remembered, missing *lru.Cache
}

// Look asks the source itself. It returns nil if the source lacks the key, an *identity.Unusable if the value is unusable,
// and any other error if the source failed. It may take longer than Wait, but callers wait only for Wait.
type Look[V any] func() (*V, error)

// cached is a result in the cache.
type cached[V any] struct {
	// value is nil if the key has no value.
	value *V
	// unusable is set if the value is unusable.
	unusable *identity.Unusable
	at       time.Time
}

func (a *cached[V]) result() (*V, error) {
	if a.unusable != nil {
		return nil, a.unusable
	}
	return a.value, nil
}

// lookup is a running lookup. Its value and error may be read when done is closed.
type lookup[V any] struct {
	began time.Time
	done  chan struct{}
	value *V
	err   error
}

// NewFinder returns a finder and registers the metrics of its source.
func NewFinder[V any](o Options) (*Finder[V], error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &Finder[V]{
		Options: o, lookups: map[string]*lookup[V]{}, remembered: lru.New(maxRemembered), missing: lru.New(MaxMissing),
	}
	var err error
	if f.Metrics, err = New(o.Registry, o.Source); err != nil {
		return nil, err
	}
	return f, f.register()
}

// Find returns the value of a key, nil if there is none, or an error if the source does not respond and nothing is cached.
func (f *Finder[V]) Find(ctx context.Context, key string, look Look[V]) (*V, error) {
	known, ok := f.recall(key)
	if ok && f.Now().Sub(known.at) < f.fresh(known) {
		value, err := known.result()
		count(f.Metrics, Hit, value, err)
		return value, err
	}
	last := ok && known.value != nil && f.Now().Sub(known.at) < f.Stale
	if last && f.hangs() {
		// Another caller's lookup hangs, perhaps only for its key. The stale value is used, and the next call sees whether
		// this lookup succeeds.
		_, _ = f.join(key, look)
		count(f.Metrics, Stale, known.value, nil)
		return known.value, nil
	}
	value, err := f.lookupTimed(ctx, key, look)
	if err != nil && last && !identity.IsUnusable(err) {
		count(f.Metrics, Stale, known.value, nil)
		return known.value, nil
	}
	count(f.Metrics, Miss, value, err)
	return value, err
}

// FindUncached does the same as Find, without the cache.
func (f *Finder[V]) FindUncached(ctx context.Context, key string, look Look[V]) (*V, error) {
	value, err := f.lookupTimed(ctx, key, look)
	count(f.Metrics, Miss, value, err)
	return value, err
}

func (f *Finder[V]) lookupTimed(ctx context.Context, key string, look Look[V]) (*V, error) {
	defer f.Took(time.Now())
	return f.Lookup(ctx, key, look)
}

// Lookup waits for a lookup of the key, a new or a running one. The metrics do not count it.
func (f *Finder[V]) Lookup(ctx context.Context, key string, look Look[V]) (*V, error) {
	l, err := f.join(key, look)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.Wait)
	defer cancel()
	select {
	case <-l.done:
		return l.value, l.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s %w within %s", f.What, ErrSilent, f.Wait)
	}
}

// join returns the running lookup of the key, or starts one. Callers do not wait for a lookup that has already exceeded
// Wait.
func (f *Finder[V]) join(key string, look Look[V]) (*lookup[V], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l, out := f.lookups[key]; out {
		if age := f.Now().Sub(l.began); age > f.Wait {
			return nil, fmt.Errorf("%s %w, for %s", f.What, ErrSilent, age.Round(time.Second/10))
		}
		return l, nil
	}
	if len(f.lookups) >= MaxLookups {
		return nil, fmt.Errorf("%s %w: %d lookups are running, and no more are started", f.What, ErrSilent, MaxLookups)
	}
	l := &lookup[V]{began: f.Now(), done: make(chan struct{})}
	f.lookups[key] = l
	go f.run(key, l, look)
	return l, nil
}

// run executes a lookup in its own goroutine, because it may hang.
func (f *Finder[V]) run(key string, l *lookup[V], look Look[V]) {
	l.value, l.err = look()
	now := f.Now()
	unusable, final := errors.AsType[*identity.Unusable](l.err)
	if l.err == nil || final {
		f.lastResponse.Set(seconds(now))
		f.remember(key, &cached[V]{value: l.value, unusable: unusable, at: now})
	} else {
		f.lastFailure.Set(seconds(now))
	}
	f.mu.Lock()
	delete(f.lookups, key)
	f.mu.Unlock()
	close(l.done)
}

// remember caches a result until a newer one comes. A missing value replaces a cached one.
func (f *Finder[V]) remember(key string, a *cached[V]) {
	if a.value == nil {
		f.remembered.Remove(key)
		f.missing.Add(key, a)
		return
	}
	f.missing.Remove(key)
	f.remembered.Add(key, a)
}

func (f *Finder[V]) recall(key string) (*cached[V], bool) {
	for _, cache := range []*lru.Cache{f.remembered, f.missing} {
		if a, ok := cache.Get(key); ok {
			return a.(*cached[V]), true
		}
	}
	return nil, false
}

// Remembered returns how many values, and how many keys without a value, are cached.
func (f *Finder[V]) Remembered() (values, missing int) { return f.remembered.Len(), f.missing.Len() }

func (f *Finder[V]) fresh(a *cached[V]) time.Duration {
	if a.value == nil {
		return f.FreshMissing
	}
	return f.Fresh
}

// hangs reports whether a running lookup has exceeded Wait.
func (f *Finder[V]) hangs() bool { return f.Oldest() > f.Wait }

// Oldest returns the age of the oldest running lookup; 0 if none runs.
func (f *Finder[V]) Oldest() (age time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lookups {
		age = max(age, f.Now().Sub(l.began))
	}
	return age
}

// Running returns the number of lookups that are running now.
func (f *Finder[V]) Running() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.lookups)
}
