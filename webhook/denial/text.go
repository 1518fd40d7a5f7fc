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

// shorten cuts text from the Pod, so that it cannot fill the message. The caller quotes it.
func shorten(s string) string { return Cut(s, 80) }

// Cut returns the text if it is at most limit bytes long. Otherwise it returns the beginning of the text, and a …
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// Printable returns text from the Pod for a sentence that does not quote it: unchanged if it is plain, quoted if it could
// break the line, imitate other characters or control a terminal.
func Printable(s string) string {
	if s == "" || strings.ContainsFunc(s, special) {
		return strconv.QuoteToASCII(shorten(s))
	}
	return shorten(s)
}

// PrintableText returns a whole text that contains text from the Pod, with everything but plain ASCII escaped.
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

// Wrap wraps a text between words into lines of at most limit bytes, and returns at least one line. A longer word gets its
// own line.
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

// special reports whether a character could break a line, imitate another character or control a terminal.
func special(r rune) bool { return r < ' ' || r > '~' }

// oneLine returns the text of an error that may contain text from the Pod.
func oneLine(err error) string {
	return Cut(strings.ReplaceAll(err.Error(), "\n", "; "), 300)
}

func list(names []string) string {
	const limit = 8
	told := make([]string, 0, limit)
	for _, name := range names[:min(len(names), limit)] {
		told = append(told, Printable(name))
	}
	if more := len(names) - limit; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(told, ", "), more)
	}
	return strings.Join(told, ", ")
}
