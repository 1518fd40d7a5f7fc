// Command expressions reads PromQL expressions and prints the series and labels that each of them uses.
//
// Standard input is a JSON list of expressions. Standard output is a JSON list with one object for each expression.
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

// expression has the series and labels of an expression.
type expression struct {
	// Series are the series that the expression selects.
	Series []series `json:"series"`
	// Labels are the labels in by (…), on (…), group_left (…) and similar clauses: the expression groups or matches results by them,
	// or copies them. It does not say which series has them.
	Labels []string `json:"labels"`
	// Fault is the error if the text is no PromQL.
	Fault string `json:"fault,omitempty"`
}

// series is a series selector.
type series struct {
	Name string `json:"name"`
	// Matchers have three strings each: label, operator and value.
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
