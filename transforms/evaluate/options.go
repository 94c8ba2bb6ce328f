package evaluate

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

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

// Ready reads the truth, so that a bad one ends a run before it has spent anything.
func (o LabelsOptions) Ready(findings []string) error {
	_, err := readTruth(o.Truth, findings, true)
	return err
}

// ModelOptions is what the steps that evaluate a model on one split have in common.
type ModelOptions struct {
	Split     string `yaml:"split"`     // train, valid or test; default valid
	Truth     string `yaml:"truth"`     // as in evaluate.Labels; default: the data set's own labels, with unknowns left out
	Bootstrap int    `yaml:"bootstrap"` // resamples of patients for an interval; default 1000
	Seed      uint64 `yaml:"seed"`      // of the resamples; default 1
	Primary   bool   `yaml:"primary"`   // its macro AUC, or recall@10, is the primary endpoint of the run; of one step at most
}

// Validate names every setting that cannot work.
func (o ModelOptions) Validate() error {
	var errs []error
	if !slices.Contains([]string{"", "train", "valid", "test"}, o.Split) {
		errs = append(errs, schemas.FieldError{Field: "split", Value: o.Split, Bound: "one of train, valid, test"})
	}
	return errors.Join(append(errs, bootstrap(o.Bootstrap))...)
}

// Ready reads the truth, if there is one.
func (o ModelOptions) Ready(findings []string) error {
	if o.Truth == "" {
		return nil
	}
	_, err := readTruth(o.Truth, findings, false)
	return err
}

// IsPrimary says whether the step has the run's primary endpoint.
func (o ModelOptions) IsPrimary() bool { return o.Primary }

// RetrievalOptions is the config block of an evaluate.Retrieval step.
type RetrievalOptions struct {
	ModelOptions `yaml:",inline"`
}

// ScoreOptions is the config block of an evaluate.Classifier step.
type ScoreOptions struct {
	ModelOptions `yaml:",inline"`
	Tune         string `yaml:"tune"`        // train, valid or test: the split on which each finding's threshold (Youden's) and calibration (Platt's) are fitted; default: none, present where the score is 0 or more
	Exploratory  bool   `yaml:"exploratory"` // allow tune on the split that is judged; every figure is then marked as exploratory
}

// Validate names every setting that cannot work.
func (o ScoreOptions) Validate() error {
	err := o.ModelOptions.Validate()
	switch {
	case !slices.Contains([]string{"", "train", "valid", "test"}, o.Tune):
		err = errors.Join(err, schemas.FieldError{Field: "tune", Value: o.Tune, Bound: "one of train, valid, test"})
	case o.Tune == cmp.Or(o.Split, "valid") && !o.Exploratory:
		err = errors.Join(err, schemas.FieldError{Field: "tune", Value: o.Tune, Bound: "another split than the one that is judged; with exploratory: true it may be the same, and every figure is marked"})
	}
	return err
}

// ZeroShotOptions is the config block of an evaluate.ZeroShot step.
type ZeroShotOptions struct {
	ScoreOptions `yaml:",inline"`
	Prompts      string `yaml:"prompts"` // taxonomy file with other prompts for the run's findings; default, and by a shipped name, their own
}

// Validate names every setting that cannot work.
func (o ZeroShotOptions) Validate() error {
	err := o.ScoreOptions.Validate()
	if o.Prompts != "" {
		if _, perr := taxonomy.Load(o.Prompts); perr != nil {
			err = errors.Join(err, schemas.FieldError{Field: "prompts", Value: o.Prompts, Bound: perr.Error()})
		}
	}
	return err
}

// wording is the taxonomy whose prompts are asked for the run's findings. One that ships has prompts for its own findings
// alone, which the run has already: naming it changes nothing.
func (o ZeroShotOptions) wording(own *taxonomy.Taxonomy) (*taxonomy.Taxonomy, error) {
	if o.Prompts == "" || slices.Contains(taxonomy.Shipped(), o.Prompts) {
		return own, nil
	}
	t, err := taxonomy.Load(o.Prompts)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, name := range own.Names() {
		if t.Index(name) < 0 {
			missing = append(missing, strconv.Quote(name))
		}
	}
	if missing != nil {
		return nil, schemas.FieldError{Field: "prompts", Value: o.Prompts, Bound: "it has no " + strings.Join(missing, ", ") + ", findings of this run"}
	}
	return t, nil
}

// Suits says what keeps the step from working with the run's findings.
func (o ZeroShotOptions) Suits(own *taxonomy.Taxonomy) error {
	_, err := o.wording(own)
	return err
}

func bootstrap(n int) error {
	if n < 0 || n > 100_000 {
		return schemas.FieldError{Field: "bootstrap", Value: n, Bound: "1 to 100000"}
	}
	return nil
}
