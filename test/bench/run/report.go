package main

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// report is what results.json holds.
type report struct {
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Quick    bool              `json:"quick"`
	// Rows are ratios first, and absolute figures for this machine behind them.
	Rows []row `json:"rows"`
	// Points are what the plots show, by plot and line.
	Points map[string]map[string][]point `json:"points"`
}

type machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Kernel     string `json:"kernel"`
	LoadBefore string `json:"loadBefore"`
	LoadAfter  string `json:"loadAfter"`
	Began      string `json:"began"`
	Took       string `json:"took"`

	began time.Time
}

// row is one measured figure. A gate of 0 is none.
type row struct {
	Part    string  `json:"part"`
	Measure string  `json:"measure"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit,omitempty"`
	// Gate that the value has to keep to, and Stretch beyond it; AtLeast where more is better.
	Gate    float64 `json:"gate,omitempty"`
	Stretch float64 `json:"stretch,omitempty"`
	AtLeast bool    `json:"atLeast,omitempty"`
}

type point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

func newReport(quick bool) *report {
	r := &report{Quick: quick, Versions: map[string]string{"go": runtime.Version()}, Points: map[string]map[string][]point{}}
	r.Machine = machine{CPU: cpu(), Cores: runtime.NumCPU(), Kernel: read("/proc/sys/kernel/osrelease"), LoadBefore: read("/proc/loadavg"),
		Began: time.Now().UTC().Format(time.RFC3339), began: time.Now()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if slices.Contains([]string{"sigs.k8s.io/controller-runtime", "k8s.io/api", "github.com/go-json-experiment/json"}, m.Path) {
				r.Versions[m.Path] = m.Version
			}
		}
	}
	return r
}

func (r *report) end() {
	r.Machine.LoadAfter = read("/proc/loadavg")
	r.Machine.Took = time.Since(r.Machine.began).Round(time.Second).String()
}

func (r *report) add(rows ...row) { r.Rows = append(r.Rows, rows...) }

func (r *report) plot(name, line string, x, y float64) {
	if r.Points[name] == nil {
		r.Points[name] = map[string][]point{}
	}
	r.Points[name][line] = append(r.Points[name][line], point{x, y})
}

// markdown is one table, ratios first.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, Linux %s, load before %s and after %s, %s, took %s.\n", r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel,
		r.Machine.LoadBefore, r.Machine.LoadAfter, r.Machine.Began, r.Machine.Took)
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(&b, "%s %s. ", name, r.Versions[name])
	}
	if r.Quick {
		b.WriteString("A quick run, which tells little.")
	}
	b.WriteString("\n\n| part | measure | value | gate | stretch | |\n|---|---|---|---|---|---|\n")
	for _, ratios := range []bool{true, false} {
		for _, w := range r.Rows {
			if (w.Unit == "") == ratios {
				b.WriteString(w.line())
			}
		}
	}
	return b.String()
}

func (w row) line() string {
	sign, verdict := "≤", ""
	if w.AtLeast {
		sign = "≥"
	}
	gate, stretch := "", ""
	if w.Gate != 0 {
		gate, verdict = fmt.Sprintf("%s %g", sign, w.Gate), "missed"
		if w.meets(w.Gate) {
			verdict = "met"
		}
	}
	if w.Stretch != 0 {
		stretch = fmt.Sprintf("%s %g", sign, w.Stretch)
		if w.meets(w.Stretch) {
			verdict = "stretch met"
		}
	}
	return fmt.Sprintf("| %s | %s | %.3g%s | %s | %s | %s |\n", w.Part, w.Measure, w.Value, strings.TrimRight(" "+w.Unit, " "), gate, stretch, verdict)
}

func (w row) meets(gate float64) bool {
	if w.AtLeast {
		return w.Value >= gate
	}
	return w.Value <= gate
}

func cpu() string {
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOARCH
}

func read(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(content))
}

// median of figures; they are put in order.
func median(of []float64) float64 {
	slices.Sort(of)
	if n := len(of); n%2 == 0 && n > 0 {
		return (of[n/2-1] + of[n/2]) / 2
	}
	return of[len(of)/2]
}
