package progress

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Stage calls the function work and returns its error. Before it returns, it writes a line with the elapsed time, the name,
// and FAILED if there is an error. If out is nil, Stage writes nothing.
func Stage(out io.Writer, name string, work func() error) error {
	began := time.Now()
	err := work()
	if out == nil {
		return err
	}
	outcome := ""
	if err != nil {
		outcome = "  FAILED"
	}
	_, _ = fmt.Fprintf(out, "%7.1f s  %s%s\n", time.Since(began).Seconds(), name, outcome)
	return err
}

// endBytes is the largest number of bytes of each log that an error shows.
const endBytes = 3000

// Ends returns the end of each log file that is not empty and can be read. The text is for an error.
func Ends(logs ...string) string {
	var ends strings.Builder
	for _, log := range logs {
		data, err := os.ReadFile(log)
		if err != nil || len(data) == 0 {
			continue
		}
		data = data[max(0, len(data)-endBytes):]
		fmt.Fprintf(&ends, "the end of %s:\n%s\n", filepath.Base(log), bytes.TrimSpace(data))
	}
	return strings.TrimSpace(ends.String())
}
