package metrics

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// cohort is a made-up test set of patients with one to six volumes, whose findings and whose scores recur from one
// volume to the next. Scores of the present are normal around d, those of the absent around 0: the AUC is Φ(d/√2).
// There are six findings of each prevalence, each as good a draw of its figures as the next.
type cohort struct {
	patients   int
	prevalence []float64
	d, other   float64 // of the model and of another that it is compared with
}

const (
	keep   = 0.6 // is the share of volumes that repeat their patient's own finding; half of a score's variance is the patient's
	copies = 6
)

func (c cohort) draw(rng *rand.Rand) (t Scores, other [][]float64) {
	k := copies * len(c.prevalence)
	prevalence := func(f int) float64 { return c.prevalence[f/copies] }
	t.Y, t.S, other = make([][]int8, k), make([][]float64, k), make([][]float64, k)
	for f := range k {
		t.Findings = append(t.Findings, strconv.Itoa(f))
	}
	for p := range c.patients {
		volumes := 1
		for volumes < 6 && rng.Float64() < 0.6 {
			volumes++
		}
		own, effect, effect2 := make([]int8, k), make([]float64, k), make([]float64, k)
		for f := range k {
			own[f] = bit(rng.Float64() < prevalence(f))
			effect[f] = rng.NormFloat64()
			effect2[f] = .8*effect[f] + .6*rng.NormFloat64()
		}
		for range volumes {
			t.Patient = append(t.Patient, strconv.Itoa(p))
			for f := range k {
				y := own[f]
				if rng.Float64() >= keep {
					y = bit(rng.Float64() < prevalence(f))
				}
				t.Y[f] = append(t.Y[f], y)
				t.S[f] = append(t.S[f], c.d*float64(y)+math.Sqrt(.5)*(effect[f]+rng.NormFloat64()))
				other[f] = append(other[f], c.other*float64(y)+math.Sqrt(.5)*(effect2[f]+rng.NormFloat64()))
			}
		}
	}
	return t, other
}

// estimate is an interval and the truth that it should hold.
type estimate struct {
	name     string
	truth    float64
	interval *[2]float64
}

// evaluate gives the intervals of one draw: by patient, and the normal one that takes rows as independent.
func (c cohort) evaluate(seed uint64, resamples int) (out []estimate) {
	t, other := c.draw(rand.New(rand.NewPCG(seed, 11)))
	of, k := t.clusters(), len(t.Findings)
	stats := make([]Statistic, 4*k) // AUC, AUC of the other model, balanced accuracy, hits as of a recall@k
	must := func(s Statistic, err error) Statistic {
		if err != nil {
			panic(err)
		}
		return s
	}
	for f := range k {
		said, hits := make([]int8, len(t.S[f])), make([]float64, len(t.S[f]))
		for i, v := range t.S[f] {
			said[i], hits[i] = bit(v >= c.d/2), float64(bit(v-c.d*float64(t.Y[f][i]) > 1))
		}
		stats[f], stats[k+f] = must(AUCStatistic(t.Y[f], t.S[f], of)), must(AUCStatistic(t.Y[f], other[f], of))
		stats[2*k+f], stats[3*k+f] = must(BalancedAccuracyStatistic(t.Y[f], said, of)), must(MeanStatistic(hits, of))
	}
	r, err := Bootstrap(of.N, stats, Resampling{N: resamples, Seed: seed})
	if err != nil {
		panic(err)
	}
	add := func(name string, truth float64, i Interval) {
		out = append(out, estimate{name + " | shown", truth, i.Ends}, estimate{name + " | BCa", truth, i.BCa}, estimate{name + " | percentile", truth, i.Percentile})
	}
	auc, auc2 := normalCDF(c.d/math.Sqrt2), normalCDF(c.other/math.Sqrt2)
	for f := range k {
		p := fmt.Sprintf("prevalence %.2f", c.prevalence[f/copies])
		add("AUC, "+p, auc, r.Interval(f))
		add("balanced accuracy, "+p, normalCDF(c.d/2), r.Interval(2*k+f))
		d, _ := DeLongAUC(t.Y[f], t.S[f])
		out = append(out, estimate{"AUC, " + p + " | DeLong", auc, d.Normal})
	}
	for i := range copies {
		var of, than []int // one finding of each prevalence
		for f := i; f < k; f += copies {
			of, than = append(of, f), append(than, k+f)
		}
		add("macro AUC", auc, r.Mean(of...))
		add("difference of macro AUCs", auc-auc2, r.Difference(of, than))
		add("a mean of hits, 0.16", normalCDF(-1), r.Interval(3*k+i))
	}
	return out
}

// cover counts how often each interval holds the truth.
func (c cohort) cover(repetitions, resamples int) map[string]*coverage {
	return coverages(repetitions, func(seed uint64) []estimate { return c.evaluate(seed, resamples) })
}

// coverages evaluates as many draws, two at a time.
func coverages(repetitions int, evaluate func(seed uint64) []estimate) map[string]*coverage {
	out := map[string]*coverage{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for half := range 2 {
		wg.Go(func() {
			for r := half; r < repetitions; r += 2 {
				got := evaluate(uint64(r))
				mu.Lock()
				for _, e := range got {
					if out[e.name] == nil {
						out[e.name] = &coverage{}
					}
					out[e.name].add(e.truth, e.interval)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return out
}

// intervalNames are the columns of the table.
var intervalNames = []string{"shown", "BCa", "percentile", "DeLong"}

// The ordinary test draws few small cohorts; SILVERBEAM_SIMULATE=2000 draws that many of three sizes and prints the table of
// docs/benchmarks.md: 12,000 intervals a figure, whose share tells 94 from 94.4. The intervals that are shown hold the truth
// 95 ± 1 % of the time.
func TestBootstrapCovers(t *testing.T) {
	repetitions, err := strconv.Atoi(os.Getenv("SILVERBEAM_SIMULATE"))
	if err != nil {
		got := cohort{100, []float64{.45, .07}, 1.5, 1.2}.cover(40, 200)
		for _, name := range []string{"AUC, prevalence 0.45", "AUC, prevalence 0.07", "macro AUC", "difference of macro AUCs", "a mean of hits, 0.16"} {
			if share := got[name+" | shown"].share(); share < 90 || share > 99 {
				t.Errorf("%s: intervals of 40 cohorts hold the truth %.1f %% of the time", name, share)
			}
		}
		// The test can tell: intervals that take rows for unrelated do not hold it, nor do those of many patients where few tell.
		if a, b := got["AUC, prevalence 0.45 | DeLong"].share(), got["AUC, prevalence 0.07 | percentile"].share(); a > 92 || b > 92 {
			t.Errorf("rows as independent %.1f %%, percentile with few positives %.1f %%: the simulation is too easy", a, b)
		}
		return
	}
	for _, c := range []cohort{{100, []float64{.45, .2, .07}, 1.5, 1.2}, {300, []float64{.45, .2, .07}, 1.5, 1.2}, {1304, []float64{.45, .2, .07, .02}, 1.5, 1.2}} {
		got := c.cover(repetitions, 1000)
		fmt.Printf("\n| %d patients | %s |\n|---|%s\n", c.patients, strings.Join(intervalNames, " | "), strings.Repeat("---|", len(intervalNames)))
		for _, key := range slices.Sorted(maps.Keys(got)) {
			name, interval, _ := strings.Cut(key, " | ")
			if interval != "shown" {
				continue
			}
			printCoverage(name, name, byInterval(got, name), intervalNames)
			if share := got[key].share(); math.Abs(share-95) > 1 {
				t.Errorf("%d patients: %s: intervals hold the truth %.2f %% of the time", c.patients, name, share)
			}
		}
	}
}

// byInterval turns coverages of one figure into what printCoverage takes.
func byInterval(got map[string]*coverage, name string) map[string]map[string]*coverage {
	out := map[string]map[string]*coverage{}
	for _, i := range intervalNames {
		c := got[name+" | "+i]
		if c == nil {
			c = &coverage{}
		}
		out[i] = map[string]*coverage{name: c}
	}
	return out
}
