// Package result holds the shapes of eval/*.json, which evaluation steps write and the page reads.
package result

import "silverbeam/pkg/metrics"

// Header opens every result of a model.
type Header struct {
	Step   string `json:"step"`
	Type   string `json:"type"`
	Model  string `json:"model"`  // the step that made it
	Split  string `json:"split"`  // evaluated on
	Labels string `json:"labels"` // what the findings are judged by: a truth file's name, or silver
	Inputs string `json:"inputs"` // digest of model, data and options: the same inputs are not evaluated again

	Escrow      string `json:"escrow"`                // digest of what was settled before the split was scored
	Exploratory string `json:"exploratory,omitempty"` // why its figures are no test; "": they are
	Primary     bool   `json:"primary,omitempty"`     // its macro AUC, or recall@10, is the run's primary endpoint
	Tuned       string `json:"tuned_on,omitempty"`    // the split on which thresholds and calibration were fitted
}

// Finding compares the labels of one finding with the truth.
type Finding struct {
	N        int `json:"n"`
	NPresent int `json:"n_pos"` // in truth
	metrics.Confusion
	metrics.Rates
	Interval *[2]float64 `json:"balanced_accuracy_ci"` // 95 %, patients resampled
}

// Labels is eval/NAME.json of an evaluate.Labels step: by split, "all" being every study.
type Labels struct {
	Step   string           `json:"step"`
	Type   string           `json:"type"`
	Truth  string           `json:"truth"`
	Splits map[string]Split `json:"splits"`
}

// Headline is the split whose figures stand first: held out, where there is one, else every study.
func (l Labels) Headline() string {
	for _, name := range []string{"test", "valid"} {
		if _, ok := l.Splits[name]; ok {
			return name
		}
	}
	return "all"
}

// Split holds the figures of one split.
type Split struct {
	Studies int                `json:"n_studies"`
	Labels  map[string]Finding `json:"labels"`
	Macro   metrics.Interval   `json:"macro_balanced_accuracy"`
	NLabels int                `json:"n_labels"`
}

// Scores is eval/NAME.json of a step that scores findings.
type Scores struct {
	Header
	Protocol    string                     `json:"protocol"`
	Chance      float64                    `json:"chance_auc"`
	Summary     *metrics.Summary           `json:"summary"`
	ROC         map[string][]metrics.Point `json:"roc"`
	Baseline    *metrics.Summary           `json:"baseline,omitempty"` // a logistic regression on each volume's HU histogram
	BaselineROC map[string][]metrics.Point `json:"baseline_roc,omitempty"`
	Prompts     []PromptSet                `json:"prompts,omitempty"` // those asked, and those that were not chosen
	// Published holds the figures by a published protocol's arithmetic: to compare with published numbers alone, since its
	// thresholds are chosen on the rows that they are judged by.
	Published   *metrics.PublishedSummary `json:"published,omitempty"`
	PublishedBy string                    `json:"published_protocol,omitempty"`
	Subgroups   []Subgroups               `json:"subgroups"`
	Reviewed    string                    `json:"reviewed,omitempty"` // the file of reviewed rows, by which Summary.Corrected was made
}

// FewPatients is what a part of the rows must have to have figures: those of a smaller one would be of single people.
const FewPatients = 10

// Subgroups are the figures of the parts of the rows, by one property of volumes or patients.
type Subgroups struct {
	Property string              `json:"property"`
	Parts    []metrics.PartScore `json:"parts"`     // those of too few patients have no figures
	NUnknown int                 `json:"n_unknown"` // rows of which it is not known
}

// PromptSet is how findings are asked.
type PromptSet struct {
	Name    string               `json:"name"`
	Prompts map[string][2]string `json:"prompts"`                   // finding → positive and negative
	Tuned   *float64             `json:"macro_auc_tuned,omitempty"` // on the split on which it was chosen, or not
	Asked   bool                 `json:"asked"`                     // its scores count; those of several are averaged
}

// Retrieval is eval/NAME.json of an evaluate.Retrieval step.
type Retrieval struct {
	Header
	Protocol  string                   `json:"protocol"`
	Reports   *metrics.StudyRecall     `json:"report_to_volume"`       // pool and queries counted in studies
	Whole     *metrics.StudyRecall     `json:"report_to_volume_whole"` // likewise, asked by the report's whole text
	Intervals map[int]metrics.Interval `json:"report_recall_intervals"`
	Volumes   *metrics.LabelRecall     `json:"volume_to_volume"`
	CTCLIP    *metrics.VolumeMap       `json:"ctclip_volume_map"`
	Paired    PairedRecall             `json:"ctclip_report_recall"`
	Gallery   []Query                  `json:"gallery"`
}

// PairedRecall is CT-CLIP's published recall: by dot product a report must find the very volume that it came with.
type PairedRecall struct {
	All    *metrics.StudyRecall `json:"all_volumes"`    // each volume asks with its study's report: other volumes of the study are misses
	Unique *metrics.StudyRecall `json:"unique_studies"` // the first volume of each study alone asks and is asked for
}

// Query is one report and the volumes it found.
type Query struct {
	Study string `json:"study"`
	Hits  []Hit  `json:"hits"`
}

// Hit is one volume found.
type Hit struct {
	Volume string  `json:"volume"`
	Study  string  `json:"study"`
	Score  float64 `json:"score"` // cosine
}
