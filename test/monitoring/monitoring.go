// Package monitoring reads the dashboard and the alerts of deploy/monitoring. Tests compare the queries in these files with
// the metrics that the webhook really exposes.
package monitoring

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"jupyter-user.io/jupyter-user-webhook/test/project"
	"jupyter-user.io/jupyter-user-webhook/test/tools"
)

// Rules is a file of Prometheus rules.
type Rules struct {
	Groups []struct {
		Name  string  `yaml:"name"`
		Rules []Alert `yaml:"rules"`
	} `yaml:"groups"`
}

// Alert is one alerting rule in a file of Prometheus rules.
type Alert struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// Alerts returns the rules of all groups.
func (r Rules) Alerts() (all []Alert) {
	for _, group := range r.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// Dashboard has the fields of a Grafana dashboard that tests read.
type Dashboard struct {
	Panels []Panel `json:"panels"`
	// Annotations are queries whose results Grafana marks in all panels.
	Annotations struct {
		List []struct {
			Name string `json:"name"`
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

// Panel has the fields of one panel that tests read.
type Panel struct {
	ID          int                                      `json:"id"`
	Type        string                                   `json:"type"`
	Title       string                                   `json:"title"`
	Description string                                   `json:"description"`
	GridPos     struct{ X, Y, W, H int }                 `json:"gridPos"`
	Targets     []struct{ Expr string }                  `json:"targets"`
	Datasource  struct{ Type, UID string }               `json:"datasource"`
	FieldConfig struct{ Defaults struct{ Unit string } } `json:"fieldConfig"`
}

// File returns the content of a file in deploy/monitoring.
func File(name string) ([]byte, error) {
	folder, err := project.Folder()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(folder, "deploy", "monitoring", name))
}

// ReadRules returns the rules in deploy/monitoring/rules.yaml.
func ReadRules() (r Rules, err error) {
	data, err := File("rules.yaml")
	if err != nil {
		return r, err
	}
	return r, yaml.Unmarshal(data, &r)
}

// ReadDashboard returns the dashboard in deploy/monitoring/dashboard.json.
func ReadDashboard() (d Dashboard, err error) {
	data, err := File("dashboard.json")
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal(data, &d)
}

// Query is a PromQL expression and the series that it reads.
type Query struct {
	// Where is the name of the alert or of the annotation, or the title of the panel.
	Where string
	Expr  string

	Series []Series `json:"series"`
	// Labels are the labels by which the expression groups or matches.
	Labels []string `json:"labels"`
	// Fault is the error if Prometheus cannot parse the expression.
	Fault string `json:"fault"`
}

// Series is a series selector in a query.
type Series struct {
	Name string `json:"name"`
	// Matchers have three strings each: label, operator and value.
	Matchers [][3]string `json:"matchers"`
}

// Queries returns all expressions of the dashboard and the alerts. Prometheus' own parser has parsed them.
func Queries(ctx context.Context) ([]Query, error) {
	rules, err := ReadRules()
	if err != nil {
		return nil, err
	}
	dashboard, err := ReadDashboard()
	if err != nil {
		return nil, err
	}
	var all []Query
	for _, alert := range rules.Alerts() {
		all = append(all, Query{Where: alert.Alert, Expr: alert.Expr})
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all = append(all, Query{Where: panel.Title, Expr: target.Expr})
		}
	}
	for _, mark := range dashboard.Annotations.List {
		all = append(all, Query{Where: mark.Name, Expr: mark.Expr})
	}
	return all, parse(ctx, all)
}

// intervals replaces Grafana's variables by durations, so that Prometheus can parse the expressions.
var intervals = strings.NewReplacer("$__rate_interval", "5m", "$__range", "3h")

func parse(ctx context.Context, queries []Query) error {
	built, err := tools.Build(ctx, os.Stderr, tools.Expressions)
	if err != nil {
		return err
	}
	texts := make([]string, 0, len(queries))
	for _, query := range queries {
		texts = append(texts, intervals.Replace(query.Expr))
	}
	in, err := json.Marshal(texts)
	if err != nil {
		return err
	}
	program := exec.CommandContext(ctx, built[tools.Expressions])
	program.Stdin, program.Stderr = bytes.NewReader(in), os.Stderr
	out, err := program.Output()
	if err != nil {
		return fmt.Errorf("parse the expressions: %w", err)
	}
	// Unmarshal keeps the fields that the JSON does not have: Where and Expr.
	return json.Unmarshal(out, &queries)
}

// Values returns, by label, the values of the matchers that name one value or a list of values such as "a|b". It leaves out
// matchers with any other pattern, and negative matchers.
func (s Series) Values() map[string][]string {
	named := map[string][]string{}
	for _, matcher := range s.Matchers {
		label, operator, value := matcher[0], matcher[1], matcher[2]
		if operator == "=" || operator == "=~" && !strings.ContainsAny(value, ".*+[](){}\\") {
			named[label] = strings.Split(value, "|")
		}
	}
	return named
}
