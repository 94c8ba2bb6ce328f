// Package taxonomy says which findings a run asks about and what an answer is.
//
// A taxonomy is one YAML file. From it come the output columns, the instructions and schema of a language model, a first
// set of rules, zero-shot prompts and evaluation columns. Its order is the column order everywhere.
package taxonomy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// State is what a report says about one finding. The codes are those of the label files (1, 0, -1, empty).
type State int8

const (
	Present      State = 1
	Absent       State = 0
	Uncertain    State = -1
	NotMentioned State = -2 // written as an empty cell
)

// String is the state in words, for traces.
func (s State) String() string {
	switch s {
	case Present:
		return "present"
	case Absent:
		return "absent"
	case Uncertain:
		return "uncertain"
	case NotMentioned:
		return "not mentioned"
	}
	return fmt.Sprintf("State(%d)", int8(s))
}

// Label is one answer for one finding of one report.
type Label struct {
	State  State
	P      float32 // probability that the finding is present, in [0, 1]
	From   int     // first byte of the evidence in the report text
	To     int     // byte after the evidence; From == To: there is none
	Source string  // rule id, "llm:MODEL" or "given"
}

// Binary reduces a label to 1 or 0 by a policy for the uncertain ones: "one" (also ""), "zero" or "missing".
// Not mentioned is 0 by every policy. known is false only for an uncertain label under "missing", and for an unknown
// state or policy.
func Binary(l Label, uncertain string) (v int8, known bool) {
	switch l.State {
	case Present:
		return 1, true
	case Absent, NotMentioned:
		return 0, true
	case Uncertain:
		switch uncertain {
		case "one", "":
			return 1, true
		case "zero":
			return 0, true
		}
	}
	return 0, false
}

// NotAssessable is the error for a text that is not this taxonomy's business: a reject, not a row of silent negatives.
type NotAssessable struct {
	Class  string // one word for counters: "empty", "truncated", ...
	Reason string // for people; never holds report text
}

func (e NotAssessable) Error() string { return "not assessable: " + e.Class + ": " + e.Reason }

// Finding is one column of a taxonomy. Only its name is required; Load fills in what is left out.
type Finding struct {
	Name       string   `yaml:"finding" json:"finding"`                           // the column name
	Definition string   `yaml:"definition" json:"definition"`                     // what counts, in a sentence or two
	Organ      string   `yaml:"organ,omitempty" json:"organ,omitempty"`           // where it lives, in lower case; may be empty
	Positive   string   `yaml:"positive" json:"positive"`                         // zero-shot prompt; "{finding}" stands for the name
	Negative   string   `yaml:"negative" json:"negative"`                         // its opposite
	Synonyms   []string `yaml:"synonyms,omitempty" json:"synonyms,omitempty"`     // other words for it
	Exclusions []string `yaml:"exclusions,omitempty" json:"exclusions,omitempty"` // phrases that look like it and are not
	Implies    []string `yaml:"implies,omitempty" json:"implies,omitempty"`       // findings that are present whenever this one is
}

// Taxonomy is an ordered list of findings. Treat it as read-only once loaded.
type Taxonomy struct {
	Name     string    `yaml:"name" json:"name"`
	Findings []Finding `yaml:"findings" json:"findings"`
}

// Names lists the findings in column order. The caller owns the slice.
func (t *Taxonomy) Names() []string {
	names := make([]string, len(t.Findings))
	for i, f := range t.Findings {
		names[i] = f.Name
	}
	return names
}

// Index is the position of a finding by its exact name, or -1.
func (t *Taxonomy) Index(name string) int {
	for i, f := range t.Findings {
		if f.Name == name {
			return i
		}
	}
	return -1
}

// Digest is the hex SHA-256 of the content (name, findings, every field), whatever the file's layout or comments.
func (t *Taxonomy) Digest() string {
	canonical, err := json.Marshal(t)
	if err != nil {
		panic("taxonomy: " + err.Error()) // strings and slices of strings always marshal
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}
