package config

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is one thing that is wrong in a configuration file.
type Error struct {
	// Line of the file, from 1. It is 0 where the file has no line for it.
	Line int
	// Path of the field, such as share.claimName. It is empty where the file as a whole is meant.
	Path string
	// Message says what is wrong and what to do about it.
	Message string
}

// Error is the message with its place in front.
func (e Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Path != "" {
		b.WriteString(oneLine(clip(e.Path, 200)) + ": ")
	}
	b.WriteString(oneLine(clip(e.Message, 600)))
	return b.String()
}

// Errors is everything that is wrong in a configuration file, in the order of its lines.
type Errors []Error

// maxShown keeps the answer to a file of garbage readable. All errors stay in the list.
const maxShown = 100

// Error has one line for each of the errors.
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

// sorted puts what has no line last.
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

// oneLine keeps what came out of the file from writing lines, or colours, of its own.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, text)
}

// clip shortens what came out of the file, which can be as long as the file.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
