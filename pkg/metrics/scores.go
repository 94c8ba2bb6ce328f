package metrics

import "fmt"

// Scores is a table of labels and scores: n rows (volumes or studies) by findings.
type Scores struct {
	Findings []string
	Y        [][]int8    // [finding][row]: 1, 0, else unknown
	S        [][]float64 // [finding][row], higher = more likely; a nil column is an undefined score
	Patient  []string    // of each row; nil: every row is its own
	// Threshold is where score >= t means present, one a finding, chosen elsewhere (0.5, or Youden on training rows);
	// nil leaves the figures at a threshold out.
	Threshold []float64
	// Probability says that scores are probabilities, so that Brier and ECE mean something.
	Probability bool
}

// LabelScore is one finding's row. Figures are nil where undefined; Status says so.
type LabelScore struct {
	Status    string    `json:"status"` // "ok", or "undefined": a class is empty, or there is no score
	N         int       `json:"n"`
	NPos      int       `json:"n_pos"`
	NNeg      int       `json:"n_neg"`
	NMissing  int       `json:"n_missing"`
	DeLong              // independent rows assumed; Bootstrap is by patient
	AP        *float64  `json:"ap"` // chance is NPos/N
	Brier     *float64  `json:"brier,omitempty"`
	ECE       *float64  `json:"ece15_width,omitempty"`
	ECEMass   *float64  `json:"ece15_mass,omitempty"`
	Threshold *AtCounts `json:"at_threshold,omitempty"`
	Youden    *Cut      `json:"youden,omitempty"` // of these very rows: an upper bound, not a result
}

// AtCounts is everything at one threshold.
type AtCounts struct {
	Threshold float64 `json:"threshold"`
	Confusion
	Rates
}

// Cut is a threshold and its Youden index.
type Cut struct {
	Threshold float64 `json:"threshold"`
	J         float64 `json:"j"`
}

// MacroScore is the unweighted mean over defined findings.
type MacroScore struct {
	AUC     *float64 `json:"auc"`
	AP      *float64 `json:"ap"`
	F1      *float64 `json:"f1,omitempty"`
	NLabels int      `json:"n_labels"` // findings whose AUC entered
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
	Bootstrap *BootstrapScore       `json:"bootstrap,omitempty"`
}

// Summarise computes every figure of the table and its intervals.
func (t Scores) Summarise(o Resampling) (*Summary, error) { return t.Compare(nil, o) }

// Compare also resamples other, scores of the same shape on the same rows, along with these: the paired difference of
// the macro AUCs, over findings that are defined in both.
func (t Scores) Compare(other [][]float64, o Resampling) (*Summary, error) {
	if err := t.check(other); err != nil {
		return nil, err
	}
	clusters := t.clusters()
	out := &Summary{NRows: len(t.Y[0]), NPatients: clusters.N, Labels: map[string]LabelScore{}}
	var aucs, aps, f1s []*float64
	for f, name := range t.Findings {
		l, err := t.label(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.Labels[name] = l
		aucs, aps = append(aucs, l.AUC), append(aps, l.AP)
		if l.Threshold != nil {
			f1s = append(f1s, l.Threshold.F1)
		}
	}
	mean, n, ok := Macro(aucs)
	out.Macro.AUC, out.Macro.NLabels = Defined(mean, ok), n
	mean, _, ok = Macro(aps)
	out.Macro.AP = Defined(mean, ok)
	mean, _, ok = Macro(f1s)
	out.Macro.F1 = Defined(mean, ok)
	var err error
	out.Bootstrap, err = t.bootstrap(other, clusters, o)
	return out, err
}

func (t Scores) label(f int) (l LabelScore, err error) {
	y, s := t.Y[f], t.S[f]
	counts, _ := Agree(y, y)
	l = LabelScore{Status: "undefined", N: counts.N(), NPos: counts.TP, NNeg: counts.TN, NMissing: len(y) - counts.N()}
	if s == nil {
		return l, nil
	}
	if l.DeLong, err = DeLongAUC(y, s); err != nil {
		return l, err
	}
	ap, ok, err := AveragePrecision(y, s)
	if err != nil {
		return l, err
	}
	l.AP = Defined(ap, ok)
	if l.AUC != nil {
		l.Status = "ok"
		r, _ := Rank(y, s)
		threshold, j := r.youden(s)
		l.Youden = &Cut{threshold, j}
	}
	if t.Probability {
		l.Brier = Defined(Brier(y, s))
		l.ECE = Defined(ECE(y, s, 15, false))
		l.ECEMass = Defined(ECE(y, s, 15, true))
	}
	if t.Threshold != nil {
		c, err := At(y, s, t.Threshold[f])
		if err != nil {
			return l, err
		}
		l.Threshold = &AtCounts{t.Threshold[f], c, c.Rates()}
	}
	return l, nil
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
	if n == 0 || len(t.Y) != n || len(t.S) != n || other != nil && len(other) != n || t.Threshold != nil && len(t.Threshold) != n {
		return fmt.Errorf("metrics: %d findings, %d label columns, %d score columns, %d others, %d thresholds", n, len(t.Y), len(t.S), len(other), len(t.Threshold))
	}
	rows := len(t.Y[0])
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
