// Package html writes a run as one self-contained HTML page: no network, a strict content security policy, one small script
// that sorts tables and that nothing else needs,
// figures drawn as inline SVG from aggregates. The same Page gives the same bytes. It opens from a file, reads on a
// phone, in the dark and on A4 paper, and is small enough to mail.
//
// A section that is nil is left out. Every string is escaped, so ids may be hostile. The page holds ids, labels and
// figures; report text only where Query.ReportText is set, and then a banner says so. What is undefined is said to be.
package html

// Page is everything one page shows, in the order of the page.
type Page struct {
	Title   string `json:"title"`   // of the pipeline or its purpose
	Run     string `json:"run"`     // name of the run folder
	Status  string `json:"status"`  // as in run.json; "ok" is shown green, anything else amber
	When    string `json:"when"`    // shown as given, for example "24 Nov 2026 03:12 UTC, 9 min 14 s"
	Caution string `json:"caution"` // shown above everything, for example "Synthetic phantoms: no clinical meaning"

	Verdict        *Verdict        `json:"verdict,omitempty"`
	Flow           *Flow           `json:"flow,omitempty"`
	Scans          *Scans          `json:"scans,omitempty"`
	Labels         *Labels         `json:"labels,omitempty"`
	CoOccurrence   *CoOccurrence   `json:"co_occurrence,omitempty"`
	Training       []Training      `json:"training,omitempty"`
	Classification *Classification `json:"classification,omitempty"`
	Corrected      []Corrected     `json:"corrected,omitempty"`
	Published      []Published     `json:"published,omitempty"`
	Curves         []Curves        `json:"curves,omitempty"`
	Subgroups      []Subgroups     `json:"subgroups,omitempty"`
	Examples       []ScoredExample `json:"examples,omitempty"`
	Retrieval      *Retrieval      `json:"retrieval,omitempty"`
	Gallery        *Gallery        `json:"gallery,omitempty"`
	Cost           *Cost           `json:"cost,omitempty"`
	Egress         []Egress        `json:"egress,omitempty"` // shown beside Cost
	Rejects        *Rejects        `json:"rejects,omitempty"`
	Provenance     *Provenance     `json:"provenance,omitempty"`
	Checklists     []Checklist     `json:"checklists,omitempty"`
}

// Estimate is one figure with its 95 % interval.
type Estimate struct {
	Value *float64 `json:"value"` // nil: undefined
	Lo    *float64 `json:"lo,omitempty"`
	Hi    *float64 `json:"hi,omitempty"`
	N     int      `json:"n,omitempty"`   // rows or queries behind it; 0: not said
	Why   string   `json:"why,omitempty"` // why it is undefined, for example "one class"
}

// Estimated is the estimate of a value and its interval, either of which may be nil.
func Estimated(value *float64, interval *[2]float64, n int) Estimate {
	e := Estimate{Value: value, N: n}
	if interval != nil {
		e.Lo, e.Hi = &interval[0], &interval[1]
	}
	return e
}

// Verdict is the page's first screen.
type Verdict struct {
	Line      string     `json:"line"` // one sentence: what was evaluated and how it went
	Headlines []Headline `json:"headlines,omitempty"`
}

// Headline is one tile: a figure, what it stands against, and whether a declared goal was met (Value >= Goal).
type Headline struct {
	Name          string   `json:"name"`
	Figure        Estimate `json:"figure"`
	Text          string   `json:"text,omitempty"` // shown instead of the figure, for example "$0.00"
	Reference     *float64 `json:"reference,omitempty"`
	ReferenceName string   `json:"reference_name,omitempty"` // "chance", "HU histogram"
	Goal          *float64 `json:"goal,omitempty"`
	Primary       bool     `json:"primary,omitempty"`     // declared before scores were opened
	Exploratory   string   `json:"exploratory,omitempty"` // why the figure is no test; "": it is
	Note          string   `json:"note,omitempty"`
}

// Flow says what became of every study, step by step, and how the rest was split.
type Flow struct {
	Steps          []FlowStep `json:"steps"`
	Splits         []Split    `json:"splits,omitempty"`
	SharedPatients *int       `json:"shared_patients,omitempty"` // patients in more than one split; must be 0
}

// FlowStep is one step of the pipeline. In = Out + rejects, or the page says that it does not add up.
type FlowStep struct {
	Name    string   `json:"name"`
	Type    string   `json:"type,omitempty"` // where it differs from Name
	Unit    string   `json:"unit"`           // studies, volumes, ...
	In      int      `json:"in"`
	Out     int      `json:"out"`
	Rejects int      `json:"rejects"`
	Skipped int      `json:"skipped,omitempty"` // part of Out that an earlier run had already done
	Reasons []Reason `json:"reasons,omitempty"`
	Seconds float64  `json:"seconds,omitempty"`
	CPU     float64  `json:"cpu_seconds,omitempty"`
}

// Reason is a class of rejects and how many left with it.
type Reason struct {
	Class string `json:"class"`
	N     int    `json:"n"`
}

// Split counts one part of the data. Zero columns are left out when zero in every split.
type Split struct {
	Name     string `json:"name"`
	Patients int    `json:"patients"`
	Studies  int    `json:"studies"`
	Volumes  int    `json:"volumes"`
}

// Labels is the label table.
type Labels struct {
	Source   string     `json:"source,omitempty"` // labelers, convention, model
	Unit     string     `json:"unit,omitempty"`   // what a count counts; default reports
	Splits   []string   `json:"splits,omitempty"` // columns of LabelRow.Prevalence
	Findings []LabelRow `json:"findings"`
	Truth    string     `json:"truth,omitempty"` // what Quality was measured against, and how
	Macro    *Estimate  `json:"macro,omitempty"` // balanced accuracy over the findings where it is defined
	NMacro   int        `json:"n_macro,omitempty"`
}

// LabelRow is one finding.
type LabelRow struct {
	Finding      string        `json:"finding"`
	Present      int           `json:"present"`
	Absent       int           `json:"absent"`
	Uncertain    int           `json:"uncertain"`
	NotMentioned int           `json:"not_mentioned"`
	Prevalence   []Share       `json:"prevalence,omitempty"`
	Quality      *LabelQuality `json:"quality,omitempty"`
}

// Share is K of N; N = 0 is undefined.
type Share struct {
	K        int         `json:"k"`
	N        int         `json:"n"`
	Interval *[2]float64 `json:"interval,omitempty"`
}

// LabelQuality compares the labels of one finding with the truth.
type LabelQuality struct {
	N                int      `json:"n"`
	NPos             int      `json:"n_pos"` // present in truth
	BalancedAccuracy Estimate `json:"balanced_accuracy"`
	Sensitivity      Estimate `json:"sensitivity"`
	Specificity      Estimate `json:"specificity"`
	Agreement        *float64 `json:"agreement,omitempty"` // share of studies
	Kappa            *float64 `json:"kappa,omitempty"`     // Cohen's
	PABAK            *float64 `json:"pabak,omitempty"`
}

// CoOccurrence counts studies by pairs of present findings.
type CoOccurrence struct {
	Findings []string `json:"findings"`
	Count    [][]int  `json:"count"` // symmetric; the diagonal counts the finding itself
	N        int      `json:"n"`
	Unit     string   `json:"unit,omitempty"` // default studies
}

// Training is one train.Model step.
type Training struct {
	Name       string       `json:"name"`
	Recipe     string       `json:"recipe,omitempty"`
	Points     []TrainPoint `json:"points,omitempty"`
	Steps      int          `json:"steps,omitempty"`
	Epochs     int          `json:"epochs,omitempty"`
	Parameters int          `json:"parameters,omitempty"`
	Seconds    float64      `json:"seconds,omitempty"`
	Options    []Fact       `json:"options,omitempty"`
	Note       string       `json:"note,omitempty"`
}

// TrainPoint is one line of history.jsonl; nil or zero where it says nothing.
type TrainPoint struct {
	Step  int      `json:"step"`
	Loss  *float64 `json:"loss,omitempty"`       // training
	Valid *float64 `json:"valid_loss,omitempty"` // held out
	LR    *float64 `json:"lr,omitempty"`
}

// Classification compares systems that score every finding on the same rows.
type Classification struct {
	Split    string   `json:"split,omitempty"`
	Patients int      `json:"patients,omitempty"`
	Rows     int      `json:"rows,omitempty"`
	Unit     string   `json:"unit,omitempty"`     // of Rows; default volumes
	Interval string   `json:"interval,omitempty"` // how intervals were made, shown under the table
	Truth    string   `json:"truth,omitempty"`    // whose labels AUCs are measured against
	Systems  []System `json:"systems"`            // at most four are drawn apart: stage one, zero-shot, baseline
}

// System is one scorer: stage one, zero-shot, a baseline.
type System struct {
	Name string `json:"name"`
	Note string `json:"note,omitempty"` // protocol, thresholds, where it was trained
	// Exploratory says why the figures are no test; "": they are.
	Exploratory string         `json:"exploratory,omitempty"`
	Baseline    bool           `json:"baseline,omitempty"`
	Macro       Estimate       `json:"macro"`
	NLabels     int            `json:"n_labels"` // findings in Macro
	Findings    []FindingScore `json:"findings"` // any order; joined by name
}

// FindingScore is one finding of one system.
type FindingScore struct {
	Finding string       `json:"finding"`
	NPos    int          `json:"n_pos"`
	NNeg    int          `json:"n_neg"`
	AUC     Estimate     `json:"auc"`
	AP      *float64     `json:"ap,omitempty"`
	ROC     [][2]float64 `json:"roc,omitempty"` // (FPR, TPR), at most 200 corners (metrics.ROC)
}

// Retrieval is a table of figures that each stand beside their chance level.
type Retrieval struct {
	// Exploratory says why the figures are no test; "": they are.
	Exploratory string `json:"exploratory,omitempty"`

	Split   string         `json:"split,omitempty"`
	Queries int            `json:"queries,omitempty"`
	Pool    string         `json:"pool,omitempty"` // for example "164 studies (271 volumes)"
	Rows    []RetrievalRow `json:"rows"`
}

// RetrievalRow is one figure.
type RetrievalRow struct {
	Name     string   `json:"name"`               // "Report → volume, recall@10"
	Protocol string   `json:"protocol,omitempty"` // "study-recall", "ctclip-volume-map"
	Figure   Estimate `json:"figure"`
	Chance   *float64 `json:"chance,omitempty"`
	Note     string   `json:"note,omitempty"`
	Rank     bool     `json:"rank,omitempty"` // a rank, not a share: lower is better, no bar, no ratio
}

// Rejects groups what left the chain.
type Rejects struct {
	Total     int           `json:"total"`
	Of        int           `json:"of,omitempty"` // studies read
	Tolerance string        `json:"tolerance,omitempty"`
	Groups    []RejectGroup `json:"groups,omitempty"`
}

// RejectGroup is one class of one step.
type RejectGroup struct {
	Step     string   `json:"step"`
	Class    string   `json:"class"`
	Reason   string   `json:"reason,omitempty"` // of one of them
	N        int      `json:"n"`
	Examples []string `json:"examples,omitempty"` // ids
}

// Provenance is what someone needs to make the page again.
type Provenance struct {
	Groups []Facts `json:"groups"`
	Config string  `json:"config,omitempty"` // the resolved pipeline file
}

// Facts is a named list.
type Facts struct {
	Name  string `json:"name"`
	Facts []Fact `json:"facts"`
}

// Fact is a name and its value.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
