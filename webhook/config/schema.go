package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// keys returns the keys of a struct's type, in the order of its fields.
func keys(t reflect.Type) []string {
	var all []string
	for f := range t.Fields() {
		all = append(all, keyOf(f))
	}
	return all
}

func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return key
}

func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for f, member := range v.Fields() {
		if keyOf(f) == key {
			return member, true
		}
	}
	return reflect.Value{}, false
}

// hint returns a hint for an unknown key, the first that applies: the new name of a renamed key; a known key with a
// similar name; the paths of the same key elsewhere, because the indentation can be wrong; a list of the known keys.
func hint(key string, t reflect.Type) string {
	if now, ok := renamed[key]; ok && slices.Contains(keys(t), now.key) {
		return now.hint
	}
	if len(key) <= 40 {
		if near := nearest(key, keys(t)); near != "" {
			return fmt.Sprintf("did you mean %s?", near)
		}
		if elsewhere := pathsOf(key, reflect.TypeFor[Config](), ""); len(elsewhere) > 0 {
			return fmt.Sprintf("did you mean %s?", strings.Join(elsewhere, " or "))
		}
	}
	return "the keys here are " + strings.Join(keys(t), ", ")
}

// renamed are keys of earlier releases, with the keys that replaced them.
var renamed = map[string]struct{ key, hint string }{
	"readOnly": {"directories", "it is directories now: the same list, each element with access: ReadOnly"},
	"homes":    {"home", "it is home now, a pattern: where homes was home, write home: home/{user}"},
	"domain":   {"domains", "it is domains now, a list: where domain was example.org, write domains: [example.org]"},
	"way":      {"discovery", "it is discovery now, with the same values"},

	"refusedGIDs": {"deniedGIDs", "it is deniedGIDs now, with the same values"},
}

// pathsOf returns the paths of the fields with this key, except those in lists.
func pathsOf(key string, t reflect.Type, path string) []string {
	var paths []string
	for f := range t.Fields() {
		if keyOf(f) == key {
			paths = append(paths, path+key)
		}
		if f.Type.Kind() == reflect.Struct && f.Type != quantityType {
			paths = append(paths, pathsOf(key, f.Type, path+keyOf(f)+".")...)
		}
	}
	return paths
}

// nearest returns the known key with the smallest edit distance. The distance must be at most two, and at most a third of
// the length of the known key; otherwise nearest returns "".
func nearest(key string, known []string) string {
	best, lowest := "", 3
	for _, k := range known {
		if d := distance(folded(key), folded(k)); d < lowest && 3*d <= len(k) {
			best, lowest = k, d
		}
	}
	return best
}

func folded(key string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(key))
}

// distance returns the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := slices.Clone(row)
		next[0] = i + 1
		for j := range len(b) {
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j])
			if a[i] != b[j] {
				next[j+1] = min(row[j+1], next[j], row[j]) + 1
			}
		}
		row = next
	}
	return row[len(b)]
}
