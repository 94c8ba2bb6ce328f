package pipelines

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a pipeline file.
type Problem struct {
	File         string
	Line, Column int    // from 1; 0 where the file as a whole, or a setting from outside it, is wrong
	Step         string // the step's name, or "pipeline" outside of any
	Message      string
	Nearest      string // a known name like the one that was given, or ""
}

// Error is FILE:LINE:COLUMN: STEP: message (did you mean "..."?).
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	fmt.Fprintf(&b, ": %s: %s", p.Step, p.Message)
	if p.Nearest != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", p.Nearest)
	}
	return b.String()
}

// Problems are all that is wrong with a pipeline file, in the order of its lines.
type Problems []Problem

// Error has one line a problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// err sorts the problems by position; nil where there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(ps)
}

// Nearest is the known name most like the given one, or "" where none is near: at most a third of the letters may be
// added, dropped, changed or swapped with their neighbour (optimal string alignment), and always one.
func Nearest(given string, known []string) string {
	best, least := "", max(1, len([]rune(given))/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(given), strings.ToLower(k)); d < least && k != given && given != "" {
			best, least = k, d
		}
	}
	return best
}

// distance counts insertions, deletions, changes and swaps of neighbours that make a into b.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			change := last[j-1]
			if x[i-1] != y[j-1] {
				change++
			}
			row[j] = min(last[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
