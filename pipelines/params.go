package pipelines

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// reference is ${param} or ${env:NAME} within a value.
var reference = regexp.MustCompile(`\$\{(env:)?([^{}]*)\}`)

// reader reads one pipeline file and collects all that is wrong with it.
type reader struct {
	file     string
	known    []Type
	params   map[string]string
	shown    map[string]string // params as others may see them
	fromEnv  map[string]bool   // parameters whose value came from the environment: never shown
	problems Problems
}

func (r *reader) bad(at ast.Node, step, nearest, format string, args ...any) {
	line, column := place(at)
	r.problems = append(r.problems, Problem{r.file, line, column, step, fmt.Sprintf(format, args...), nearest})
}

// readParams takes the file's parameters, then those set from outside, which must be known to the file.
func (r *reader) readParams(n ast.Node, set map[string]string) {
	r.params, r.shown, r.fromEnv = map[string]string{}, map[string]string{}, map[string]bool{}
	list, ok := entries(n)
	if !ok && !empty(n) {
		r.bad(n, "pipeline", "", "params: wants a mapping of names to values, has %s", has(n))
	}
	for _, e := range list {
		if _, double := r.params[e.key]; double {
			r.bad(e.at, "pipeline", "", "duplicate parameter %q", e.key)
		}
		if v, given := set[e.key]; given {
			r.params[e.key], r.shown[e.key] = v, v
			continue
		}
		s, ok := r.scalar(e.value, "pipeline")
		if !ok {
			r.bad(e.value, "pipeline", "", "params: %s: wants one value, has %s", e.key, has(e.value))
		}
		r.params[e.key], r.fromEnv[e.key] = s.text, s.hidden
		r.shown[e.key] = s.shown()
	}
	for _, k := range slices.Sorted(maps.Keys(set)) {
		if _, ok := r.params[k]; !ok {
			names := slices.Sorted(maps.Keys(r.params))
			r.problems = append(r.problems, Problem{File: r.file, Step: "--set", Message: fmt.Sprintf("unknown parameter %q", k), Nearest: Nearest(k, names)})
		}
	}
}

// scalar is one value with its parameters filled in.
type scalar struct {
	text   string
	filled bool   // it held a reference, so that the field it is for decides its type
	hidden bool   // part of it came from the environment
	raw    string // as written
}

// shown is the value as a message may show it.
func (s scalar) shown() string {
	if s.hidden {
		return s.raw
	}
	return s.text
}

// scalar reads a single value; ok is false for a list, a mapping and what pipeline files do not know.
func (r *reader) scalar(n ast.Node, step string) (s scalar, ok bool) {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return s, true
	case *ast.StringNode:
		s.raw = n.Value
	case *ast.LiteralNode:
		s.raw = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		s.raw = n.GetToken().Value
	default:
		return s, false
	}
	s.filled = reference.MatchString(s.raw)
	s.text = reference.ReplaceAllStringFunc(s.raw, func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		v, hidden := r.resolve(n, step, m[2], m[1] != "")
		s.hidden = s.hidden || hidden
		return v
	})
	return s, true
}

// peek is scalar without its complaints.
func (r *reader) peek(n ast.Node) (scalar, bool) {
	quiet := *r
	quiet.problems = nil
	return quiet.scalar(n, "")
}

// resolve gives the value that a reference stands for.
func (r *reader) resolve(at ast.Node, step, name string, env bool) (value string, hidden bool) {
	if env {
		v, ok := os.LookupEnv(name)
		if !ok {
			r.bad(at, step, "", "environment variable %q is not set", name)
		}
		return v, true
	}
	v, ok := r.params[name]
	if !ok {
		names := slices.Sorted(maps.Keys(r.params))
		r.bad(at, step, Nearest(name, names), "unknown parameter %q", name)
	}
	return v, r.fromEnv[name]
}

// unclosed finds the "${" of a reference that does not end.
func unclosed(s string) bool { return strings.Contains(reference.ReplaceAllString(s, ""), "${") }
