// Command expressions tells, of each PromQL expression on its standard input, which series it reads and by which labels.
//
// In and out are JSON: a list of expressions, and a list as long of what each reads.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// expression is what one reads.
type expression struct {
	// Series that it selects.
	Series []series `json:"series"`
	// Labels by which it groups or matches results. Which of the series has them, the expression does not say.
	Labels []string `json:"labels"`
	// Fault is what is wrong with it, where it is no PromQL.
	Fault string `json:"fault,omitempty"`
}

// series is one selector.
type series struct {
	Name string `json:"name"`
	// Matchers are what it demands of labels: the label, the operator, the value.
	Matchers [][3]string `json:"matchers"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var texts []string
	if err := json.NewDecoder(in).Decode(&texts); err != nil {
		return fmt.Errorf("read a list of expressions: %w", err)
	}
	read := make([]expression, 0, len(texts))
	for _, text := range texts {
		read = append(read, parse(text))
	}
	return json.NewEncoder(out).Encode(read)
}

func parse(text string) expression {
	e := expression{Series: []series{}, Labels: []string{}}
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		e.Fault = err.Error()
		return e
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			e.Series = append(e.Series, selected(n))
		case *parser.AggregateExpr:
			e.Labels = append(e.Labels, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				e.Labels = append(e.Labels, slices.Concat(n.VectorMatching.MatchingLabels, n.VectorMatching.Include)...)
			}
		}
		return nil
	})
	slices.Sort(e.Labels)
	e.Labels = slices.Compact(e.Labels)
	return e
}

func selected(n *parser.VectorSelector) series {
	s := series{Name: n.Name, Matchers: [][3]string{}}
	for _, m := range n.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			s.Name = m.Value
			continue
		}
		s.Matchers = append(s.Matchers, [3]string{m.Name, m.Type.String(), m.Value})
	}
	return s
}
