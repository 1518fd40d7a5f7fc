package server

import "time"

// DrainUntil has the server drain until the channel is closed, however long that takes on this machine.
func (s *Server) DrainUntil(over <-chan time.Time) {
	s.drained = func(time.Duration) <-chan time.Time { return over }
}
