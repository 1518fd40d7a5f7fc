package inject

import (
	"path"
	"slices"
	"strings"
)

// This file finds the main command of a shell script, with the variables and the directory that this command gets from the
// script.

// keywords are the words that begin a compound command, or a command that changes how other commands run.
var keywords = []string{"if", "for", "while", "until", "case", "{", "[[", "function", "select", "time", "!", "eval", "trap"}

// mainCommand returns the command that a script is for: the first one that begins with exec or starts a Jupyter server, which
// runs until the Pod ends, or else the last command. The variables that this command gets from the script, as in
// "export A=1", are prepended to argv, as in "A=1 jupyter lab". dir is the directory to which the script changes before; empty
// if it does not, or if the directory is relative. ok is false if the script cannot be read, or if a test in
// it decides whether this command or a later one runs.
func mainCommand(script string, value func(name string) (string, bool)) (argv []string, dir string, ok bool) {
	commands, ok := splitShell(script, value, true)
	if !ok {
		return nil, "", false
	}
	e := exports{known: value, set: map[string]string{}, marked: map[string]bool{}}
	var before []string
	tested := false // whether a test has run, on which a later command can depend
	for i, words := range commands {
		bare := slices.DeleteFunc(slices.Clone(words), isAssignment)
		if len(bare) > 0 {
			argv, before = words, e.assignments
			if bare[0] == "exec" && len(bare) > 1 || startsServer(bare) {
				if tested && i < len(commands)-1 {
					return nil, "", false
				}
				break
			}
			tested = tested || bare[0] == "[" || bare[0] == "test"
			if slices.Contains(keywords, bare[0]) {
				return nil, "", false
			}
			if bare[0] == "cd" && len(bare) > 1 {
				if dir = bare[len(bare)-1]; !strings.HasPrefix(dir, "/") {
					dir = ""
				}
			}
		}
		if !e.read(words, bare) {
			return nil, "", false
		}
	}
	return slices.Concat(before, argv), dir, len(argv) > 0
}

// startsServer reports whether a command, without its assignments, starts a Jupyter server. A script inside the command is
// not read, so that scripts in scripts are read once.
func startsServer(argv []string) bool {
	for range maxLaunchers {
		if len(argv) == 0 {
			return false
		}
		name, rest := path.Base(argv[0]), argv[1:]
		l, launches := launchers[name]
		if !launches {
			return kindOfProgram(name, rest) == runsJupyter
		}
		argv = l.skip(rest)
	}
	return false
}

// exports are the variables that a script has set and exported so far.
type exports struct {
	// known returns the value of a variable of the container, and whether this value is known. The shell exports all variables
	// of the container. The field is nil if no variable of the container is known.
	known func(name string) (string, bool)
	// assignments have the form A=1. If a variable is there twice, the last one counts.
	assignments []string
	// set are the values of all variables of the script, exported or not.
	set map[string]string
	// marked are the names that the script exports, with a value or without.
	marked map[string]bool
	// all reports whether the script exports all that it sets from now on.
	all bool
}

// read reads a command that sets or exports variables. bare are the words of the command that are no assignments. read returns
// false for a command that ends an export: export -n, declare +x, set +a, or unset of an exported variable. The caller then
// gives the script up.
func (e *exports) read(words, bare []string) bool {
	marks := false
	if len(bare) > 0 {
		on, off := options(bare)
		switch bare[0] {
		case "export":
			if strings.Contains(on, "n") {
				return false
			}
			marks = true
		case "declare", "typeset":
			if strings.Contains(off, "x") {
				return false
			}
			marks = strings.Contains(on, "x")
		case "set":
			if strings.Contains(off, "a") {
				return false
			}
			e.all = e.all || strings.Contains(on, "a")
		case "unset":
			if slices.ContainsFunc(bare[1:], e.isExported) {
				return false
			}
		}
	}
	for _, assignment := range assignments(words) {
		name, value, _ := strings.Cut(assignment, "=")
		e.set[name] = value
		e.marked[name] = e.marked[name] || marks || e.all
		if e.isExported(name) {
			e.assignments = append(e.assignments, assignment)
		}
	}
	if marks {
		e.mark(bare[1:])
	}
	return true
}

// mark exports variables that the script has set before or sets later. Each name is added once, so that a script which repeats a
// name costs nothing.
func (e *exports) mark(names []string) {
	for _, name := range names {
		if value, ok := e.set[name]; ok && !e.marked[name] {
			e.assignments = append(e.assignments, name+"="+value)
		}
		e.marked[name] = true
	}
}

// isExported reports whether the script exports a variable, or the container has it with a known value.
func (e *exports) isExported(name string) bool {
	if e.marked[name] || e.known == nil {
		return e.marked[name]
	}
	_, known := e.known(name)
	return known
}

// options returns the letters of a command's options: those that a "-" turns on, and those that a "+" turns off. The options
// end at the first word that is none. The long option allexport, as in "-o allexport", has the letter a.
func options(words []string) (on, off string) {
	for i := 1; i < len(words); i++ {
		word := words[i]
		if word == "--" || len(word) < 2 || word[0] != '-' && word[0] != '+' {
			break
		}
		letters := word[1:]
		if strings.HasSuffix(letters, "o") && i+1 < len(words) {
			i++
			if words[i] == "allexport" {
				letters += "a"
			}
		}
		if word[0] == '-' {
			on += letters
		} else {
			off += letters
		}
	}
	return on, off
}

// assignments returns the variables that a command, such as "A=1" or "export A=1", sets for the rest of the script.
func assignments(words []string) []string {
	isOther := func(word string) bool { return !isAssignment(word) }
	sets := []string{"export", "declare", "typeset", "readonly"}
	if !slices.Contains(sets, words[0]) && slices.ContainsFunc(words, isOther) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(words), isOther)
}
