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
type cohort struct {
	patients   int
	prevalence []float64
	d, other   float64 // of the model and of another that it is compared with
}

// keep is the share of volumes that repeat their patient's own finding; half of a score's variance is the patient's.
const keep = 0.6

func (c cohort) draw(rng *rand.Rand) (t Scores, other [][]float64) {
	k := len(c.prevalence)
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
			own[f] = bit(rng.Float64() < c.prevalence[f])
			effect[f] = rng.NormFloat64()
			effect2[f] = .8*effect[f] + .6*rng.NormFloat64()
		}
		for range volumes {
			t.Patient = append(t.Patient, strconv.Itoa(p))
			for f := range k {
				y := own[f]
				if rng.Float64() >= keep {
					y = bit(rng.Float64() < c.prevalence[f])
				}
				t.Y[f] = append(t.Y[f], y)
				t.S[f] = append(t.S[f], c.d*float64(y)+math.Sqrt(.5)*(effect[f]+rng.NormFloat64()))
				other[f] = append(other[f], c.other*float64(y)+math.Sqrt(.5)*(effect2[f]+rng.NormFloat64()))
			}
		}
	}
	return t, other
}

// figures are intervals and the truth that they should hold, by name.
type figures map[string]struct {
	truth    float64
	interval *[2]float64
}

func (f figures) add(name string, truth float64, i *[2]float64) {
	f[name] = struct {
		truth    float64
		interval *[2]float64
	}{truth, i}
}

// evaluate gives the intervals of one draw: by patient, and the normal one that takes rows as independent.
func (c cohort) evaluate(seed uint64, resamples int) figures {
	t, other := c.draw(rand.New(rand.NewPCG(seed, 11)))
	out := figures{}
	s, err := t.Compare(other, Resampling{N: resamples, Seed: seed})
	if err != nil {
		panic(err)
	}
	add := func(name string, truth float64, i Interval) {
		out.add(name+" | percentile", truth, i.Percentile)
		out.add(name+" | BCa", truth, i.BCa)
		out.add(name+" | expanded", truth, i.Expanded)
	}
	auc, auc2 := normalCDF(c.d/math.Sqrt2), normalCDF(c.other/math.Sqrt2)
	of := t.clusters()
	var stats []Statistic
	for f, name := range t.Findings {
		add(fmt.Sprintf("AUC, prevalence %.2f", c.prevalence[f]), auc, s.Bootstrap.AUC[name])
		d, _ := DeLongAUC(t.Y[f], t.S[f])
		out.add(fmt.Sprintf("AUC, prevalence %.2f | DeLong", c.prevalence[f]), auc, d.Normal)
		said := make([]int8, len(t.Y[f]))
		for i, v := range t.S[f] {
			said[i] = bit(v >= c.d/2)
		}
		st, err := BalancedAccuracyStatistic(t.Y[f], said, of)
		if err != nil {
			panic(err)
		}
		stats = append(stats, st)
	}
	add("macro AUC", auc, s.Bootstrap.MacroAUC)
	add("difference of macro AUCs", auc-auc2, *s.Bootstrap.Difference)
	hits := make([]float64, len(t.S[0])) // as of a recall@k
	for i, v := range t.S[0] {
		hits[i] = float64(bit(v-c.d*float64(t.Y[0][i]) > 1))
	}
	st, _ := MeanStatistic(hits, of)
	r, err := Bootstrap(of.N, append(stats, st), Resampling{N: resamples, Seed: seed})
	if err != nil {
		panic(err)
	}
	for f, p := range c.prevalence {
		add(fmt.Sprintf("balanced accuracy, prevalence %.2f", p), normalCDF(c.d/2), r.Interval(f))
	}
	add("a mean of hits, 0.16", normalCDF(-1), r.Interval(len(stats)))
	return out
}

// cover counts how often each interval holds the truth.
func (c cohort) cover(repetitions, resamples int) map[string]*coverage {
	return coverages(repetitions, func(seed uint64) figures { return c.evaluate(seed, resamples) })
}

// coverages evaluates as many draws, two at a time.
func coverages(repetitions int, evaluate func(seed uint64) figures) map[string]*coverage {
	out := map[string]*coverage{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for half := range 2 {
		wg.Go(func() {
			for r := half; r < repetitions; r += 2 {
				got := evaluate(uint64(r))
				mu.Lock()
				for name, f := range got {
					if out[name] == nil {
						out[name] = &coverage{}
					}
					out[name].add(f.truth, f.interval)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return out
}

// intervalNames are the columns of the table.
var intervalNames = []string{"expanded", "BCa", "percentile", "DeLong"}

// The ordinary test draws few small cohorts; SILVERBEAM_SIMULATE=2000 draws that many of three sizes and prints the table of
// docs/benchmarks.md. Expanded intervals hold the truth 95 ± 1 % of the time: all figures of a cohort together as counted,
// each figure but for two standard errors of so many repetitions (20,000 tell 94 from 94.3).
func TestBootstrapCovers(t *testing.T) {
	repetitions, err := strconv.Atoi(os.Getenv("SILVERBEAM_SIMULATE"))
	if err != nil {
		got := cohort{100, []float64{.45, .07}, 1.5, 1.2}.cover(200, 200)
		for _, name := range []string{"AUC, prevalence 0.45", "AUC, prevalence 0.07", "macro AUC", "difference of macro AUCs", "a mean of hits, 0.16"} {
			if share := got[name+" | expanded"].share(); share < 90 || share > 99 {
				t.Errorf("%s: intervals of 200 cohorts hold the truth %.1f %% of the time", name, share)
			}
		}
		// The test can tell: intervals that take rows for unrelated do not hold it, nor do those of many patients where few tell.
		if a, b := got["AUC, prevalence 0.45 | DeLong"].share(), got["AUC, prevalence 0.07 | percentile"].share(); a > 92 || b > 92 {
			t.Errorf("rows as independent %.1f %%, percentile with few positives %.1f %%: the simulation is too easy", a, b)
		}
		return
	}
	noise := 200 * math.Sqrt(.95*.05/float64(repetitions))
	for _, c := range []cohort{{100, []float64{.45, .2, .07}, 1.5, 1.2}, {300, []float64{.45, .2, .07}, 1.5, 1.2}, {1304, []float64{.45, .2, .07, .02}, 1.5, 1.2}} {
		got := c.cover(repetitions, 1000)
		fmt.Printf("\n| %d patients | %s |\n|---|%s\n", c.patients, strings.Join(intervalNames, " | "), strings.Repeat("---|", len(intervalNames)))
		var all coverage
		for _, key := range slices.Sorted(maps.Keys(got)) {
			name, interval, _ := strings.Cut(key, " | ")
			if interval != "expanded" {
				continue
			}
			printCoverage(name, name, byInterval(got, name), intervalNames)
			all.merge(got[key])
			if share := got[key].share(); math.Abs(share-95) > 1+noise {
				t.Errorf("%d patients: %s: intervals hold the truth %.2f %% of the time", c.patients, name, share)
			}
		}
		if share := all.share(); math.Abs(share-95) > 1 {
			t.Errorf("%d patients: over all figures, intervals hold the truth %.2f %% of the time", c.patients, share)
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
