package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"jupyter-user.io/jupyter-user-webhook/webhook"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
	"jupyter-user.io/jupyter-user-webhook/webhook/inject"
	"jupyter-user.io/jupyter-user-webhook/webhook/pod"
	"jupyter-user.io/jupyter-user-webhook/webhook/podsecurity"
)

// writeExplanation writes for each Pod what the webhook decides and changes, and why.
func writeExplanation(out *bytes.Buffer, documents []document) error {
	levels, err := podsecurity.NewLevels()
	if err != nil {
		return err
	}
	var pods []*podDocument
	for _, d := range documents {
		pods = append(pods, d.pods()...)
	}
	if len(pods) == 0 {
		out.WriteString("The input has no Pod.\n")
	}
	for i, p := range pods {
		if i > 0 {
			out.WriteByte('\n')
		}
		if !p.decision.Claimed {
			explainUnclaimed(out, p)
			continue
		}
		explain(out, levels, p)
	}
	return nil
}

func explainUnclaimed(out *bytes.Buffer, p *podDocument) {
	fmt.Fprintf(out, "%s is not a user's notebook and is not changed: %s.\n", p.title(), p.decision.Unclaimed)
	pod, err := pod.Read(p.raw)
	if err != nil {
		return
	}
	if mark := inject.NotebookMark(pod); mark != "" {
		fmt.Fprintf(out, "It has %s, so the verifier denies it: remove that, or add the label jupyter-user.\n", plain(mark))
	}
}

func explain(out *bytes.Buffer, levels *podsecurity.Levels, p *podDocument) {
	d := p.decision
	fmt.Fprintf(out, "%s becomes a notebook of %s.\n\n", p.title(), d.User)
	columns(out, [][]string{
		{"user", d.User.String() + ": by " + d.NamedBy},
		{"notebook", "container " + denial.Printable(d.Plan.Notebook) + ": " + d.Plan.NotebookReason},
		{"discovery", discovery(d) + ": " + d.Plan.DiscoveryReason},
		{"home", denial.Printable(d.Plan.Home) + " on the share"},
	})
	explainChanges(out, d.Changes())
	if len(d.Warnings) > 0 {
		out.WriteString("\nWarnings:\n\n")
		for _, warning := range d.Warnings {
			out.WriteString("  - " + plain(warning) + "\n")
		}
	}
	out.WriteString("\nPod Security level that the Pod meets:\n\n")
	columns(out, append(levelOf(levels, "as submitted", p.raw), levelOf(levels, "as admitted", p.admitted)...))
	out.WriteString("\nOnly the cluster knows whether the Pod's creator may be that user, and whether a policy denies the Pod.\n")
}

// discovery returns the text that explains how the identity is found: AtStart, or AtAdmission with the identity.
func discovery(d webhook.Decision) string {
	if d.Discovery == config.DiscoveryAtAdmission {
		return string(d.Discovery) + ", as " + d.Identity.String()
	}
	return string(d.Discovery)
}

func explainChanges(out *bytes.Buffer, changes []inject.Change) {
	if len(changes) == 0 {
		out.WriteString("\nNothing is changed: the Pod is already as the webhook makes it.\n")
		return
	}
	out.WriteString("\nWhat the webhook does, and who owns each field. A field that is ours is enforced: a different value is " +
		"corrected or denied.\n" +
		"A field that is the pod's has a default: the pod's own value is kept.\n\n")
	var rows [][]string
	piece := ""
	for _, group := range grouped(changes) {
		first := group[0]
		row := []string{"", string(first.Action), map[bool]string{true: "ours", false: "the pod's"}[first.Ours], ""}
		if first.Piece != piece {
			piece, row[0] = first.Piece, first.Piece
		}
		for i, line := range denial.Wrap(fields(group), wrapAt) {
			if i > 0 {
				row = make([]string, len(row))
			}
			row[3] = line
			rows = append(rows, row)
		}
	}
	columns(out, rows)
}

// grouped returns the changes in groups. The changes of a group differ only in the key, and are one entry of the
// explanation.
func grouped(changes []inject.Change) (groups [][]inject.Change) {
	for _, change := range changes {
		at := slices.IndexFunc(groups, func(g []inject.Change) bool {
			return g[0].Piece == change.Piece && g[0].Action == change.Action && g[0].Ours == change.Ours &&
				g[0].Object == change.Object && g[0].Element == change.Element && g[0].Why == change.Why
		})
		if at < 0 {
			groups = append(groups, nil)
			at = len(groups) - 1
		}
		groups[at] = append(groups[at], change)
	}
	return groups
}

// fields returns the text for the fields of a group, such as notebook.env[NB_USER, HOME] or notebook.{startupProbe,
// livenessProbe}, with the reason of the changes if there is one.
func fields(group []inject.Change) string {
	first := group[0]
	var keys []string
	for _, change := range group {
		keys = append(keys, change.Key)
	}
	text := first.Field()
	switch joined := strings.Join(keys, ", "); {
	case first.Element:
		text = first.Object + "[" + joined + "]"
	case len(keys) > 1:
		text = first.Object + ".{" + joined + "}"
	}
	if first.Why != "" {
		text += ": " + first.Why
	}
	return plain(text)
}

// levelOf returns the rows about the Pod Security level that a Pod meets, and about the next level, which it does not meet.
func levelOf(levels *podsecurity.Levels, title string, raw []byte) [][]string {
	level, err := levels.Of(raw)
	switch {
	case err != nil:
		return [][]string{{title, "none: " + plain(err.Error())}}
	case level.Next == "":
		return [][]string{{title, string(level.Meets)}}
	}
	rows := [][]string{{title, string(level.Meets) + ", not " + string(level.Next) + ":"}}
	for _, why := range level.Misses {
		for i, line := range denial.Wrap(plain(why), wrapAt) {
			rows = append(rows, []string{"", map[bool]string{true: "- ", false: "  "}[i == 0] + line})
		}
	}
	return rows
}

// wrapAt is the length, in characters, at which the text of a change or of a Pod Security violation is wrapped. A longer word is
// not broken.
const wrapAt = 84

// columns writes rows as an indented table.
func columns(out io.Writer, rows [][]string) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = io.WriteString(table, "  "+strings.Join(row, "\t")+"\n")
	}
	_ = table.Flush()
}

// plain shortens and escapes a text that may come from a Pod, so that the text can neither break the line nor control the
// terminal.
func plain(text string) string { return denial.PrintableText(denial.Cut(text, 1000)) }
