package evaluate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/result"
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
	Seed      uint64 `yaml:"seed"`      // of the resamples; default 0
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
	Seed      uint64 `yaml:"seed"`      // of the resamples; default 0
	Primary   bool   `yaml:"primary"`   // its macro AUC, or recall@10, is the primary endpoint of the run; of one step at most

	Engine string `yaml:"engine" json:",omitempty"` // that runs the model: gorgonia, on the CPU, or xla, by a PJRT plugin on a GPU; default gorgonia
}

// Validate names every setting that cannot work.
func (o ModelOptions) Validate() error {
	var errs []error
	if !slices.Contains([]string{"", "train", "valid", "test"}, o.Split) {
		errs = append(errs, schemas.FieldError{Field: "split", Value: o.Split, Bound: "one of train, valid, test"})
	}
	if !slices.Contains([]string{"", "gorgonia", "xla"}, o.Engine) {
		errs = append(errs, schemas.FieldError{Field: "engine", Value: o.Engine, Bound: "one of gorgonia, xla"})
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

// Protocols of scores, by the names of `silverbeam evaluate scores`; their figures stand beside the clean ones. Dot is the other
// likeness.
const (
	CTCLIPProtocol   = "ctclip-zeroshot"
	FVLMProtocol     = "fvlm"
	RadChestProtocol = "radchestct-16"
	Dot              = "dot"
)

// RetrievalOptions is the config block of an evaluate.Retrieval step.
type RetrievalOptions struct {
	ModelOptions `yaml:",inline"`
	Likeness     string `yaml:"likeness"` // of a report and a volume: cosine, or dot, the product of projections as they are; default cosine
}

// Validate names every setting that cannot work.
func (o RetrievalOptions) Validate() error {
	return errors.Join(o.ModelOptions.Validate(), likeness(o.Likeness))
}

func likeness(v string) error {
	if !slices.Contains([]string{"", "cosine", Dot}, v) {
		return schemas.FieldError{Field: "likeness", Value: v, Bound: "one of cosine, dot"}
	}
	return nil
}

// ScoreOptions is the config block of an evaluate.Classifier step.
type ScoreOptions struct {
	ModelOptions `yaml:",inline"`
	Tune         string `yaml:"tune"`        // train, valid or test: the split on which each finding's threshold (Youden's) and calibration (Platt's) are fitted; default: none, present where the score is 0 or more
	Protocol     string `yaml:"protocol"`    // clean, or also a published one: ctclip-zeroshot, fvlm or radchestct-16, which judges RAD-ChestCT's 16 findings; default clean
	Reviewed     string `yaml:"reviewed"`    // what people say of some studies or volumes, a sheet as of label sample or a file like truth: prevalence and AUC are also corrected by it for the mistakes of the labels
	Groups       string `yaml:"groups"`      // a CSV of studies or volumes with DICOM's Manufacturer, ManufacturerModelName, ConvolutionKernel, PatientSex or PatientAge as columns: figures are also told by them; default, in layout ct-rate, its own table
	Exploratory  bool   `yaml:"exploratory"` // allow tune on the split that is judged; every figure is then marked as exploratory
}

// Validate names every setting that cannot work.
func (o ScoreOptions) Validate() error {
	err := o.ModelOptions.Validate()
	if !slices.Contains([]string{"", "clean", CTCLIPProtocol, FVLMProtocol, RadChestProtocol}, o.Protocol) {
		err = errors.Join(err, schemas.FieldError{Field: "protocol", Value: o.Protocol, Bound: "one of clean, ctclip-zeroshot, fvlm, radchestct-16"})
	}
	switch {
	case !slices.Contains([]string{"", "train", "valid", "test"}, o.Tune):
		err = errors.Join(err, schemas.FieldError{Field: "tune", Value: o.Tune, Bound: "one of train, valid, test"})
	case o.Tune == cmp.Or(o.Split, "valid") && !o.Exploratory:
		err = errors.Join(err, schemas.FieldError{Field: "tune", Value: o.Tune, Bound: "another split than the one that is judged; with exploratory: true it may be the same, and every figure is marked"})
	}
	return err
}

// judged are the findings that a step judges in a run of these, and the findings whose scores they take.
func (o ScoreOptions) judged(own []string) (all []metrics.MappedFinding) {
	if o.Protocol == RadChestProtocol {
		return radChest
	}
	for _, name := range own {
		all = append(all, metrics.MappedFinding{Name: name, Scores: []string{name}})
	}
	return all
}

// Ready reads the truth and the reviewed sample, if there are any.
func (o ScoreOptions) Ready(findings []string) error {
	judged := names(o.judged(findings))
	err := o.ModelOptions.Ready(judged)
	if o.Reviewed != "" {
		_, rerr := readReviewed(o.Reviewed, judged)
		err = errors.Join(err, rerr)
	}
	if o.Groups != "" {
		if _, gerr := readGroups(o.Groups); gerr != nil {
			err = errors.Join(err, fmt.Errorf("%w: groups: %w", ErrTruth, gerr))
		}
	}
	return err
}

// Grouped are the options with the source's own table of a split where they name none, and it can be read.
func (o ScoreOptions) Grouped(own func(split string) string) ScoreOptions {
	if o.Groups == "" {
		path := own(cmp.Or(o.Split, "valid"))
		if _, err := readGroups(path); err == nil {
			o.Groups = path
		}
	}
	return o
}

// Suits says what keeps the step from working with the run's findings.
func (o ScoreOptions) Suits(own *taxonomy.Taxonomy) error {
	for _, m := range o.judged(own.Names()) {
		if o.Truth == "" && own.Index(m.Name) < 0 {
			return schemas.FieldError{Field: "protocol", Value: o.Protocol, Bound: fmt.Sprintf("with truth, or in a run of findings: radchestct-16: this one has no %q", m.Name)}
		}
	}
	return nil
}

func names(all []metrics.MappedFinding) (out []string) {
	for _, m := range all {
		out = append(out, m.Name)
	}
	return out
}

// scored are the findings whose scores are taken, each once.
func scored(all []metrics.MappedFinding) (out []string) {
	for _, m := range all {
		for _, name := range m.Scores {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// ZeroShotOptions is the config block of an evaluate.ZeroShot step.
type ZeroShotOptions struct {
	ScoreOptions `yaml:",inline"`
	Prompts      []string `yaml:"prompts"`  // of each finding: mps-ct, ct-clip, fvlm, there-is, compatible-with, or a taxonomy file; scores by several are averaged; default, and by a shipped taxonomy's name, the findings' own
	Choose       bool     `yaml:"choose"`   // of several prompts ask only those with the highest macro AUC on the split tune; default: average
	Likeness     string   `yaml:"likeness"` // of a prompt and a volume: cosine, or dot, the product of projections as they are; default cosine
}

// Validate names every setting that cannot work.
func (o ZeroShotOptions) Validate() error {
	err := errors.Join(o.ScoreOptions.Validate(), likeness(o.Likeness))
	switch {
	case o.Choose && len(o.Prompts) < 2:
		err = errors.Join(err, schemas.FieldError{Field: "choose", Value: true, Bound: "of two prompts or more"})
	case o.Choose && o.Tune == "":
		err = errors.Join(err, schemas.FieldError{Field: "choose", Value: true, Bound: "with tune, the split on which prompts are chosen"})
	}
	for i, name := range o.Prompts {
		if slices.Contains(o.Prompts[:i], name) {
			err = errors.Join(err, schemas.FieldError{Field: "prompts", Value: name, Bound: "each once"})
		}
		if slices.Contains(taxonomy.PromptSets(), name) {
			continue
		}
		if _, perr := taxonomy.Load(name); perr != nil {
			err = errors.Join(err, schemas.FieldError{Field: "prompts", Value: name, Bound: strings.Join(taxonomy.PromptSets(), ", ") + ", or a taxonomy: " + perr.Error()})
		}
	}
	return err
}

// wording gives the prompts of the findings that are scored, set by set. A shipped taxonomy has prompts for its own findings
// alone, which the run has already: naming it changes nothing.
func (o ZeroShotOptions) wording(own *taxonomy.Taxonomy) (sets []result.PromptSet, err error) {
	for _, name := range o.sets(own) {
		set := result.PromptSet{Name: name, Prompts: map[string][2]string{}}
		t := own
		if !slices.Contains(taxonomy.PromptSets(), name) && name != own.Name && !slices.Contains(taxonomy.Shipped(), name) {
			if t, err = taxonomy.Load(name); err != nil {
				return nil, err
			}
		}
		var missing []string
		for _, finding := range scored(o.judged(own.Names())) {
			pair, ok := taxonomy.Prompts(name, finding)
			if !ok {
				pair, ok = pairOf(t, finding)
			}
			if !ok && t == own { // a protocol's finding that the run has not
				pair, ok = pairOf(standard(), finding)
			}
			if !ok {
				missing = append(missing, strconv.Quote(finding))
			}
			set.Prompts[finding] = pair
		}
		if missing != nil {
			return nil, schemas.FieldError{Field: "prompts", Value: name, Bound: "it has no " + strings.Join(missing, ", ") + ", findings of this run"}
		}
		sets = append(sets, set)
	}
	return sets, nil
}

// sets are the names of the prompts; the findings' own where none are named.
func (o ZeroShotOptions) sets(own *taxonomy.Taxonomy) []string {
	if len(o.Prompts) == 0 {
		return []string{own.Name}
	}
	return o.Prompts
}

func pairOf(t *taxonomy.Taxonomy, finding string) (pair [2]string, ok bool) {
	i := t.Index(finding)
	if i < 0 {
		return pair, false
	}
	return [2]string{t.Findings[i].Positive, t.Findings[i].Negative}, true
}

func standard() *taxonomy.Taxonomy {
	t, err := taxonomy.Load(taxonomy.Default)
	if err != nil {
		panic("evaluate: " + err.Error()) // it is embedded
	}
	return t
}

// Suits says what keeps the step from working with the run's findings.
func (o ZeroShotOptions) Suits(own *taxonomy.Taxonomy) error {
	if err := o.ScoreOptions.Suits(own); err != nil {
		return err
	}
	_, err := o.wording(own)
	return err
}

func bootstrap(n int) error {
	if n < 0 || n > 100_000 {
		return schemas.FieldError{Field: "bootstrap", Value: n, Bound: "1 to 100000"}
	}
	return nil
}
