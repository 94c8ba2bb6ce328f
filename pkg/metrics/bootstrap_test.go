package metrics

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

func TestBootstrapAgainstScipy(t *testing.T) {
	g := readGolden(t)
	for _, b := range g.Bootstrap {
		c := g.Cases[b.Case]
		clusters := Clusters{N: len(b.Resamples[0]), Of: b.Cluster}
		stat, err := AUCStatistic(c.Y, c.S, clusters)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Bootstrap(clusters.N, []Statistic{stat}, Resampling{Resamples: b.Resamples})
		if err != nil {
			t.Fatal(err)
		}
		got := r.Interval(0)
		near(t, "value", *got.Value, b.Value, 1e-12)
		near(t, "se", *got.SE, b.SE, 1e-12)
		for i := range 2 {
			near(t, "percentile", got.Percentile[i], b.Percentile[i], 1e-9)
			near(t, "bca", got.BCa[i], b.BCa[i], 1e-9)
			near(t, "interval", got.Ends[i], b.Interval[i], 1e-9)
		}
	}
}

// table draws n rows of 18 findings, three rows a patient; a tenth of the cells is unknown, one finding has one class.
func table(n int) Scores {
	rng := rand.New(rand.NewPCG(7, 8))
	t := Scores{Probability: true}
	for i := range n {
		t.Patient = append(t.Patient, string(rune('a'+i/3%1000))+string(rune('a'+i/3/1000)))
	}
	for f := range 18 {
		y, s := make([]int8, n), make([]float64, n)
		for i := range y {
			if y[i] = 0; f > 0 && rng.Float64() < .05+.02*float64(f) {
				y[i] = 1
			}
			s[i] = 1 / (1 + math.Exp(-rng.NormFloat64()-float64(y[i])))
			if rng.IntN(10) == 0 {
				y[i] = Missing
			}
		}
		t.Findings = append(t.Findings, string(rune('A'+f)))
		t.Y, t.S, t.Threshold = append(t.Y, y), append(t.S, s), append(t.Threshold, .5)
	}
	return t
}

func TestSummaryIsTheSameAtAnyParallelism(t *testing.T) {
	data := table(300)
	var first []byte
	for _, procs := range []int{1, 2, 7} {
		old := runtime.GOMAXPROCS(procs)
		s, err := data.Compare(data.S, Resampling{N: 200, Seed: 5})
		runtime.GOMAXPROCS(old)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		} else if string(first) != string(got) {
			t.Fatalf("%d processors: different bytes", procs)
		}
		if s.Macro.NLabels != 17 || s.Labels["A"].Status != "undefined" || s.Labels["A"].AUC != nil {
			t.Errorf("macro over %d findings, A %+v", s.Macro.NLabels, s.Labels["A"])
		}
		if b := s.Bootstrap; *b.MacroAUC.Value != *s.Macro.AUC || b.Difference.Percentile[0] != 0 || b.Difference.Percentile[1] != 0 {
			t.Errorf("bootstrap %+v", s.Bootstrap)
		}
	}
}

// Rows that repeat for one patient add no information: resampling rows as if independent gives an interval that is too
// narrow, resampling patients does not change when every row is doubled.
func TestBootstrapResamplesPatients(t *testing.T) {
	width := func(y []int8, s []float64, patient []string) float64 {
		c := ClustersOf(patient)
		stat, err := AUCStatistic(y, s, c)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Bootstrap(c.N, []Statistic{stat}, Resampling{N: 500, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		p := r.Interval(0).Percentile
		return p[1] - p[0]
	}
	var y, y2 []int8
	var s, s2 []float64
	var id, id2 []string
	for i := range textY {
		name := string(rune('a' + i))
		y, s, id = append(y, textY[i]), append(s, textA[i]), append(id, name)
		y2, s2, id2 = append(y2, textY[i], textY[i]), append(s2, textA[i], textA[i]), append(id2, name, name)
	}
	near(t, "width with every row twice", width(y2, s2, id2), width(y, s, id), 1e-12)
}

// The interval of a mean has a closed form to compare with.
func TestMeanStatistic(t *testing.T) {
	value, of := make([]float64, 400), Clusters{N: 400, Of: make([]int32, 400)}
	for i := range value {
		value[i], of.Of[i] = float64(i%4/3), int32(i) // a quarter ones
	}
	value[0] = math.NaN()
	stat, err := MeanStatistic(value, of)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Bootstrap(of.N, []Statistic{stat}, Resampling{N: 4000, Seed: 3})
	got := r.Interval(0)
	near(t, "mean", *got.Value, 100./399, 1e-12)
	near(t, "se", *got.SE, math.Sqrt(.25*.75/400), 1e-3)
}

func TestBalancedAccuracyStatistic(t *testing.T) {
	truth, predicted := []int8{1, 1, 0, 0, 0, Missing}, []int8{1, 0, 0, 0, 1, 1}
	stat, err := BalancedAccuracyStatistic(truth, predicted, ClustersOf([]string{"a", "a", "b", "c", "d", "e"}))
	if err != nil {
		t.Fatal(err)
	}
	got, ok := stat.At([]int32{1, 1, 1, 1, 1})
	if near(t, "balanced accuracy", got, (0.5+2./3)/2, 1e-15); !ok {
		t.Error("undefined")
	}
	if _, ok := stat.At([]int32{0, 1, 1, 1, 1}); ok {
		t.Error("without positives it is defined")
	}
}

// 18 findings, 3,000 rows, 1,000 patients, 2,000 resamples.
func BenchmarkBootstrap(b *testing.B) {
	data := table(3000)
	c := data.clusters()
	stats, err := data.statistics(data.S, c)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Bootstrap(c.N, stats, Resampling{N: 2000}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAUC50k(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	y, s := make([]int8, 50000), make([]float64, 50000)
	for i := range y {
		y[i], s[i] = int8(rng.IntN(2)), rng.Float64()
	}
	for b.Loop() {
		if _, _, err := AUC(y, s); err != nil {
			b.Fatal(err)
		}
	}
}

// A figure without a cluster is that of its rows left out, also where a patient holds a class alone, or all there is.
func TestWithoutACluster(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		n := 1 + rng.IntN(30)
		y, p, s, patient := make([]int8, n), make([]int8, n), make([]float64, n), make([]string, n)
		for i := range y {
			y[i], p[i] = int8(rng.IntN(3)-1), int8(rng.IntN(2))
			s[i], patient[i] = float64(rng.IntN(8)), string(rune('a'+rng.IntN(5)))
		}
		c := ClustersOf(patient)
		auc, _ := AUCStatistic(y, s, c)
		rate, _ := BalancedAccuracyStatistic(y, p, c)
		mean, _ := MeanStatistic(s, c)
		got, weight := make([]float64, c.N), make([]int32, c.N)
		for k, stat := range []Statistic{auc, rate, mean} {
			stat.Without(got)
			for left := range c.N {
				for i := range weight {
					weight[i] = 1
				}
				weight[left] = 0
				want := valueOrNaN(stat.At(weight))
				if !(math.Abs(got[left]-want) <= 1e-14 || math.IsNaN(got[left]) && math.IsNaN(want)) {
					t.Fatalf("statistic %d of %v, %v, %v without %d: %v, want %v", k, y, s, c.Of, left, got[left], want)
				}
			}
		}
	}
}
