package denial

import (
	"fmt"
	"strconv"
	"strings"
)

// AnnotationField returns the field of an annotation in Kubernetes' notation.
func AnnotationField(key string) string {
	return fmt.Sprintf("metadata.annotations[%s]", key)
}

// shorten cuts a text from the Pod to 80 bytes, so that no text can fill the message. It does not escape the text.
func shorten(s string) string { return Cut(s, 80) }

// Cut returns a text of at most limit bytes unchanged. For a longer text it returns the first limit bytes and then "…".
// Cut removes invalid UTF-8 from these bytes, such as a part of a character that is cut in two.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// Printable returns a text from the Pod, shortened, for a sentence that puts no quotes around it. Printable quotes and
// escapes the text if it is empty or has characters outside printable ASCII.
func Printable(s string) string {
	if s == "" || strings.ContainsFunc(s, special) {
		return strconv.QuoteToASCII(shorten(s))
	}
	return shorten(s)
}

// PrintableText returns a text with every character outside printable ASCII escaped. It is for a sentence that already
// contains text from the Pod.
func PrintableText(text string) string {
	if !strings.ContainsFunc(text, special) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if !special(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// Wrap wraps a text between words into lines of at most limit bytes, and returns at least one line. A word longer than
// limit gets its own line.
func Wrap(text string, limit int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > limit:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// special reports whether a character is outside printable ASCII. Such a character could break a line, imitate another
// character or control a terminal.
func special(r rune) bool { return r < ' ' || r > '~' }

// oneLine returns the text of an error in one line. The length is limited, because the error can contain text from the
// Pod.
func oneLine(err error) string {
	return Cut(strings.ReplaceAll(err.Error(), "\n", "; "), 300)
}

func list(names []string) string {
	const limit = 8
	shown := make([]string, 0, limit)
	for _, name := range names[:min(len(names), limit)] {
		shown = append(shown, Printable(name))
	}
	if more := len(names) - limit; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), more)
	}
	return strings.Join(shown, ", ")
}
