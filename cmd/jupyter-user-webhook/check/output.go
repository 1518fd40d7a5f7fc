package check

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// Writers has the function that writes findings, for each value of the flag -o.
var Writers = map[string]func(io.Writer, []Finding) error{"table": writeTable, "json": writeJSON}

// writeJSON writes a JSON list, in the order of the checks.
func writeJSON(out io.Writer, findings []Finding) error {
	return indented(out).Encode(findings)
}

// width is the length at which messages are wrapped, in bytes.
const width = 96

// writeTable writes a table, the worst finding first, and the overall result in the last line.
func writeTable(out io.Writer, findings []Finding) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	counts := map[Status]int{}
	_, _ = fmt.Fprint(table, "STATUS\tCHECK\tFINDING\n")
	for _, f := range byStatus(findings) {
		counts[f.Status]++
		text := f.Message
		if f.Where != "" {
			text = f.Where + ": " + f.Message
		}
		status, check := string(f.Status), f.Check
		for _, line := range denial.Wrap(text, width) {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", status, check, line)
			status, check = "", ""
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d failed, %d unknown, %s, %d ok\n", counts[Failed], counts[Unknown],
		count(counts[Warning], "warning"), counts[OK])
	return err
}

// AccessWriters has the function that writes an AccessReport, for each value of the flag -o.
var AccessWriters = map[string]func(io.Writer, AccessReport) error{"table": writeAccess, "json": writeAccessJSON}

func writeAccessJSON(out io.Writer, a AccessReport) error {
	if a.Rights == nil {
		a.Rights = []Right{} // an empty list, not null
	}
	return indented(out).Encode(a)
}

// writeAccess writes one sentence, and a line for each right.
func writeAccess(out io.Writer, a AccessReport) error {
	for _, line := range denial.Wrap(a.Message, width) {
		_, _ = fmt.Fprintln(out, line)
	}
	if len(a.Rights) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(table, "\nVERB\tWHO\tTHROUGH\n")
	for _, right := range a.Rights {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", right.Verb, right.Who, right.Through)
	}
	return table.Flush()
}

func indented(out io.Writer) *json.Encoder {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder
}
