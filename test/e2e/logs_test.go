package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// keptLogs keeps the logs of the webhook's replicas, as hard links in a folder. The kubelet deletes the log of a replica
// together with its Pod, but not these links.
type keptLogs struct{ folder string }

// keep makes a hard link to each new log, until the test ends.
func (l *keptLogs) keep(t *testing.T) {
	t.Helper()
	l.folder = filepath.Join(cluster.Enclosure.Folder, "kept-logs")
	_ = os.MkdirAll(l.folder, 0o755)
	pattern := filepath.Join(cluster.Enclosure.Folder, "pod-logs", systemNamespace+"_*", "webhook", "*.log")
	go func() {
		_ = wait.PollUntilContextCancel(t.Context(), 100*time.Millisecond, true, func(context.Context) (bool, error) {
			found, _ := filepath.Glob(pattern)
			for _, path := range found {
				_ = os.Link(path, filepath.Join(l.folder, strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "_")))
			}
			return false, nil
		})
	}()
}

// faults returns, for each log, the name of its file and its first ten lines that do not have the level INFO.
func (l *keptLogs) faults() string {
	found, _ := filepath.Glob(filepath.Join(l.folder, "*"))
	var text strings.Builder
	for _, path := range found {
		log, err := os.ReadFile(path)
		fmt.Fprintln(&text, filepath.Base(path), err)
		lines := 0
		for line := range strings.Lines(string(log)) {
			if !strings.Contains(line, `"level":"INFO"`) && lines < 10 {
				text.WriteString(line)
				lines++
			}
		}
	}
	return text.String()
}
