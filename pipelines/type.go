package pipelines

import "slices"

// Options is the config block of a step, a pointer to the struct of its transform.
type Options interface {
	// Validate names every setting that cannot work, as schemas.FieldErrors joined; it opens no connection.
	Validate() error
}

// Kind is what flows from one step to the next.
type Kind string

// The kinds. Two may be the same record, and yet one is no input for what takes the other.
const (
	Nothing Kind = ""
	Batches Kind = "batches"     // schemas.Batch: studies, with labels once label.Reports has seen them
	Table   Kind = "label table" // schemas.Shard: the labels alone
	Shards  Kind = "data set"    // schemas.Shard: the manifest of volumes and labels
	Weights Kind = "model"       // schemas.Model
	Figures Kind = "figures"     // schemas.Model: the result of an evaluation
	Page    Kind = "page"
	Run     Kind = "whole run" // taken by a step that reads whatever the run has made by then
)

// Type is one kind of step. Its name is the one name of the step everywhere: in YAML, as Go function, as Beam scope,
// counter namespace, error prefix and in rejects.
type Type struct {
	Type  string
	Takes []Kind // any one of them; empty for a source
	Gives Kind
	New   func() Options
	Names map[string]Kind // options that name an earlier step, and what that step must give
	Doc   string
}

// Find gives a row of the catalog, or nil.
func Find(known []Type, name string) *Type {
	if i := slices.IndexFunc(known, func(t Type) bool { return t.Type == name }); i >= 0 {
		return &known[i]
	}
	return nil
}

// accepts says whether t can follow a step that gives k.
func (t *Type) accepts(k Kind) bool {
	return slices.Contains(t.Takes, k) || slices.Contains(t.Takes, Run)
}
