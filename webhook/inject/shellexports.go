package inject

import (
	"slices"
	"strings"
)

// This file finds the last command of a shell script, with the variables that this command gets from the script.

// keywords are the words that begin a compound command, or a command that changes how other commands run.
var keywords = []string{"if", "for", "while", "until", "case", "{", "[[", "function", "select", "time", "!", "eval", "trap"}

// lastCommand returns the command with which a script ends: the first command that begins with exec, or else the last
// command. The variables that this command gets from the script, as in "export A=1", are prepended to argv, as in
// "A=1 jupyter lab". ok is false if the script cannot be read.
func lastCommand(script string, value func(name string) (string, bool)) (argv []string, ok bool) {
	commands, ok := splitShell(script, value, true)
	if !ok {
		return nil, false
	}
	exports := exports{known: value}
	var before []string
	for _, words := range commands {
		bare := slices.DeleteFunc(slices.Clone(words), isAssignment)
		if len(bare) > 0 {
			argv, before = words, exports.assignments
			if bare[0] == "exec" && len(bare) > 1 {
				break
			}
			if slices.Contains(keywords, bare[0]) {
				return nil, false
			}
		}
		exports.run(words, bare)
	}
	return slices.Concat(before, argv), len(argv) > 0
}

// exports are the variables that a script has set and exported so far.
type exports struct {
	// known returns the value of a variable of the container, and whether this value is known. The shell exports all variables
	// of the container. The parameter is nil if no variable of the container is known.
	known func(name string) (string, bool)
	// assignments have the form A=1, in the order in which the script makes them.
	assignments []string
	// set are the values of all variables of the script, exported or not.
	set map[string]string
	// marked are the names that the script exports, with a value or without.
	marked map[string]bool
	// all reports whether the script exports all that it sets from now on.
	all bool
}

// run adds the variables that a command exports. bare are the words of the command that are no assignments.
func (e *exports) run(words, bare []string) {
	if e.set == nil {
		e.set, e.marked = map[string]string{}, map[string]bool{}
	}
	marks := len(bare) > 0 && (bare[0] == "export" || isDeclaration(bare[0]) && hasOption(bare, 'x'))
	e.all = e.all || len(bare) > 0 && bare[0] == "set" && (hasOption(bare, 'a') || slices.Contains(bare, "allexport"))
	for _, assignment := range assignments(words) {
		name, value, _ := strings.Cut(assignment, "=")
		e.set[name] = value
		e.marked[name] = e.marked[name] || marks || e.all
		if e.marked[name] || e.isOfContainer(name) {
			e.assignments = append(e.assignments, assignment)
		}
	}
	if !marks {
		return
	}
	for _, name := range bare[1:] {
		if value, ok := e.set[name]; ok && !e.marked[name] {
			e.assignments = append(e.assignments, name+"="+value)
		}
		e.marked[name] = true
	}
}

func (e *exports) isOfContainer(name string) bool {
	if e.known == nil {
		return false
	}
	_, known := e.known(name)
	return known
}

// isDeclaration reports whether a program is one of bash's commands that declare a variable.
func isDeclaration(program string) bool { return program == "declare" || program == "typeset" }

// hasOption reports whether a command has an option with this letter, alone or joined with others, as in -ex.
func hasOption(words []string, letter byte) bool {
	return slices.ContainsFunc(words[1:], func(word string) bool {
		return strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--") && strings.IndexByte(word, letter) > 0
	})
}

// assignments returns the variables that a command, such as "A=1" or "export A=1", sets for the rest of the script.
func assignments(words []string) []string {
	isOther := func(word string) bool { return !isAssignment(word) }
	if words[0] != "export" && !isDeclaration(words[0]) && slices.ContainsFunc(words, isOther) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(words), isOther)
}
