package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseDocument returns the mapping of the file's only document.
func parseDocument(data []byte) (*yaml.Node, Errors) {
	if errs := checkBytes(data); errs != nil {
		return nil, errs
	}
	in := yaml.NewDecoder(bytes.NewReader(data))
	var first, second yaml.Node
	err := in.Decode(&first)
	if err == nil {
		err = in.Decode(&second)
	}
	switch {
	case err == nil:
		return nil, Errors{{Line: second.Line, Message: "a second YAML document begins here; write one only"}}
	case !errors.Is(err, io.EOF):
		return nil, Errors{syntaxError(err)}
	case first.IsZero() || isNull(first.Content[0]):
		return nil, fileError("the file is empty; it begins with apiVersion: %s and kind: %s", apiVersion, kind)
	}
	root := first.Content[0]
	if fault := kindFault(root, yaml.MappingNode); fault != "" {
		return nil, Errors{{Line: root.Line, Message: "the file " + fault}}
	}
	return root, nil
}

// checkBytes returns an error if the file is too large, or has bytes that the YAML reader would reject without a line number.
func checkBytes(data []byte) Errors {
	if len(data) > MaxBytes {
		return fileError("the file has more than %d KiB, the most that is read", MaxBytes>>10)
	}
	for line, text := range bytes.Split(data, []byte("\n")) {
		if !utf8.Valid(text) {
			return Errors{{Line: line + 1, Message: "this is not UTF-8; save the file as UTF-8"}}
		}
		control := func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' || r == 0x7f }
		if at := bytes.IndexFunc(text, control); at >= 0 {
			found := fmt.Sprintf("the control character %#02x is here; remove it", text[at])
			return Errors{{Line: line + 1, Message: found}}
		}
	}
	return nil
}

func fileError(format string, args ...any) Errors {
	return Errors{{Message: fmt.Sprintf(format, args...)}}
}

// ofParser matches the errors of the YAML library's parser. Errors of its scanner can begin with the same words.
var ofParser = regexp.MustCompile(`^did not find expected (key|node content|'-' indicator|<document start>|',' or '[\]}]')$`)

// syntaxError returns an Error for an error of the YAML library, with the line number in its own field.
//
// The library has the number only in the text. It counts lines from 0 in errors of its parser and from 1 in errors of its
// scanner, and omits the number of the first line. If the library changes this, only the number in the message becomes wrong.
func syntaxError(err error) Error {
	line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if number, rest, found := strings.Cut(strings.TrimPrefix(text, "line "), ": "); found {
		if n, err := strconv.Atoi(number); err == nil {
			line, text = n, rest
			if ofParser.MatchString(text) {
				line++
			}
		}
	}
	if strings.HasPrefix(text, "unknown anchor") || strings.HasPrefix(text, "control characters") {
		line = 0
	}
	return Error{Line: line, Message: "this is not valid YAML: " + text}
}
