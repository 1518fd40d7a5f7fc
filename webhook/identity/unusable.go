package identity

// Unusable is the error of a source that knows a name and cannot make an identity of what it knows: two accounts of one name, say,
// or one without a UID. Asking again does not help, so it is a denial.
type Unusable struct {
	// Why is the end of a sentence that begins with the name. It has nothing in it that only an administrator may read.
	Why string
}

// Error returns why.
func (u *Unusable) Error() string { return u.Why }
