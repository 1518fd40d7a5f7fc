package identity

import "errors"

// Unusable is the error of a source that knows a name but has no usable identity for it: for example, two accounts have
// the name, or the account has no UID. Another attempt does not help.
type Unusable struct {
	// Why continues a sentence that begins with the name that was looked up. If Parent is set, Why is a whole sentence. It
	// contains only what every user may read.
	Why string
	// Parent is the directory above the home that makes the home unusable; nil if there is another cause.
	Parent *BadParent
}

// BadParent is a directory of the share below which no home can be: a user owns the directory and could replace a home, the
// owner is unknown, others than root may write in the directory, or the directory is a symbolic link, so that the real
// directories above the home are unknown.
type BadParent struct {
	// Dir is relative to the root of the share.
	Dir string
	// Owner is the UID that owns Dir.
	Owner int64
	// Mode is the mode of Dir if Dir is bad because others than root may write in it; 0 if there is another reason.
	Mode uint32
	// Link reports whether Dir is a symbolic link.
	Link bool
}

// Error returns Why.
func (u *Unusable) Error() string { return u.Why }

// IsUnusable reports whether an error is an *Unusable. After such an error, another attempt or another server does not
// help.
func IsUnusable(err error) bool {
	_, ok := errors.AsType[*Unusable](err)
	return ok
}
