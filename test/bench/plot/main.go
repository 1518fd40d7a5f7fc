// Command plot draws the plots of test/bench/results from results.json. It has its own module, because nothing else needs
// its dependencies.
//
// The background is transparent, and the colours are readable on white and on black.
package main

import (
	"encoding/json"
	"fmt"
	"image/color"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

type point struct{ X, Y float64 }

var plots = map[string]struct{ title, x, y string }{
	"users":   {"A review in process, by the number of known users", "known users", "median, µs"},
	"pod":     {"A review in process, by what is in the pod", "containers, or volumes, in the pod", "median, µs"},
	"callers": {"Reviews a second over HTTPS, by callers at once", "callers at once", "reviews a second"},
}

var (
	grey   = color.RGBA{R: 0x80, G: 0x88, B: 0x91, A: 0xff}
	colors = []color.Color{
		color.RGBA{R: 0x3f, G: 0x8c, B: 0xe0, A: 0xff}, color.RGBA{R: 0xd9, G: 0x7a, B: 0x26, A: 0xff},
		color.RGBA{R: 0x3d, G: 0xa3, B: 0x5d, A: 0xff}, color.RGBA{R: 0xb0, G: 0x62, B: 0xc9, A: 0xff},
	}
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder string) error {
	content, err := os.ReadFile(filepath.Join(folder, "results.json"))
	if err != nil {
		return err
	}
	var results struct{ Points map[string]map[string][]point }
	if err := json.Unmarshal(content, &results); err != nil {
		return err
	}
	for name, lines := range results.Points {
		if err := draw(filepath.Join(folder, name+".svg"), name, lines); err != nil {
			return fmt.Errorf("draw %s: %w", name, err)
		}
	}
	return nil
}

func draw(file, name string, lines map[string][]point) error {
	p := plot.New()
	p.BackgroundColor = nil
	text := plots[name]
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = text.title, text.x, text.y
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, measuredAt(lines)
	p.Y.Min = 0
	p.Title.TextStyle.Color, p.Legend.TextStyle.Color = grey, grey
	p.Legend.Top, p.Legend.Left = true, true
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle.Color, axis.Tick.LineStyle.Color = grey, grey
		axis.Label.TextStyle.Color, axis.Tick.Label.Color = grey, grey
	}
	right := 0.
	for i, called := range slices.Sorted(maps.Keys(lines)) {
		points := make(plotter.XYs, len(lines[called]))
		for j, at := range lines[called] {
			points[j].X, points[j].Y = at.X, at.Y
			p.Y.Max = max(p.Y.Max, at.Y*1.3)
			right = max(right, math.Pow(at.X, 1.07)) // the last label needs this space
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		line.Color, dots.Color, line.Width = colors[i%len(colors)], colors[i%len(colors)], vg.Points(1.5)
		p.Add(line, dots)
		p.Legend.Add(called, line, dots)
	}
	p.X.Max = right
	return p.Save(16*vg.Centimeter, 8*vg.Centimeter, file)
}

// measuredAt returns ticks at the x values that have a measurement.
func measuredAt(lines map[string][]point) (ticks plot.ConstantTicks) {
	values := map[float64]bool{}
	for _, line := range lines {
		for _, at := range line {
			values[at.X] = true
		}
	}
	for _, x := range slices.Sorted(maps.Keys(values)) {
		ticks = append(ticks, plot.Tick{Value: x, Label: fmt.Sprintf("%.0f", x)})
	}
	return ticks
}
