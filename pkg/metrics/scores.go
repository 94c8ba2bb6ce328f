package metrics

import (
	"fmt"
	"math"
)

// Scores is a table of labels and scores: n rows (volumes or studies) by findings.
type Scores struct {
	Findings []string
	Y        [][]int8    // [finding][row]: 1, 0, else unknown
	S        [][]float64 // [finding][row], higher = more likely; a nil column is an undefined score
	Patient  []string    // of each row; nil: every row is its own
	// Threshold is where score >= t means present, one a finding, chosen elsewhere (0.5, or Youden on training rows);
	// nil leaves the figures at a threshold out, NaN those of one finding.
	Threshold []float64
	// Probability says that scores are probabilities, so that Brier and ECE mean something.
	Probability bool
	// Uncertain counts the rows of each finding that were uncertain, whatever Y makes of them; nil: nobody counted.
	Uncertain []int
	// Calibration maps scores to probabilities, one a finding, chosen elsewhere (FitCalibration); nil, or a nil one, leaves
	// the figures of calibrated scores out.
	Calibration []*Calibration
	// Reviewed is what people say of some of the rows; nil leaves the corrected figures out.
	Reviewed *ReviewedRows
}

// LabelScore is one finding's row. Figures are nil where undefined; Status says so.
type LabelScore struct {
	Status     string      `json:"status"` // "ok", or "undefined": a class is empty, or there is no score
	N          int         `json:"n"`
	NPos       int         `json:"n_pos"`
	NNeg       int         `json:"n_neg"`
	NMissing   int         `json:"n_missing"`             // left out: empty cells, and uncertain ones unless they count as a class
	NUncertain *int        `json:"n_uncertain,omitempty"` // of them, and of those that count as a class
	DeLong                 // independent rows assumed; Bootstrap is by patient
	AP         *float64    `json:"ap"` // chance is NPos/N
	Brier      *float64    `json:"brier,omitempty"`
	BrierParts *BrierParts `json:"brier_parts,omitempty"` // over the bins of ece15_width
	ECE        *float64    `json:"ece15_width,omitempty"`
	ECEMass    *float64    `json:"ece15_mass,omitempty"`
	// Cox's recalibration (Biometrika 1958): outcome against the log-odds of the score, 1 and 0 where they are right.
	Slope     *float64  `json:"calibration_slope,omitempty"`
	Intercept *float64  `json:"calibration_intercept,omitempty"`
	Threshold *AtCounts `json:"at_threshold,omitempty"`
	Youden    *Cut      `json:"youden,omitempty"` // of these very rows: an upper bound, not a result

	Calibration *Calibration     `json:"calibration,omitempty"`
	Calibrated  *CalibratedScore `json:"calibrated,omitempty"`
}

// CalibratedScore holds the figures of the scores that a Calibration makes.
type CalibratedScore struct {
	Brier *float64 `json:"brier"`
	ECE   *float64 `json:"ece15_width"`
	AUC   *float64 `json:"auc"`
}

// AtCounts is everything at one threshold.
type AtCounts struct {
	Threshold float64 `json:"threshold"`
	Confusion
	Rates
	F1Weighted *float64 `json:"f1_weighted"` // mean of the F1 of present and of absent, weighted by rows, 0/0 = 0
	MCC        *float64 `json:"mcc"`
	Kappa      *float64 `json:"kappa"`
}

// Cut is a threshold and its Youden index.
type Cut struct {
	Threshold float64 `json:"threshold"`
	J         float64 `json:"j"`
}

// MacroScore is the unweighted mean over defined findings; in F1, 0/0 counts as 0.
type MacroScore struct {
	AUC     *float64 `json:"auc"`
	AP      *float64 `json:"ap"`
	F1      *float64 `json:"f1,omitempty"`
	NLabels int      `json:"n_labels"` // findings whose AUC entered
}

// MicroScore pools the known cells of all findings.
type MicroScore struct {
	AUC       *float64 `json:"auc"`
	AP        *float64 `json:"ap"`
	F1        *float64 `json:"f1"`
	Precision *float64 `json:"precision"`
	Recall    *float64 `json:"recall"`
}

// WeightedScore is the mean over findings, weighted by their positives.
type WeightedScore struct {
	AUC *float64 `json:"auc"`
	F1  *float64 `json:"f1"`
}

// BootstrapScore holds the intervals by patient.
type BootstrapScore struct {
	NClusters  int                 `json:"n_clusters"`
	NResamples int                 `json:"n_resamples"`
	AUC        map[string]Interval `json:"auc"`
	MacroAUC   Interval            `json:"macro_auc"`
	// Set by Compare alone: macro AUC of the other scores and the paired difference (these - other).
	OtherMacroAUC *Interval `json:"other_macro_auc,omitempty"`
	Difference    *Interval `json:"macro_auc_difference,omitempty"`
}

// Summary is a whole evaluation of scores, as contracts' evaluate scores prints it.
type Summary struct {
	NRows     int                   `json:"n_rows"`
	NPatients int                   `json:"n_patients"`
	Labels    map[string]LabelScore `json:"labels"`
	Macro     MacroScore            `json:"macro"`
	// At thresholds alone.
	Micro          *MicroScore            `json:"micro,omitempty"`
	Weighted       *WeightedScore         `json:"weighted,omitempty"`
	SubsetAccuracy *float64               `json:"subset_accuracy,omitempty"` // of rows that are known throughout: right throughout
	HammingLoss    *float64               `json:"hamming_loss,omitempty"`    // share of known cells that are wrong
	Paired         map[string]PairedScore `json:"paired,omitempty"`          // Compare alone
	Bootstrap      *BootstrapScore        `json:"bootstrap,omitempty"`

	Corrected map[string]CorrectedScore `json:"corrected,omitempty"` // of findings that were reviewed; with Bootstrap
}

// Summarise computes every figure of the table and, unless o.N is below 0, its intervals.
func (t Scores) Summarise(o Resampling) (*Summary, error) { return t.Compare(nil, o) }

// Compare also tests other, scores of the same shape on the same rows, against these, and resamples both: the paired
// difference of the macro AUCs, over findings that are defined in both.
func (t Scores) Compare(other [][]float64, o Resampling) (*Summary, error) {
	if err := t.check(other); err != nil {
		return nil, err
	}
	clusters := t.clusters()
	out := &Summary{NRows: len(t.Y[0]), NPatients: clusters.N, Labels: map[string]LabelScore{}}
	rows := make([]LabelScore, len(t.Findings))
	for f, name := range t.Findings {
		var err error
		if rows[f], err = t.label(f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.Labels[name] = rows[f]
	}
	t.average(out, rows)
	var err error
	if out.Paired, err = t.paired(other); err != nil {
		return nil, err
	}
	if o.N < 0 {
		return out, nil
	}
	if out.Bootstrap, err = t.bootstrap(other, clusters, o); err != nil || t.Reviewed == nil {
		return out, err
	}
	out.Corrected, err = t.corrected(clusters, o)
	return out, err
}

// average fills in the figures over all findings.
func (t Scores) average(out *Summary, rows []LabelScore) {
	var aucs, aps, f1s []*float64
	var auc, f1 weighted
	var pooled Confusion
	for _, l := range rows {
		aucs, aps = append(aucs, l.AUC), append(aps, l.AP)
		auc.add(l.AUC, l.NPos)
		if at := l.Threshold; at != nil && l.N > 0 {
			f1s = append(f1s, Defined(orZero(at.F1), true))
			f1.add(at.F1, l.NPos)
			pooled.AddAll(at.Confusion)
		}
	}
	mean, n, ok := Macro(aucs)
	out.Macro.AUC, out.Macro.NLabels = Defined(mean, ok), n
	mean, _, ok = Macro(aps)
	out.Macro.AP = Defined(mean, ok)
	mean, _, ok = Macro(f1s)
	out.Macro.F1 = Defined(mean, ok)
	if t.Threshold == nil {
		return
	}
	r := pooled.Rates()
	out.Micro = &MicroScore{F1: r.F1, Precision: r.Precision, Recall: r.Sensitivity}
	out.Micro.AUC, out.Micro.AP = t.pool()
	out.Weighted = &WeightedScore{auc.mean(), f1.mean()}
	out.HammingLoss = ratio(pooled.FP+pooled.FN, pooled.N())
	out.SubsetAccuracy = t.subsetAccuracy()
}

// weighted is a mean in the making.
type weighted struct{ sum, n float64 }

func (w *weighted) add(v *float64, n int) {
	if v != nil {
		w.sum += float64(n) * *v
		w.n += float64(n)
	}
}

func (w weighted) mean() *float64 { return Defined(w.sum/w.n, w.n > 0) }

func orZero(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

// pool is AUC and AP of all known cells as one label.
func (t Scores) pool() (auc, ap *float64) {
	var y []int8
	var s []float64
	for f, column := range t.S {
		if column != nil {
			y, s = append(y, t.Y[f]...), append(s, column...)
		}
	}
	r, err := Rank(y, s)
	if err != nil { // label has looked at every cell
		return nil, nil
	}
	return Defined(r.AUC()), Defined(r.averagePrecision(s), r.Pos > 0)
}

func (t Scores) subsetAccuracy() *float64 {
	right, n := 0, 0
rows:
	for i := range t.Y[0] {
		all := 1
		for f, y := range t.Y {
			if !known(y[i]) || t.S[f] == nil || math.IsNaN(t.Threshold[f]) {
				continue rows
			}
			if (y[i] == 1) != (t.S[f][i] >= t.Threshold[f]) {
				all = 0
			}
		}
		right, n = right+all, n+1
	}
	return ratio(right, n)
}

func (t Scores) label(f int) (l LabelScore, err error) {
	y, s := t.Y[f], t.S[f]
	counts, _ := Agree(y, y)
	l = LabelScore{Status: "undefined", N: counts.N(), NPos: counts.TP, NNeg: counts.TN, NMissing: len(y) - counts.N()}
	if t.Uncertain != nil {
		l.NUncertain = &t.Uncertain[f]
	}
	if s == nil {
		return l, nil
	}
	p, r, err := place(y, s)
	if err != nil {
		return l, err
	}
	l.DeLong = p.interval()
	l.AP = Defined(r.averagePrecision(s), r.Pos > 0)
	if l.AUC != nil {
		l.Status = "ok"
		threshold, j := r.youden(s)
		l.Youden = &Cut{threshold, j}
	}
	if t.Probability {
		l.Brier = Defined(Brier(y, s))
		l.BrierParts = NewBrierParts(y, s, 15)
		l.ECE = Defined(ECE(y, s, 15, false))
		l.ECEMass = Defined(ECE(y, s, 15, true))
		slope, intercept, ok := Recalibration(y, s)
		l.Slope, l.Intercept = Defined(slope, ok), Defined(intercept, ok)
	}
	if t.Threshold != nil && !math.IsNaN(t.Threshold[f]) {
		if l.Threshold, err = atCounts(y, s, t.Threshold[f]); err != nil {
			return l, err
		}
	}
	if t.Calibration != nil && t.Calibration[f] != nil {
		l.Calibration = t.Calibration[f]
		p := l.Calibration.Apply(s)
		r, err := Rank(y, p)
		if err != nil {
			return l, err
		}
		l.Calibrated = &CalibratedScore{Defined(Brier(y, p)), Defined(ECE(y, p, 15, false)), Defined(r.AUC())}
	}
	return l, nil
}

func atCounts(y []int8, s []float64, threshold float64) (*AtCounts, error) {
	c, err := At(y, s, threshold)
	if err != nil {
		return nil, err
	}
	return &AtCounts{threshold, c, c.Rates(), c.F1Weighted(), c.MCC(), c.Agreement().Kappa}, nil
}

func (t Scores) bootstrap(other [][]float64, clusters Clusters, o Resampling) (*BootstrapScore, error) {
	stats, err := t.statistics(t.S, clusters)
	if err != nil {
		return nil, err
	}
	if other != nil {
		more, err := t.statistics(other, clusters)
		if err != nil {
			return nil, err
		}
		stats = append(stats, more...)
	}
	r, err := Bootstrap(clusters.N, stats, o)
	if err != nil {
		return nil, err
	}
	b := &BootstrapScore{NClusters: clusters.N, NResamples: len(r.draws[0]), AUC: map[string]Interval{}}
	var these, those []int
	for f, name := range t.Findings {
		b.AUC[name] = r.Interval(f)
		these, those = append(these, f), append(those, f+len(t.Findings))
	}
	b.MacroAUC = r.Mean(these...)
	if other != nil {
		macro, difference := r.Mean(those...), r.Difference(these, those)
		b.OtherMacroAUC, b.Difference = &macro, &difference
	}
	return b, nil
}

func (t Scores) statistics(s [][]float64, clusters Clusters) ([]Statistic, error) {
	stats := make([]Statistic, len(t.Findings))
	for f := range stats {
		y, column := t.Y[f], s[f]
		if column == nil { // no score: undefined everywhere
			y, column = make([]int8, len(y)), make([]float64, len(y))
		}
		stat, err := AUCStatistic(y, column, clusters)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Findings[f], err)
		}
		stats[f] = stat
	}
	return stats, nil
}

func (t Scores) clusters() Clusters {
	if t.Patient != nil {
		return ClustersOf(t.Patient)
	}
	c := Clusters{N: len(t.Y[0]), Of: make([]int32, len(t.Y[0]))}
	for i := range c.Of {
		c.Of[i] = int32(i)
	}
	return c
}

func (t Scores) check(other [][]float64) error {
	n := len(t.Findings)
	if n == 0 || len(t.Y) != n || len(t.S) != n || other != nil && len(other) != n || t.Threshold != nil && len(t.Threshold) != n ||
		t.Uncertain != nil && len(t.Uncertain) != n || t.Calibration != nil && len(t.Calibration) != n {
		return fmt.Errorf("metrics: %d findings, %d label columns, %d score columns, %d others, %d thresholds", n, len(t.Y), len(t.S), len(other), len(t.Threshold))
	}
	rows := len(t.Y[0])
	if r := t.Reviewed; r != nil && (len(r.Truth) != n || r.Weight != nil && len(r.Weight) != rows) {
		return fmt.Errorf("metrics: %d findings of %d rows reviewed, weights for %d", len(r.Truth), rows, len(r.Weight))
	}
	if rows == 0 || t.Patient != nil && len(t.Patient) != rows {
		return fmt.Errorf("metrics: %d rows of %d patients", rows, len(t.Patient))
	}
	for f, name := range t.Findings {
		if len(t.Y[f]) != rows || t.S[f] != nil && len(t.S[f]) != rows || other != nil && other[f] != nil && len(other[f]) != rows {
			return fmt.Errorf("metrics: %s: columns of different lengths, labels %d of %d", name, len(t.Y[f]), rows)
		}
	}
	return nil
}
