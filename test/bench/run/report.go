package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// report is the content of results.json.
type report struct {
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Quick    bool              `json:"quick"`
	// Rows has the rows in the order in which they were measured. The Markdown table has the rows without a unit first: ratios
	// and numbers of allocations.
	Rows []row `json:"rows"`
	// Points has the points of the plots, by plot and line.
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

// row is one measured figure.
type row struct {
	Part    string  `json:"part"`
	Measure string  `json:"measure"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit,omitempty"`
	// Gate is the limit for the value, or 0 if there is no limit. Stretch is a better value to aim at. With AtLeast, both are
	// minimums, and otherwise maximums.
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

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d cores, Linux %s, load before %s and after %s, %s, took %s.\n", r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel,
		r.Machine.LoadBefore, r.Machine.LoadAfter, r.Machine.Began, r.Machine.Took)
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(&b, "%s %s. ", name, r.Versions[name])
	}
	if r.Quick {
		b.WriteString("A quick run: its figures are imprecise.")
	}
	b.WriteString("\n\n| part | measure | value | gate | stretch | |\n|---|---|---|---|---|---|\n")
	for _, ratios := range []bool{true, false} {
		for _, w := range r.Rows {
			if (w.Unit == "") == ratios {
				b.WriteString(w.line())
			}
		}
	}
	r.writePeers(&b)
	return b.String()
}

// peers has figures of other projects' webhooks, which do other work than this project's webhook. The last element is
// handlers.Usual, measured together with them. Each figure is a ratio to an empty webhook: small and large are the p50 for Pods
// of 6 KB and 60 KB, and cpu is the processor time for 6 KB. All these figures were measured once, on 2026-11-22, on another
// machine with controller-runtime v0.25.2 and Kubernetes 1.36.3, and not by this program.
var peers = []struct {
	name              string
	small, large, cpu float64
}{
	{"amazon-eks-pod-identity-webhook", 1.5, 2.0, 1.7},
	{"vault-k8s", 2.0, 2.0, 2.2},
	{"kubeflow admission-webhook", 5.4, 6.4, 6.1},
	{"the usual way, in that run", 3.3, 5.7, 3.9},
}

func (r *report) writePeers(b *strings.Builder) {
	value := func(measure string) float64 {
		i := slices.IndexFunc(r.Rows, func(w row) bool { return w.Part == loopbackHTTP1 && w.Measure == measure })
		if i < 0 {
			return math.NaN() // not measured in this run
		}
		return r.Rows[i].Value
	}
	b.WriteString("\n| handler | p50 ÷ empty, 6 KB | p50 ÷ empty, 60 KB | CPU ÷ empty, 6 KB |\n|---|---|---|---|\n")
	for _, ours := range []struct{ name, prefix string }{{"**this webhook**", ""}, {"the usual way, in this run", usualPrefix}} {
		fmt.Fprintf(b, "| %s | %.2g | %.2g | %.2g |\n", ours.name, value(ours.prefix+"p50 ÷ empty, 6 KB"),
			value(ours.prefix+"p50 ÷ empty, 60 KB"), value(ours.prefix+"CPU ÷ empty, 6 KB"))
	}
	for _, p := range peers {
		fmt.Fprintf(b, "| %s | %.2g | %.2g | %.2g |\n", p.name, p.small, p.large, p.cpu)
	}
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
	figure := fmt.Sprintf("%.3g", w.Value)
	if w.Value >= 1000 {
		figure = fmt.Sprintf("%.0f", w.Value)
	}
	return fmt.Sprintf("| %s | %s | %s%s | %s | %s | %s |\n", w.Part, w.Measure, figure, strings.TrimRight(" "+w.Unit, " "), gate, stretch, verdict)
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

// median returns the median of figures. It sorts them in place.
func median(figures []float64) float64 {
	slices.Sort(figures)
	if n := len(figures); n%2 == 0 && n > 0 {
		return (figures[n/2-1] + figures[n/2]) / 2
	}
	return figures[len(figures)/2]
}
