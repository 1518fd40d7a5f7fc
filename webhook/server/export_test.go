package server

import "time"

// DrainUntil makes the server drain until the channel is closed, so that the test does not depend on time.
func (s *Server) DrainUntil(over <-chan time.Time) {
	s.drained = func(time.Duration) <-chan time.Time { return over }
}
