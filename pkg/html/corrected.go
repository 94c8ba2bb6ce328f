package html

// Corrected holds one evaluation's figures by labels that are not the truth ("silver"), and what they are once people have
// looked at some of the rows.
type Corrected struct {
	System   string             `json:"system"`
	Reviewed string             `json:"reviewed"` // the file of reviewed rows
	Findings []CorrectedFinding `json:"findings"`
}

// CorrectedFinding is one finding that was reviewed.
type CorrectedFinding struct {
	Finding    string `json:"finding"`
	N          int    `json:"n"`     // rows that were reviewed
	NPos       int    `json:"n_pos"` // of them present
	Prevalence struct {
		Silver, RoganGladen, PPI Estimate
	} `json:"prevalence"`
	AUC struct {
		Silver, Reviewed, PPI Estimate // Reviewed: of the reviewed rows alone
	} `json:"auc"`
}

// Published holds one evaluation's figures by a published protocol's arithmetic, and the clean ones beside them.
type Published struct {
	System   string             `json:"system"`
	Protocol string             `json:"protocol"` // by its name, as in evaluate scores
	Macro    PublishedFinding   `json:"macro"`
	Findings []PublishedFinding `json:"findings"`
}

// PublishedFinding is one finding, or the mean; nil where undefined.
type PublishedFinding struct {
	Finding   string   `json:"finding"`
	AUC       *float64 `json:"auc"`
	F1        *float64 `json:"f1_weighted"` // over present and absent, at a threshold chosen on the rows that it is judged by
	Accuracy  *float64 `json:"accuracy"`
	Precision *float64 `json:"precision"`

	Clean struct {
		AUC              Estimate `json:"auc"`
		F1               *float64 `json:"f1"` // of present, at a threshold that was settled before
		BalancedAccuracy *float64 `json:"balanced_accuracy"`
	} `json:"clean"`
}
