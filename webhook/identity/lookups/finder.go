package lookups

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"k8s.io/utils/lru"

	"jupyter-user.io/jupyter-user-webhook/webhook/identity"
)

const (
	// MaxLookups is the limit of concurrent lookups of one Finder. Each hanging lookup holds a goroutine, and also a thread
	// if the source is the share.
	MaxLookups = 32
	// maxRemembered is the maximum number of values that a Finder caches.
	maxRemembered = 20_000
	// MaxMissing is the maximum number of keys without a usable value that a Finder caches. These keys have a cache of
	// their own: clients can make up names, which must not remove real users from the cache.
	MaxMissing = 1000
)

// ErrSilent is wrapped by the error of a lookup that does not end in time. It is also wrapped by the error of a lookup
// that is not started in time, because too many are running.
var ErrSilent = errors.New("does not respond")

// Options are the settings of a Finder: the name of its source, and the times for waiting and caching.
type Options struct {
	// Source is the source's name in metrics, such as "ldap", and What the name in messages, such as "the directory
	// service".
	Source, What string
	// Wait is the longest time that a caller waits for the source.
	Wait time.Duration
	// Fresh is how long a found value is used without another lookup. FreshMissing is the same for the results "no value"
	// and "unusable value".
	Fresh, FreshMissing time.Duration
	// Stale is how long a found value is used while the source fails or does not respond.
	Stale time.Duration
	// Registry is the registry for the metrics; nil for none.
	Registry prometheus.Registerer
	// Now returns the time. If it is nil, time.Now is used.
	Now func() time.Time
}

// Finder looks up values by key at a slow source. No caller waits longer than Wait, and concurrent callers of one key share
// one lookup. At most MaxLookups lookups run at the same time; further lookups wait for a slot, in the order in which they
// came. A lookup hangs if it has been running for longer than Wait: then a new caller of its key fails at once, and so does
// every new caller that would have to wait for a slot. A cached value is used for a short time (Fresh), and for a longer time
// (Stale) while the source fails or does not respond. A Finder is safe for concurrent use.
type Finder[V any] struct {
	Options
	*Metrics
	lastResponse, lastFailure prometheus.Gauge

	// slots has a slot for each lookup that may run.
	slots *semaphore.Weighted

	mu      sync.Mutex
	lookups map[string]*lookup[V]

	// remembered caches the keys with a value. missing caches the keys without a value, or with an unusable one.
	remembered, missing *lru.Cache
}

// Look asks the source itself. It returns nil if the source lacks the key, an *identity.Unusable if the value is unusable,
// and any other error if the source failed. It can take longer than Wait; callers wait no longer than Wait.
type Look[V any] func() (*V, error)

type cached[V any] struct {
	// value is nil if the key has no value, or an unusable one.
	value *V
	// unusable is the error for an unusable value; otherwise nil.
	unusable *identity.Unusable
	at       time.Time
}

func (c *cached[V]) result() (*V, error) {
	if c.unusable != nil {
		return nil, c.unusable
	}
	return c.value, nil
}

// lookup is a lookup that runs, or that waits for a slot. value and err are set before done is closed.
type lookup[V any] struct {
	// began is when the lookup got its slot; the zero time while it waits.
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
		Options: o, slots: semaphore.NewWeighted(MaxLookups), lookups: map[string]*lookup[V]{},
		remembered: lru.New(maxRemembered), missing: lru.New(MaxMissing),
	}
	var err error
	if f.Metrics, err = New(o.Registry, o.Source); err != nil {
		return nil, err
	}
	return f, f.register()
}

// Find returns the value of a key, nil if there is none, or an error if the value is unusable, or if the source fails and no
// value is cached.
func (f *Finder[V]) Find(ctx context.Context, key string, look Look[V]) (*V, error) {
	known, ok := f.recall(key)
	if ok && f.Now().Sub(known.at) < f.fresh(known) {
		value, err := known.result()
		count(f.Metrics, Hit, value, err)
		return value, err
	}
	last := ok && known.value != nil && f.Now().Sub(known.at) < f.Stale
	if last && f.hangs() {
		// A lookup hangs, perhaps that of another key, so the stale value is returned at once. The call of join starts a
		// lookup of this key if none is running. The result of that lookup is cached for later calls.
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

// FindUncached does the same as Find, but uses no cached result, not even if the source fails. It caches the new result.
func (f *Finder[V]) FindUncached(ctx context.Context, key string, look Look[V]) (*V, error) {
	value, err := f.lookupTimed(ctx, key, look)
	count(f.Metrics, Miss, value, err)
	return value, err
}

func (f *Finder[V]) lookupTimed(ctx context.Context, key string, look Look[V]) (*V, error) {
	defer f.Took(time.Now())
	return f.Lookup(ctx, key, look)
}

// Lookup waits for a new or running lookup of the key, at most for Wait. Only calls of Find and FindUncached are counted in
// the metrics, not calls of Lookup.
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

// join returns the lookup of the key, or starts one, which waits if no slot is free. It returns an error if callers would
// wait in vain: if the lookup of the key hangs, or if no slot is free and any lookup hangs. A lookup hangs if it has been
// running for longer than Wait.
func (f *Finder[V]) join(key string, look Look[V]) (*lookup[V], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l, ok := f.lookups[key]; ok {
		if age := f.age(l); age > f.Wait {
			return nil, fmt.Errorf("%s %w, for %s", f.What, ErrSilent, age.Round(time.Second/10))
		}
		return l, nil
	}
	hasSlot := f.slots.TryAcquire(1)
	if !hasSlot && f.oldest() > f.Wait {
		return nil, fmt.Errorf("%s %w: %d lookups are running, and no more are started", f.What, ErrSilent, MaxLookups)
	}
	l := &lookup[V]{done: make(chan struct{})}
	f.lookups[key] = l
	if hasSlot {
		l.began = f.Now()
		go f.run(key, l, look)
	} else {
		go f.runLater(key, l, look, f.Wait)
	}
	return l, nil
}

// run executes a lookup that has a slot. It runs in a goroutine of its own, because look can hang.
func (f *Finder[V]) run(key string, l *lookup[V], look Look[V]) {
	l.value, l.err = look()
	f.keep(key, l)
	f.end(key, l)
	f.slots.Release(1)
}

// runLater executes a lookup when a slot is free. It waits for the slot at most for the given time.
func (f *Finder[V]) runLater(key string, l *lookup[V], look Look[V], wait time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if f.slots.Acquire(ctx, 1) != nil {
		l.err = fmt.Errorf("%s %w within %s: %d other lookups were running", f.What, ErrSilent, wait, MaxLookups)
		f.end(key, l)
		return
	}
	f.mu.Lock()
	l.began = f.Now()
	f.mu.Unlock()
	f.run(key, l, look)
}

// end lets the callers of a lookup continue.
func (f *Finder[V]) end(key string, l *lookup[V]) {
	f.mu.Lock()
	delete(f.lookups, key)
	f.mu.Unlock()
	close(l.done)
}

// keep caches the result of a lookup, unless the source has failed, and writes the time into the metrics.
func (f *Finder[V]) keep(key string, l *lookup[V]) {
	now := f.Now()
	unusable, final := errors.AsType[*identity.Unusable](l.err)
	if l.err != nil && !final {
		f.lastFailure.Set(seconds(now))
		return
	}
	f.lastResponse.Set(seconds(now))
	f.remember(key, &cached[V]{value: l.value, unusable: unusable, at: now})
}

// remember caches a result of a key. It removes an earlier result of the key, also from the other cache.
func (f *Finder[V]) remember(key string, c *cached[V]) {
	if c.value == nil {
		f.remembered.Remove(key)
		f.missing.Add(key, c)
		return
	}
	f.missing.Remove(key)
	f.remembered.Add(key, c)
}

func (f *Finder[V]) recall(key string) (*cached[V], bool) {
	for _, cache := range []*lru.Cache{f.remembered, f.missing} {
		if c, ok := cache.Get(key); ok {
			return c.(*cached[V]), true
		}
	}
	return nil, false
}

// Remembered returns the number of cached values, and of cached keys without a usable value.
func (f *Finder[V]) Remembered() (values, missing int) { return f.remembered.Len(), f.missing.Len() }

func (f *Finder[V]) fresh(c *cached[V]) time.Duration {
	if c.value == nil {
		return f.FreshMissing
	}
	return f.Fresh
}

// hangs reports whether a running lookup has exceeded Wait.
func (f *Finder[V]) hangs() bool { return f.Oldest() > f.Wait }

// Oldest returns the age of the oldest running lookup; 0 if none runs.
func (f *Finder[V]) Oldest() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.oldest()
}

// oldest is the same as Oldest, for a caller that holds the lock.
func (f *Finder[V]) oldest() (age time.Duration) {
	for _, l := range f.lookups {
		age = max(age, f.age(l))
	}
	return age
}

// age returns how long a lookup has been running; 0 while it waits for a slot. The caller holds the lock.
func (f *Finder[V]) age(l *lookup[V]) time.Duration {
	if l.began.IsZero() {
		return 0
	}
	return f.Now().Sub(l.began)
}

// Running returns the number of lookups that are running now.
func (f *Finder[V]) Running() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lookups {
		if !l.began.IsZero() {
			n++
		}
	}
	return n
}
