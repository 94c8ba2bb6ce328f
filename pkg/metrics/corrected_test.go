package metrics

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// silverWorld is a test set whose labels a labeler made: it misses faint findings, which the model scores low as well, and sees
// some that are none; people review some rows.
type silverWorld struct {
	patients, reviewed int
	prevalence         float64
	oversample         bool // half of the reviewed rows are drawn from those that the labeler calls present
}

func (w silverWorld) draw(rng *rand.Rand) (t Scores, truth []int8) {
	t = Scores{Findings: []string{"x"}, Y: make([][]int8, 1), S: make([][]float64, 1)}
	for p := range w.patients {
		own, effect, faint := bit(rng.Float64() < w.prevalence), rng.NormFloat64(), rng.Float64()
		for volumes := 1; ; volumes++ {
			y := own
			if rng.Float64() > .6 {
				y = bit(rng.Float64() < w.prevalence)
			}
			silver, s := bit(rng.Float64() < .06), .7*(effect+rng.NormFloat64())
			if y == 1 {
				silver, s = bit(faint < .5 && rng.Float64() < .97 || faint >= .5 && rng.Float64() < .7), s+2.2-1.4*faint
			}
			truth = append(truth, y)
			t.Patient, t.Y[0], t.S[0] = append(t.Patient, strconv.Itoa(p)), append(t.Y[0], silver), append(t.S[0], s)
			if volumes == 6 || rng.Float64() > .6 {
				break
			}
		}
	}
	return t, truth
}

// review draws the rows that people look at.
func (w silverWorld) review(t *Scores, truth []int8, rng *rand.Rand) {
	n := len(truth)
	t.Reviewed = &ReviewedRows{Truth: [][]int8{slices.Repeat([]int8{Missing}, n)}, Weight: make([]float64, n)}
	take := func(rows []int, k int) {
		k = min(k, len(rows))
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		for _, i := range rows[:k] {
			t.Reviewed.Truth[0][i], t.Reviewed.Weight[i] = truth[i], float64(len(rows))/float64(k)
		}
	}
	var said [2][]int
	for i := range n {
		c := 0
		if w.oversample {
			c = int(t.Y[0][i])
		}
		said[c] = append(said[c], i)
	}
	if !w.oversample {
		take(said[0], w.reviewed)
		return
	}
	take(said[0], w.reviewed/2)
	take(said[1], w.reviewed/2)
}

// cover counts how often intervals hold the prevalence and the AUC of a set of half a million rows.
func (w silverWorld) cover(repetitions, resamples int) map[string]*coverage {
	large := w
	large.patients = 200_000
	t, truth := large.draw(rand.New(rand.NewPCG(1, 1)))
	auc, _, _ := AUC(truth, t.S[0])
	biased, _, _ := AUC(t.Y[0], t.S[0])
	fmt.Printf("\n%+v: AUC %.3f, by silver labels %.3f\n", w, auc, biased)
	return coverages(repetitions, func(seed uint64) (out []estimate) {
		rng := rand.New(rand.NewPCG(seed, 3))
		t, truth := w.draw(rng)
		w.review(&t, truth, rng)
		s, err := t.Summarise(Resampling{N: resamples, Seed: seed})
		if err != nil {
			panic(err)
		}
		c := s.Corrected["x"]
		for _, x := range []struct {
			name  string
			truth float64
			Interval
		}{{"prevalence | silver", w.prevalence, c.Prevalence.Silver}, {"prevalence | Rogan-Gladen", w.prevalence, c.Prevalence.RoganGladen},
			{"prevalence | PPI", w.prevalence, c.Prevalence.PPI}, {"AUC | silver", auc, c.AUC.Silver}, {"AUC | reviewed alone", auc, c.AUC.Reviewed}, {"AUC | PPI", auc, c.AUC.PPI}} {
			out = append(out, estimate{x.name, x.truth, x.Ends})
		}
		return out
	})
}

// Where nobody who was reviewed has the finding, the rows cannot say how rare it is: no interval of no width.
func TestCorrectedWithoutPositives(t *testing.T) {
	s := Scores{Findings: []string{"x"}, Y: make([][]int8, 1), S: make([][]float64, 1), Reviewed: &ReviewedRows{Truth: make([][]int8, 1)}}
	for i := range 200 {
		reviewed := int8(Missing)
		if i%4 == 0 {
			reviewed = 0
		}
		s.Y[0], s.S[0], s.Reviewed.Truth[0] = append(s.Y[0], bit(i%40 == 1)), append(s.S[0], float64(i%7)), append(s.Reviewed.Truth[0], reviewed)
	}
	out, err := s.Summarise(Resampling{N: 100})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Corrected["x"]
	if p := c.Prevalence.PPI; c.NReviewed != 50 || p.Value == nil || *p.Value != 0 || p.Ends != nil || p.SE != nil {
		t.Errorf("of %d reviewed none has it: prevalence %+v", c.NReviewed, p)
	}
	if c.Prevalence.Silver.Ends == nil || c.AUC.Silver.Ends == nil || c.Prevalence.RoganGladen.Value != nil || c.AUC.PPI.Value != nil {
		t.Errorf("the labels' own figures have intervals, others are not defined: %+v", c)
	}
}

// Two of forty patients: the mean, its standard error, 3.69 degrees of freedom and the ends are numpy's and scipy.stats.t's.
func TestReviewedInterval(t *testing.T) {
	hits := make([]float64, 40)
	hits[3], hits[17] = 1, 1
	of := Clusters{N: 40}
	for i := range hits {
		of.Of = append(of.Of, int32(i))
	}
	mean, err := MeanStatistic(hits, of)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Bootstrap(of.N, []Statistic{mean}, Resampling{N: 50})
	if err != nil {
		t.Fatal(err)
	}
	got := r.reviewed(func(column func(i int) float64) float64 { return column(0) })
	if got.Ends == nil {
		t.Fatalf("no interval: %+v", got)
	}
	for i, want := range [2]float64{0.006347017007262992, 0.302488684951559} {
		near(t, "reviewed", got.Ends[i], want, 1e-12)
	}
	if all := r.reviewed(func(column func(i int) float64) float64 { return 1 }); all.Ends == nil || all.Ends[0] != 1 {
		t.Errorf("all right: %+v", all)
	}
}

// Intervals of figures corrected by 300 reviewed rows hold the truth, those of silver labels do not. SILVERBEAM_SIMULATE=2000
// draws that many of three kinds of sample.
func TestCorrectedCover(t *testing.T) {
	repetitions, err := strconv.Atoi(os.Getenv("SILVERBEAM_SIMULATE"))
	worlds, resamples, least := []silverWorld{{1304, 300, .2, false}, {1304, 300, .2, true}, {1304, 300, .07, true}}, 500, 93.
	if err != nil {
		repetitions, worlds, resamples, least = 60, worlds[1:2], 200, 85
	}
	for _, w := range worlds {
		got := w.cover(repetitions, resamples)
		for _, name := range []string{"prevalence | silver", "prevalence | Rogan-Gladen", "prevalence | PPI", "AUC | silver", "AUC | reviewed alone", "AUC | PPI"} {
			x := got[name]
			fmt.Printf("| %s | %.1f (%.3f) |\n", name, x.share(), x.width/float64(x.n-x.undefined))
			naive := strings.HasSuffix(name, "silver")
			if share := x.share(); naive && share > 80 || !naive && (share < least || share > 99) {
				t.Errorf("%+v: %s: intervals hold the truth %.1f %% of the time", w, name, share)
			}
		}
	}
}
