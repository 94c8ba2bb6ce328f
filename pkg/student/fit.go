package student

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/taxonomy"
)

// Report is one labelled report to learn from.
type Report struct {
	ID, Text string
	Cluster  string // of reports that share a fold, as a patient's; "": none
	Truth    []int8 // finding → 1 present, 0 absent, any other value unknown
}

// Options of a fit.
type Options struct {
	Folds int     // at least 3
	Seed  int64   // of the deal of groups to folds
	Ask   float64 // the largest share of reports to ask another labeler about, from 0 to 1: it sets the student's doubt
}

// Values of the fit. Half or double the price and the candidates, and five for leastReports, moved cross-validated macro AUC
// and F1 on 800 hand-labelled reports by 0.0006 or less; the others were not varied.
const (
	leastReports = 3    // that a feature must be in
	leastOf      = 10   // reports with a finding, and without it, to learn it from
	candidates   = 400  // features that a finding's fit sees, by chi-square
	price        = 1.0  // of a weight of 1, in log loss of one report
	blendPrice   = 1.0  // of the square of the blend's weights, halved
	leastDoubt   = 0.05 // a labeler that is right 95 times in 100 would do harm below it
)

// ErrTooFew is wrapped by an error about labels that are too few to learn from.
var ErrTooFew = errors.New("too few labelled reports")

// Fit makes a student from labelled reports. Reports that the rules call not assessable are left out. The same reports
// in the same order give the same student, whatever the number of cores.
func Fit(t *taxonomy.Taxonomy, l *rules.Labeler, reports []Report, o Options) (*Student, *Crossed, error) {
	c := newCorpus(t, l, reports)
	if o.Folds < 3 {
		return nil, nil, fmt.Errorf("student: %d folds: at least 3 are needed", o.Folds)
	}
	group := groups(c.reports)
	c.fold, c.folds = folds(group, o.Folds, o.Seed), o.Folds
	m := Made{Taxonomy: t.Digest(), Rules: l.Version(), Truth: digest(reports), Reports: len(c.reports),
		Refused: len(reports) - len(c.reports), Folds: o.Folds, Seed: o.Seed}
	for i, g := range group {
		if g == i {
			m.Groups++
		}
	}
	if m.Groups < o.Folds {
		return nil, nil, fmt.Errorf("student: %d distinct reports for %d folds: %w", m.Groups, o.Folds, ErrTooFew)
	}
	models := make([]*model, len(t.Findings))
	each(len(models), func(f int) {
		if c.fits(f) {
			models[f] = c.cross(f)
		}
	})
	if !slices.ContainsFunc(models, func(m *model) bool { return m != nil }) {
		return nil, nil, fmt.Errorf("student: no finding has %d reports with it and %d without: %w", leastOf, leastOf, ErrTooFew)
	}
	out, b, err := c.blend(models)
	if err != nil {
		return nil, nil, fmt.Errorf("student: %w", err)
	}
	out.measure(&m, t.Names(), models)
	m.Doubt = max(out.doubt(o.Ask), leastDoubt)
	f := file{Made: m, Blend: append(b.Coef, b.Intercept), Findings: make([]finding, len(models))}
	texts := c.texts(models)
	for i, name := range t.Names() {
		f.Findings[i] = finding{Name: name, Weights: map[string]float64{}}
		if models[i] != nil {
			f.Findings[i] = models[i].average(name, c.features, texts)
			f.Findings[i].Overrules = b.overrules[i]
		}
	}
	s, err := f.student(t, l)
	return s, out, err
}

// digest of all that the fit is given.
func digest(reports []Report) string {
	h := sha256.New()
	for _, r := range reports {
		fmt.Fprintf(h, "%q %q %q %v\n", r.ID, r.Text, r.Cluster, r.Truth)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// corpus is the assessable reports, as features.
type corpus struct {
	reports  []Report
	labels   [][]taxonomy.Label // report → finding → the rules' answer
	features []hash             // by number, in ascending order: those in leastReports reports or more
	rows     [][]int32          // report → its features, ascending
	fold     []int
	folds    int
}

func newCorpus(t *taxonomy.Taxonomy, l *rules.Labeler, reports []Report) *corpus {
	c := &corpus{}
	var found [][]hash
	var r reader
	count := map[hash]int32{}
	for _, report := range reports {
		labels, err := l.Label(report.Text)
		if err != nil {
			continue
		}
		r.read(report.Text)
		slices.Sort(r.found)
		distinct := slices.Clone(slices.Compact(r.found))
		for _, h := range distinct {
			count[h]++
		}
		c.reports, c.labels, found = append(c.reports, report), append(c.labels, labels), append(found, distinct)
	}
	for h, n := range count {
		if n >= leastReports {
			c.features = append(c.features, h)
		}
	}
	slices.Sort(c.features)
	number := make(map[hash]int32, len(c.features))
	for i, h := range c.features {
		number[h] = int32(i)
	}
	c.rows = make([][]int32, len(found))
	for i, distinct := range found {
		for _, h := range distinct {
			if n, ok := number[h]; ok {
				c.rows[i] = append(c.rows[i], n)
			}
		}
		found[i] = nil
	}
	return c
}

func (c *corpus) known(row, finding int) bool {
	y := c.reports[row].Truth[finding]
	return y == 0 || y == 1
}

// fits says whether a finding has enough labels of both kinds.
func (c *corpus) fits(finding int) bool {
	var n [2]int
	for _, r := range c.reports {
		if y := r.Truth[finding]; y == 0 || y == 1 {
			n[y]++
		}
	}
	return min(n[0], n[1]) >= leastOf
}

// linear is one finding's model on some of the reports.
type linear struct {
	intercept float64
	features  []int32
	weights   []float64
}

// model is one finding's cross-validation.
type model struct {
	linear  []*linear   // fold → fitted without it
	alone   []float64   // row → margin by the model without its fold
	without [][]float64 // fold → row of another → margin by the model without both
	bagged  []float64   // row → mean margin of the models without its fold and one more
}

// cross fits one finding without each fold and without each pair of folds.
func (c *corpus) cross(finding int) *model {
	n := len(c.rows)
	m := &model{linear: make([]*linear, c.folds), alone: make([]float64, n), bagged: make([]float64, n)}
	for range c.folds {
		m.without = append(m.without, make([]float64, n))
	}
	dense := make([]float64, len(c.features))
	for k := range c.folds {
		m.linear[k] = c.train(finding, k, k)
		c.margins(m.linear[k], k, dense, func(row int, z float64) { m.alone[row] = z })
		for j := range k {
			pair := c.train(finding, j, k)
			share := 1 / float64(c.folds-1)
			c.margins(pair, j, dense, func(row int, z float64) { m.without[k][row] = z; m.bagged[row] += share * z })
			c.margins(pair, k, dense, func(row int, z float64) { m.without[j][row] = z; m.bagged[row] += share * z })
		}
	}
	return m
}

// margins tells the model's margin of each row of a fold. dense is scratch, a zero for each feature.
func (c *corpus) margins(m *linear, fold int, dense []float64, tell func(row int, z float64)) {
	for k, f := range m.features {
		dense[f] = m.weights[k]
	}
	for row, features := range c.rows {
		if c.fold[row] != fold {
			continue
		}
		z := m.intercept
		for _, f := range features {
			z += dense[f]
		}
		tell(row, z)
	}
	for _, f := range m.features {
		dense[f] = 0
	}
}

// train fits one finding on the known rows outside two folds, which may be the same.
func (c *corpus) train(finding, but, andBut int) *linear {
	var rows []int
	var y []float64
	positives := 0.0
	for row, fold := range c.fold {
		if fold != but && fold != andBut && c.known(row, finding) {
			rows, y = append(rows, row), append(y, float64(c.reports[row].Truth[finding]))
			positives += y[len(y)-1]
		}
	}
	if n := float64(len(rows)); positives == 0 || positives == n {
		return &linear{intercept: math.Log((positives + 0.5) / (n - positives + 0.5))}
	}
	chosen := c.choose(rows, y, positives)
	at := make([]int32, len(c.features))
	for k, f := range chosen {
		at[f] = int32(k) + 1
	}
	l := lasso{columns: make([][]int32, len(chosen)), y: y, penalty: price}
	for i, row := range rows {
		for _, f := range c.rows[row] {
			if k := at[f]; k > 0 {
				l.columns[k-1] = append(l.columns[k-1], int32(i))
			}
		}
	}
	beta, intercept := l.fit()
	m := &linear{intercept: intercept}
	for k, b := range beta {
		if b != 0 {
			m.features, m.weights = append(m.features, chosen[k]), append(m.weights, b)
		}
	}
	return m
}

// choose gives the features with the largest chi-square against the truth, in ascending order; of those that are in the
// same rows only the first, words before characters.
func (c *corpus) choose(rows []int, y []float64, positives float64) []int32 {
	in, both, set := make([]float64, len(c.features)), make([]float64, len(c.features)), make([]uint64, len(c.features))
	for i, row := range rows {
		mark := uint64(hashStart.byte(byte(row)).byte(byte(row >> 8)).byte(byte(row >> 16)).byte(byte(row >> 24)))
		for _, f := range c.rows[row] {
			in[f]++
			both[f] += y[i]
			set[f] += mark // the sum tells sets of rows apart
		}
	}
	n := float64(len(rows))
	chi := make([]float64, len(c.features))
	var all []int32
	for f, k := range in {
		if k >= leastReports && k < n {
			d := n*both[f] - k*positives
			chi[f] = n * d * d / (k * (n - k) * positives * (n - positives))
			all = append(all, int32(f))
		}
	}
	slices.SortFunc(all, func(a, b int32) int {
		return cmp.Or(cmp.Compare(chi[b], chi[a]), cmp.Compare(c.features[a].kind(), c.features[b].kind()), cmp.Compare(a, b))
	})
	var chosen []int32
	seen := map[uint64]bool{}
	for _, f := range all {
		if len(chosen) == candidates {
			break
		}
		if !seen[set[f]] {
			seen[set[f]], chosen = true, append(chosen, f)
		}
	}
	slices.Sort(chosen)
	return chosen
}

// average is the mean of the models without a fold, as the file has it.
func (m *model) average(name string, features []hash, texts map[hash]string) finding {
	out := finding{Name: name, Weights: map[string]float64{}}
	share := 1 / float64(len(m.linear))
	for _, l := range m.linear {
		out.Intercept += share * l.intercept
		for k, f := range l.features {
			out.Weights[texts[features[f]]] += share * l.weights[k]
		}
	}
	return out
}

// texts writes out the features that the models use.
func (c *corpus) texts(models []*model) map[hash]string {
	r := reader{texts: map[hash]string{}}
	for _, m := range models {
		if m != nil {
			for _, l := range m.linear {
				for _, f := range l.features {
					r.texts[c.features[f]] = ""
				}
			}
		}
	}
	for _, report := range c.reports {
		r.read(report.Text)
	}
	return r.texts
}

// blend fits the blend without each fold, which gives the crossed probabilities, and once on all.
func (c *corpus) blend(models []*model) (*Crossed, *blend, error) {
	out := &Crossed{reports: c.reports, labels: c.labels, p: make([][]float64, len(models))}
	for f, m := range models {
		if m != nil {
			out.p[f] = make([]float64, len(c.rows))
		}
	}
	for k := range c.folds {
		b, err := c.fitBlend(models, k, func(m *model) []float64 { return m.without[k] })
		if err != nil {
			return nil, nil, err
		}
		for f, m := range models {
			for row, fold := range c.fold {
				if m != nil && fold == k {
					out.p[f][row] = b.probability(f, c.labels[row][f], m.bagged[row])
				}
			}
		}
	}
	all, err := c.fitBlend(models, -1, func(m *model) []float64 { return m.alone })
	return out, all, err
}

// fitBlend fits one blend for all findings to the margins of rows outside a fold, and lets it overrule the rules on a
// finding where that is surely right more often (McNemar's exact test at 5 %).
func (c *corpus) fitBlend(models []*model, but int, margin func(*model) []float64) (*blend, error) {
	var x [][]float64
	var y []int8
	var by, from []int // of each example: finding, row
	for f, m := range models {
		if m == nil {
			continue
		}
		z := margin(m)
		for row, fold := range c.fold {
			if fold != but && c.known(row, f) {
				x, y = append(x, blendInput(c.labels[row][f], z[row])), append(y, c.reports[row].Truth[f])
				by, from = append(by, f), append(from, row)
			}
		}
	}
	l, err := metrics.LogisticFit(x, y, nil, blendPrice)
	if err != nil {
		return nil, err
	}
	b := &blend{Logistic: *l, overrules: make([]bool, len(models))}
	for f := range models {
		var truth, free, held []int8
		for i := range x {
			if by[i] == f {
				p := l.Probability(x[i])
				truth, free, held = append(truth, y[i]), append(free, hard(p)), append(held, hard(hold(p, c.labels[from[i]][f])))
			}
		}
		m := metrics.NewMcNemar(truth, free, held)
		b.overrules[f] = m.OnlyA > m.OnlyB && m.P < 0.05
	}
	return b, nil
}

// hard is 1 from one half on.
func hard(p float64) int8 {
	if p >= 0.5 {
		return 1
	}
	return 0
}

// each runs f for 0 to n-1 on all cores.
func each(n int, f func(i int)) {
	var wait sync.WaitGroup
	next := make(chan int)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wait.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
}
