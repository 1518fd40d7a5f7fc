package sealed

import (
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestSweepDuringNewFolder tests that sweep does not remove a folder that another run is just making.
func TestSweepDuringNewFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("left out: only root can make an enclosure")
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 300 {
				f, err := newFolder()
				if !assert.NoError(t, err) {
					return
				}
				assert.NoError(t, f.remove())
			}
		})
		group.Go(func() {
			for range 1000 {
				assert.NoError(t, sweep())
			}
		})
	}
	group.Wait()
}
