package inject

import "strings"

// This file reads shell scripts that are a plain sequence of commands. A command has words, quotes, variables and
// redirections, and ends at ";", "&&" or the end of the line. Comments are skipped. A script with anything else, such as a
// pipe, a loop or a command substitution, is not read, and the Pod gets a warning.

// maxScriptLength is the length in bytes of the longest script, or value of NOTEBOOK_ARGS, that is read.
const maxScriptLength = 8 << 10

// shellScript returns the script among a shell's arguments: the first argument after the options, if -c is among them. The
// letter c can be joined with others, as in -lc. The options end at "--" or "-".
func shellScript(args []string) (script string, ok bool) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		option := args[0]
		args = args[1:]
		if option == "--" || option == "-" {
			break
		}
		if !strings.HasPrefix(option, "--") {
			ok = ok || strings.Contains(option, "c")
			// For each letter "o", as in "-euoc pipefail", the name of an option follows.
			args = args[min(strings.Count(option, "o"), len(args)):]
		}
	}
	if !ok || len(args) == 0 {
		return "", false
	}
	return args[0], true
}

// splitWords splits a text into words as Python's shlex does: quotes and backslashes have a meaning, variables have none.
func splitWords(text string) ([]string, bool) {
	commands, ok := splitShell(text, nil, false)
	if !ok || len(commands) == 0 {
		return nil, ok
	}
	return commands[0], true
}

// splitter is the state of splitShell: the text, and the words and commands that have been read so far.
type splitter struct {
	text  string
	at    int
	value func(name string) (string, bool)
	// shell reports whether special characters have the meaning that a shell gives them.
	shell bool

	word     strings.Builder
	inWord   bool
	skips    bool // reports whether the next word belongs to a redirection
	words    []string
	commands [][]string
	failed   bool
	// set are the variables that the script has set so far, exported or not; nil if it has set none.
	set map[string]string
	// assigning reports whether the word is known to be an assignment.
	assigning bool
	// expanded is the number of bytes that the values of variables have added to the words.
	expanded int
}

// splitShell returns the commands of a text, each as a list of words. It returns false if the text is too long or cannot be
// read. If asShell is false, the whole text is one command, split as by splitWords.
func splitShell(text string, value func(name string) (string, bool), asShell bool) ([][]string, bool) {
	if len(text) > maxScriptLength {
		return nil, false
	}
	s := splitter{text: text, value: value, shell: asShell}
	for s.at < len(s.text) && !s.failed {
		s.step()
	}
	s.endCommand()
	return s.commands, !s.failed
}

func (s *splitter) step() {
	c := s.text[s.at]
	s.at++
	switch {
	case c == '\'':
		s.readSingleQuoted()
	case c == '"':
		s.readDoubleQuoted()
	case c == '\\':
		s.readEscaped()
	case c == ' ' || c == '\t' || c == '\r' || c == '\n' && !s.shell:
		s.endWord()
	case !s.shell:
		s.add(c)
	case c == '\n' || c == ';':
		s.endCommand()
	case c == '&' && strings.HasPrefix(s.text[s.at:], "&"):
		s.at++
		s.endCommand()
	case c == '>' || c == '<':
		s.skipRedirection()
	case c == '$':
		s.addUnquoted(s.expandVariable())
	case c == '#' && !s.inWord:
		if end := strings.IndexByte(s.text[s.at:], '\n'); end >= 0 {
			s.at += end
		} else {
			s.at = len(s.text)
		}
	case strings.IndexByte("|&()`", c) >= 0:
		s.failed = true
	default:
		s.add(c)
	}
}

func (s *splitter) add(c byte) {
	s.word.WriteByte(c)
	s.inWord = true
}

func (s *splitter) readSingleQuoted() {
	end := strings.IndexByte(s.text[s.at:], '\'')
	if end < 0 {
		s.failed = true
		return
	}
	s.word.WriteString(s.text[s.at : s.at+end])
	s.at, s.inWord = s.at+end+1, true
}

func (s *splitter) readDoubleQuoted() {
	s.inWord = true
	for s.at < len(s.text) && !s.failed {
		c := s.text[s.at]
		s.at++
		switch {
		case c == '"':
			return
		case c == '\\' && s.at < len(s.text) && strings.IndexByte("\"\\$`\n", s.text[s.at]) >= 0:
			s.add(s.text[s.at])
			s.at++
		case c == '$' && s.shell:
			s.word.WriteString(s.expandVariable())
		case c == '`' && s.shell:
			s.failed = true
		default:
			s.add(c)
		}
	}
	s.failed = true
}

func (s *splitter) readEscaped() {
	if s.at >= len(s.text) {
		s.failed = true
		return
	}
	if s.text[s.at] != '\n' {
		s.add(s.text[s.at])
	}
	s.at++
}

// skipRedirection skips a redirection operator such as >> or 2>&, and marks the word after the operator to be skipped. The
// operator << begins a here-document: the splitter gives up the whole script.
func (s *splitter) skipRedirection() {
	if strings.Trim(s.word.String(), "0123456789") == "" {
		s.word.Reset()
		s.inWord = false
	}
	s.endWord()
	begin := s.at - 1
	for s.at < len(s.text) && strings.IndexByte("<>&|", s.text[s.at]) >= 0 {
		s.at++
	}
	if operator := s.text[begin:s.at]; strings.HasPrefix(operator, "<<") && operator != "<<<" {
		s.failed = true
	}
	for s.at < len(s.text) && s.text[s.at] == ' ' {
		s.at++
	}
	s.skips = true
}

// addUnquoted appends a variable's value that is not in quotes. The shell splits such a value into words, except in an
// assignment.
func (s *splitter) addUnquoted(value string) {
	const blanks = " \t\n"
	if value == "" {
		return
	}
	blank := strings.ContainsAny(value, blanks)
	// A long word is examined once, because a short script can append to it many times.
	s.assigning = s.assigning || blank && isAssignment(s.word.String())
	if !blank || s.assigning {
		s.word.WriteString(value)
		s.inWord = true
		return
	}
	for i := range len(value) {
		if strings.IndexByte(blanks, value[i]) >= 0 {
			s.endWord()
		} else {
			s.add(value[i])
		}
	}
}

// expandVariable reads the variable in $NAME, ${NAME} or Kubernetes' $(NAME), and returns its value.
func (s *splitter) expandVariable() string {
	rest := s.text[s.at:]
	opening, closing := "", ""
	switch {
	case strings.HasPrefix(rest, "{"):
		opening, closing = "{", "}"
	case strings.HasPrefix(rest, "("):
		opening, closing = "(", ")"
	}
	rest = rest[len(opening):]
	end := nameLength(rest)
	name := rest[:end]
	if name == "" || !strings.HasPrefix(rest[end:], closing) {
		s.failed = true
		return ""
	}
	s.at += len(opening) + end + len(closing)
	text, known := s.set[name]
	if (!known || opening == "(") && s.value != nil {
		text, known = s.value(name)
	}
	if !known || s.expanded+len(text) > maxScriptLength {
		// For a value that is unknown or too long, a reference in Kubernetes' notation stays, which is neither a valid port
		// nor a base URL.
		return "$(" + name + ")"
	}
	s.expanded += len(text)
	return text
}

// isAssignment reports whether a word begins with a variable's name and "=". A regular expression would take half a megabyte
// of memory for a word of 8 KiB.
func isAssignment(word string) bool {
	name := nameLength(word)
	return name > 0 && strings.HasPrefix(word[name:], "=")
}

// nameLength returns the length of the variable's name at the beginning of a text; 0 if there is none.
func nameLength(text string) (n int) {
	for n < len(text) && inName(text[n], n) {
		n++
	}
	return n
}

// inName reports whether a variable's name can have the character c at this index.
func inName(c byte, at int) bool {
	letter := 'a' <= c|0x20 && c|0x20 <= 'z'
	return c == '_' || letter || at > 0 && '0' <= c && c <= '9'
}

func (s *splitter) endWord() {
	if s.inWord && !s.skips {
		s.words = append(s.words, s.word.String())
	}
	if s.inWord {
		s.skips = false
	}
	s.word.Reset()
	s.inWord, s.assigning = false, false
}

func (s *splitter) endCommand() {
	s.endWord()
	s.skips = false
	if len(s.words) > 0 {
		s.commands = append(s.commands, s.words)
		for _, assignment := range assignments(s.words) {
			name, value, _ := strings.Cut(assignment, "=")
			if s.set == nil {
				s.set = map[string]string{}
			}
			s.set[name] = value
		}
	}
	s.words = nil
}
