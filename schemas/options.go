package schemas

import (
	"fmt"
	"strings"
)

// FieldError is one setting that cannot work. An Options.Validate returns several by errors.Join; the loader of pipeline
// files finds the line and column by Field.
type FieldError struct {
	Field string // the YAML key; nested keys joined by dots, as in columns.study
	Value any    // what was given
	Bound string // what is allowed: "1 to 4096", "one of rules, llm"
}

func (e FieldError) Error() string {
	if s, ok := e.Value.(string); ok {
		return fmt.Sprintf("%s: %q: %s", e.Field, s, e.Bound)
	}
	return fmt.Sprintf("%s: %v: %s", e.Field, e.Value, e.Bound)
}

// Known are the names that a bound of the form "one of a, b, c" lists; nil for any other bound.
func (e FieldError) Known() []string {
	list, ok := strings.CutPrefix(e.Bound, "one of ")
	if !ok {
		return nil
	}
	return strings.Split(list, ", ")
}
