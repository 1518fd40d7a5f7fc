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

// keptLogs has the logs of the webhook's replicas, including deleted replicas, of which the kubelet keeps no logs.
type keptLogs struct{ folder string }

// keep collects logs until the test ends. It makes hard links, which remain after the kubelet has deleted a file.
func (l *keptLogs) keep(t *testing.T) {
	t.Helper()
	l.folder = filepath.Join(world.Enclosure.Folder, "kept-logs")
	_ = os.MkdirAll(l.folder, 0o755)
	pattern := filepath.Join(world.Enclosure.Folder, "pod-logs", systemSpace+"_*", "webhook", "*.log")
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

// faults returns the log lines about reviews with faults.
func (l *keptLogs) faults() string {
	found, _ := filepath.Glob(filepath.Join(l.folder, "*"))
	var told strings.Builder
	for _, path := range found {
		text, err := os.ReadFile(path)
		fmt.Fprintln(&told, filepath.Base(path), err)
		lines := 0
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, `"level":"INFO"`) && lines < 10 {
				told.WriteString(line)
				lines++
			}
		}
	}
	return told.String()
}
