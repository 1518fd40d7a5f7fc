package config

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"jupyter-user.io/jupyter-user-webhook/webhook/denial"
)

// Error is one error in a configuration file.
type Error struct {
	// Line is the line of the file, from 1; 0 if the error belongs to no line.
	Line int
	// Path is the path of the field, such as share.claimName; empty if the error is about the whole file.
	Path    string
	Message string
}

// Error returns the line, the path and the message.
func (e Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Path != "" {
		b.WriteString(oneLine(denial.Cut(e.Path, 200)) + ": ")
	}
	b.WriteString(oneLine(denial.Cut(e.Message, 600)))
	return b.String()
}

// Errors are the errors in a configuration file.
type Errors []Error

// maxShown is the maximum number of errors in a message, so that the message for a file of garbage stays readable.
const maxShown = 100

// Error returns one line for each of the first maxShown errors, and the number of the others.
func (e Errors) Error() string {
	shown := make([]string, 0, maxShown+1)
	for _, one := range e[:min(len(e), maxShown)] {
		shown = append(shown, one.Error())
	}
	if rest := len(e) - maxShown; rest > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(shown, "\n")
}

// sorted returns the errors in the order of their lines. Errors without a line come last.
func (e Errors) sorted() Errors {
	line := func(one Error) int {
		if one.Line == 0 {
			return math.MaxInt
		}
		return one.Line
	}
	slices.SortStableFunc(e, func(a, b Error) int { return cmp.Compare(line(a), line(b)) })
	return e
}

// oneLine replaces unprintable characters, so that text from the file cannot add lines or colours to a message.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}
