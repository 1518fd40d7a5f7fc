package check

import "context"

// policiesAsShipped: the policies decide who may be whom, and hold while the webhook is down. A policy without its binding
// does nothing; a binding that only warns, or is narrower, refuses less.
func policiesAsShipped(_ context.Context, s *state) []Finding {
	return append(s.compare(policies), s.compare(bindings)...)
}

// webhooksAsShipped: which pods come to the webhook, and that none starts unserved.
func webhooksAsShipped(_ context.Context, s *state) []Finding {
	return append(s.compare(mutatingWebhooks), s.compare(validatingWebhooks)...)
}
