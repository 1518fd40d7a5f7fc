// Package hubnames reads the file that maps hub names, the names of users in JupyterHub, to users (user.mapFile). Each line
// has a hub name and a user's name with white space between them; empty lines and lines that begin with # are skipped:
//
//	# hub-name          unix-name
//	alice@corp.example  alice
//	20201234            bob
//
// A file with an error is not used: at start the error is fatal, and later the names of the previous file stay in use and the
// metric jupyter_user_hub_names_broken is 1. The whole file is rejected, and not only the line: without its line a hub name
// would count as unmapped, and user.unmapped: Name would then use the hub name as the user's name, which can be another user's.
package hubnames

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/user"
)

const (
	// maxSize is the maximum size of a file, in bytes: 100,000 pairs take about 4 MB.
	maxSize = 16 << 20
	// interval is the time after which Watch reads the file again.
	interval = 2 * time.Second
)

// File has the names of a map file. Watch reads the file again. A File is safe for concurrent use.
type File struct {
	path  string
	rules config.User
	log   *slog.Logger
	names atomic.Pointer[map[string]string]

	// mu protects checkedSum, the checksum of the content that was read last, and fault, the error of that content.
	mu         sync.Mutex
	checkedSum [sha256.Size]byte
	fault      error

	broken, count prometheus.Gauge
}

// Open reads the map file, and returns an error if the file is invalid. registry and log can be nil.
func Open(path string, rules config.User, registry prometheus.Registerer, log *slog.Logger) (*File, error) {
	// A user's name in the map must be the Unix name. Without configured domains, Parse denies a name with a domain.
	rules.Domains = nil
	f := &File{
		path: path, rules: rules, log: log,
		broken: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "jupyter_user_hub_names_broken",
			Help: "1 while the file of hub names has a fault, and the one that was read before is in use.",
		}),
		count: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "jupyter_user_hub_names",
			Help: "Names of hubs in the file that is in use.",
		}),
	}
	if registry != nil {
		if err := errors.Join(registry.Register(f.broken), registry.Register(f.count)); err != nil {
			return nil, err
		}
	}
	if err := f.reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// FromHub returns the user of a hub name, or "" if the file does not have the hub name.
func (f *File) FromHub(_ context.Context, hubName string) (string, error) {
	return (*f.names.Load())[hubName], nil
}

// FromHubUncached does the same as FromHub, but first reads the file again.
func (f *File) FromHubUncached(ctx context.Context, hubName string) (string, error) {
	_ = f.reload() // After an error the names of the previous file stay in use.
	return f.FromHub(ctx, hubName)
}

// Watch reads the file again after each interval, until the context ends.
func (f *File) Watch(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			_ = f.reload() // reload logs its error.
		}
	}
}

// reload reads the file, and parses the content only if it has changed. Without an error the new names are used.
func (f *File) reload() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, err := read(f.path)
	sum := sha256.Sum256(text)
	if err == nil && f.names.Load() != nil && sum == f.checkedSum {
		return f.fault
	}
	var names map[string]string
	if err == nil {
		f.checkedSum = sum
		names, err = parse(text, f.rules)
	} else {
		f.checkedSum = [sha256.Size]byte{}
	}
	if err != nil {
		f.setFault(fmt.Errorf("the map of hub names %s: %w", f.path, err))
		return f.fault
	}
	f.names.Store(&names)
	f.count.Set(float64(len(names)))
	f.setFault(nil)
	return nil
}

// setFault stores the error and sets the metric. It logs when the error changes, and when the error is gone. At start it
// does not log, because Open returns the error.
func (f *File) setFault(fault error) {
	previous := f.fault
	f.fault = fault
	switch {
	case fault == nil:
		f.broken.Set(0)
		if previous != nil && f.log != nil {
			f.log.Info("the map of hub names is whole again", "path", f.path)
		}
	case previous == nil || previous.Error() != fault.Error():
		f.broken.Set(1)
		if f.log != nil && f.names.Load() != nil {
			f.log.Error("the map of hub names has a fault, what was read before stays in use", "fault", fault.Error())
		}
	}
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it is only read
	text, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err == nil && len(text) > maxSize {
		err = fmt.Errorf("it is larger than %d MiB", maxSize>>20)
	}
	return text, err
}

// parse reads all pairs. It returns the first error, with its line.
func parse(text []byte, rules config.User) (map[string]string, error) {
	names := map[string]string{}
	if len(text) == 0 {
		return nil, errors.New("it is empty: the file is being written, or its program failed; a map without names has a comment")
	}
	if text[len(text)-1] != '\n' {
		return nil, errors.New("the last line has no line break: the file is being written, or is incomplete")
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		fields := bytes.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		if why := add(names, fields, rules); why != "" {
			return nil, fmt.Errorf("line %d: %s", number, why)
		}
	}
	return names, nil
}

// add adds the pair of a line, or returns a text that says why the line is invalid.
func add(names map[string]string, fields [][]byte, rules config.User) string {
	if len(fields) != 2 {
		return fmt.Sprintf("it has %d words, but must have a hub name and a user's name", len(fields))
	}
	hubName, name := string(fields[0]), string(fields[1])
	if !utf8.ValidString(hubName) {
		return "it is not UTF-8"
	}
	if _, exists := names[hubName]; exists {
		return fmt.Sprintf("the hub name %q is there a second time", denial.Cut(hubName, 80))
	}
	if _, invalid := user.Parse("", name, rules); invalid != nil {
		return invalid.Message
	}
	names[hubName] = name
	return ""
}
