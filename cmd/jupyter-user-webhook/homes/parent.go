package homes

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// parent is an open directory that only root can write to and that contains directories of users.
type parent struct {
	// dir is relative to the root of the share.
	dir  string
	file *os.File
	// inside is the directory of file, opened as a Root. Unlike share.open, the methods of a Root follow symbolic links. That is
	// safe here, because users cannot write to the directory, and so cannot put a symbolic link into it.
	inside *os.Root
}

func newParent(dir string, file *os.File) (*parent, error) {
	inside, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("open %s again: %w", dir, err)
	}
	return &parent{dir, file, inside}, nil
}

func (p *parent) fd() int { return int(p.file.Fd()) }

func (p *parent) close() {
	_ = p.inside.Close()
	_ = p.file.Close()
}

func (r *run) closeParents() {
	for _, p := range r.parents {
		p.close()
	}
}

// errInitialMissing means that the directory for {initial} is missing. The run makes that directory just before the first
// home in it.
var errInitialMissing = errors.New("is made first")

// parent opens the directory that contains a user's directory. If a directory for {initial} on the path is missing, parent
// calls makeInitial. Any other missing directory is an error.
func (r *run) parent(pattern config.HomePattern, name string, makeInitial initialMaker) (*parent, error) {
	above, err := r.openParent(".")
	if err != nil {
		return nil, err
	}
	for _, step := range pattern.Above(name) {
		next, err := r.openParent(step.Dir)
		if errors.Is(err, fs.ErrNotExist) && step.IsInitial {
			next, err = makeInitial(above, step.Dir)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s is missing on the share: make it, as root and with mode 0755", step.Dir)
		case err != nil:
			return nil, err
		}
		above = next
	}
	return above, nil
}

// openParent opens a directory above homes, and checks that it belongs to root and that only root can write to it.
func (r *run) openParent(dir string) (*parent, error) {
	if p := r.parents[dir]; p != nil {
		return p, nil
	}
	file, err := r.share.open(dir)
	if err != nil {
		return nil, err
	}
	if err := checkOnlyRootWrites(file, dir); err != nil {
		_ = file.Close()
		return nil, err
	}
	p, err := newParent(dir, file)
	if err != nil {
		return nil, err
	}
	r.parents[dir] = p
	return p, nil
}

// initialMaker makes and opens dir, the directory for {initial} (the first character of user names), in the directory
// above.
type initialMaker func(above *parent, dir string) (*parent, error)

// skipInitial makes no directory. It is for the check (run.exists) before the run knows whether the user gets a home.
func skipInitial(*parent, string) (*parent, error) { return nil, errInitialMissing }

// makeInitial makes and opens a directory for {initial}. If another run has made the directory, makeInitial only opens it.
// A dry run makes no directory.
func (r *run) makeInitial(above *parent, dir string) (*parent, error) {
	if r.DryRun {
		if !r.wouldMake[dir] {
			r.wouldMake[dir] = true
			r.say(Progress, "would make %s, for root", dir)
		}
		return nil, errInitialMissing
	}
	err := above.create(path.Base(dir), func(*os.Root) error { return nil }, owner{mode: 0o755})
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	if err == nil {
		r.say(Progress, "made %s, for root", dir)
	}
	return r.openParent(dir)
}

// removeLeftovers removes the unfinished directories that killed runs have left behind.
func (r *run) removeLeftovers() error {
	for _, dir := range dirsAbove(Patterns(r.Config, r.Claim)) {
		p, err := r.openParent(dir)
		if isFinal(err) {
			return err
		}
		if err != nil {
			continue // dir is missing, or the error is reported for each account whose home would be there.
		}
		if err := r.removeLeftoversIn(p); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) removeLeftoversIn(p *parent) error {
	for {
		names, err := p.file.Readdirnames(1000)
		for _, name := range names {
			if !strings.HasPrefix(name, stagingPrefix) {
				continue
			}
			if r.DryRun {
				r.say(Removed, "%s would be removed: a run was killed while it made a home", path.Join(p.dir, name))
				continue
			}
			switch err := p.remove(name); {
			case isFinal(err):
				return err
			case err != nil:
				r.say(Failed, "%s, which a killed run left behind, cannot be removed: %v", path.Join(p.dir, name), err)
			default:
				r.say(Removed, "%s: a run was killed while it made a home", path.Join(p.dir, name))
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("list %s: %w", p.dir, err)
		}
	}
}
