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
	// MaxLookups is how many lookups of one source are out at once. Each that hangs holds a goroutine, and for the share a thread.
	MaxLookups = 32
	// maxRemembered is how many values a cache holds.
	maxRemembered = 20_000
	// MaxMissing is how many keys without a value a cache holds: anybody can make up names, and those must not push users out.
	MaxMissing = 1000
)

// ErrSilent is in the error about a source that does not answer in time.
var ErrSilent = errors.New("does not answer")

// Options of a Finder.
type Options struct {
	// Source names the metrics, such as share, and What is the source in a sentence, such as "the share".
	Source, What string
	// Wait is how long one question waits for the source.
	Wait time.Duration
	// Fresh and FreshMissing are how long a value, and that there is none, count without another look.
	Fresh, FreshMissing time.Duration
	// Stale is how long the last value counts while the source does not answer.
	Stale time.Duration
	// Registry of the metrics.
	Registry prometheus.Registerer
	// Now is time.Now if it is nil.
	Now func() time.Time
}

// Finder asks a slow source for values by their keys. Nobody waits for longer than Wait, one key is looked up once however many
// ask for it, and only MaxLookups are out at once. A value is remembered for a short while, and for a longer one for when the
// source does not answer. A Finder is safe for concurrent use.
type Finder[V any] struct {
	Options
	*Metrics
	lastAnswer, lastFailure prometheus.Gauge

	mu      sync.Mutex
	lookups map[string]*lookup[V]

	// remembered and missing hold answers by key.
	remembered, missing *lru.Cache
}

// Look asks the source itself. It returns nil for a key that the source does not have, an *identity.Unusable for a value that
// cannot be used, and any other error if the source does not answer. Nobody waits for it longer than Wait, and it may take
// longer.
type Look[V any] func() (*V, error)

// answer of the source.
type answer[V any] struct {
	// value is nil if there is none.
	value *V
	// unusable is why, if there is something that is none.
	unusable *identity.Unusable
	at       time.Time
}

func (a *answer[V]) result() (*V, error) {
	if a.unusable != nil {
		return nil, a.unusable
	}
	return a.value, nil
}

// lookup is one that is out. Its value and error may be read when it is done.
type lookup[V any] struct {
	began time.Time
	done  chan struct{}
	value *V
	err   error
}

// NewFinder registers the metrics of a source.
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

// Find returns the value of a key, nil if there is none, and an error if the source does not answer and nothing is remembered.
func (f *Finder[V]) Find(ctx context.Context, key string, look Look[V]) (*V, error) {
	known, ok := f.recall(key)
	if ok && f.Now().Sub(known.at) < f.fresh(known) {
		value, err := known.result()
		count(f.Metrics, Hit, value, err)
		return value, err
	}
	last := ok && known.value != nil && f.Now().Sub(known.at) < f.Stale
	if last && f.hangs() {
		// Somebody waits in vain, which may be about one key. Whether this one is answered, the next question sees.
		_, _ = f.join(key, look)
		count(f.Metrics, Stale, known.value, nil)
		return known.value, nil
	}
	value, err := f.askTimed(ctx, key, look)
	if err != nil && last && !identity.IsUnusable(err) {
		count(f.Metrics, Stale, known.value, nil)
		return known.value, nil
	}
	count(f.Metrics, Miss, value, err)
	return value, err
}

// FindUncached is Find without what is remembered.
func (f *Finder[V]) FindUncached(ctx context.Context, key string, look Look[V]) (*V, error) {
	value, err := f.askTimed(ctx, key, look)
	count(f.Metrics, Miss, value, err)
	return value, err
}

func (f *Finder[V]) askTimed(ctx context.Context, key string, look Look[V]) (*V, error) {
	defer f.Took(time.Now())
	return f.Ask(ctx, key, look)
}

// Ask waits for a lookup of that key, its own or one that is out already. It counts nothing.
func (f *Finder[V]) Ask(ctx context.Context, key string, look Look[V]) (*V, error) {
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

// join finds the lookup of that key, or begins one. Callers do not wait for a lookup that has already exceeded Wait.
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
		return nil, fmt.Errorf("%s %w: %d questions are out, and no more are asked", f.What, ErrSilent, MaxLookups)
	}
	l := &lookup[V]{began: f.Now(), done: make(chan struct{})}
	f.lookups[key] = l
	go f.run(key, l, look)
	return l, nil
}

// run is a lookup, in a goroutine of its own: nobody knows when it comes back.
func (f *Finder[V]) run(key string, l *lookup[V], look Look[V]) {
	l.value, l.err = look()
	now := f.Now()
	unusable, final := errors.AsType[*identity.Unusable](l.err)
	if l.err == nil || final {
		f.lastAnswer.Set(seconds(now))
		f.remember(key, &answer[V]{value: l.value, unusable: unusable, at: now})
	} else {
		f.lastFailure.Set(seconds(now))
	}
	f.mu.Lock()
	delete(f.lookups, key)
	f.mu.Unlock()
	close(l.done)
}

// remember keeps an answer until a newer one comes. That there is no value any more is newer than the value.
func (f *Finder[V]) remember(key string, a *answer[V]) {
	if a.value == nil {
		f.remembered.Remove(key)
		f.missing.Add(key, a)
		return
	}
	f.missing.Remove(key)
	f.remembered.Add(key, a)
}

func (f *Finder[V]) recall(key string) (*answer[V], bool) {
	for _, cache := range []*lru.Cache{f.remembered, f.missing} {
		if a, ok := cache.Get(key); ok {
			return a.(*answer[V]), true
		}
	}
	return nil, false
}

// Remembered returns how many values, and how many keys without one, are remembered.
func (f *Finder[V]) Remembered() (values, missing int) { return f.remembered.Len(), f.missing.Len() }

func (f *Finder[V]) fresh(a *answer[V]) time.Duration {
	if a.value == nil {
		return f.FreshMissing
	}
	return f.Fresh
}

// hangs reports whether somebody has waited in vain for something that is still out.
func (f *Finder[V]) hangs() bool { return f.Oldest() > f.Wait }

// Oldest returns for how long the oldest lookup that is out has been; 0 if none is.
func (f *Finder[V]) Oldest() (age time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lookups {
		age = max(age, f.Now().Sub(l.began))
	}
	return age
}

// Out returns how many lookups are out.
func (f *Finder[V]) Out() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.lookups)
}
