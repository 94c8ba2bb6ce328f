package evaluate

import (
	"errors"
	"slices"

	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
)

// The types of the evaluation steps.
const (
	LabelsName     = "evaluate.Labels"
	ClassifierName = "evaluate.Classifier"
	ZeroShotName   = "evaluate.ZeroShot"
	RetrievalName  = "evaluate.Retrieval"
)

// LabelsOptions is the config block of an evaluate.Labels step.
type LabelsOptions struct {
	Truth     string `yaml:"truth"`     // truth.jsonl of a phantom, or a label table with the findings' columns; needed
	Bootstrap int    `yaml:"bootstrap"` // resamples of patients for an interval; default 1000
	Seed      uint64 `yaml:"seed"`      // of the resamples; default 1
}

// Validate names every setting that cannot work.
func (o LabelsOptions) Validate() error {
	var errs []error
	if o.Truth == "" {
		errs = append(errs, schemas.FieldError{Field: "truth", Value: "", Bound: "a file"})
	}
	return errors.Join(append(errs, bootstrap(o.Bootstrap))...)
}

// ModelOptions is the config block of the steps that evaluate a model on one split.
type ModelOptions struct {
	Split     string `yaml:"split"`     // train, valid or test; default valid
	Truth     string `yaml:"truth"`     // as in evaluate.Labels; default: the data set's own labels, with unknowns left out
	Bootstrap int    `yaml:"bootstrap"` // resamples of patients for an interval; default 1000
	Seed      uint64 `yaml:"seed"`      // of the resamples; default 1
}

// Validate names every setting that cannot work.
func (o ModelOptions) Validate() error {
	var errs []error
	if !slices.Contains([]string{"", "train", "valid", "test"}, o.Split) {
		errs = append(errs, schemas.FieldError{Field: "split", Value: o.Split, Bound: "one of train, valid, test"})
	}
	return errors.Join(append(errs, bootstrap(o.Bootstrap))...)
}

// ZeroShotOptions is the config block of an evaluate.ZeroShot step.
type ZeroShotOptions struct {
	ModelOptions `yaml:",inline"`
	Prompts      string `yaml:"prompts"` // taxonomy whose prompts are asked, by name or file; default the run's findings
}

// Validate names every setting that cannot work.
func (o ZeroShotOptions) Validate() error {
	err := o.ModelOptions.Validate()
	if o.Prompts != "" {
		if _, perr := taxonomy.Load(o.Prompts); perr != nil {
			err = errors.Join(err, schemas.FieldError{Field: "prompts", Value: o.Prompts, Bound: perr.Error()})
		}
	}
	return err
}

func bootstrap(n int) error {
	if n < 0 || n > 100_000 {
		return schemas.FieldError{Field: "bootstrap", Value: n, Bound: "1 to 100000"}
	}
	return nil
}
