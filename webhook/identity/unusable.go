package identity

import "errors"

// Unusable is the error of a source that knows a name and cannot make an identity of what it knows: two accounts of one name,
// say, or one without a UID. Asking again does not help, so it is a denial.
type Unusable struct {
	// Why is the end of a sentence that begins with the name. It has nothing in it that only an administrator may read.
	Why string
	// Misplaced is the directory because of which no home can be where the user's is; nil if something else is the matter.
	Misplaced *Misplaced
}

// Misplaced is a directory below which no home can be: a user owns it, so the user could put another directory in the place of a
// home; or it is a symbolic link, so nobody knows whose directories are above the home.
type Misplaced struct {
	// Dir is relative to the root of the share.
	Dir string
	// Owner is the UID that owns Dir.
	Owner int64
	// Link reports that Dir is a symbolic link.
	Link bool
}

// Error returns why.
func (u *Unusable) Error() string { return u.Why }

// IsUnusable reports whether an error is an *Unusable, so that asking again, or another server, does not help.
func IsUnusable(err error) bool {
	_, is := errors.AsType[*Unusable](err)
	return is
}
