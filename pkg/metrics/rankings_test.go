package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// Retrieval by numpy and scikit-learn: testdata/rankings.py.
type rankings struct {
	Queries, Pool, Few [][]float64
	Four               [][][]float64
	Labels             [][]int8
	Patient            []string
	Scan, Asked        []string
	Clean              map[string]any
	VolumeMap          map[string]any `json:"volume_map"`
	Report             map[string]any
	Study              map[string]any
	MC4                map[string]any
}

func TestRankingsAgainstNumpy(t *testing.T) {
	var g rankings
	b, err := os.ReadFile("testdata/rankings.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Run("float64", func(t *testing.T) { againstNumpy(t, g, g.Queries, g.Pool) })
	t.Run("float32", func(t *testing.T) { againstNumpy(t, g, singles(g.Queries), singles(g.Pool)) }) // whole numbers: exact
}

func againstNumpy[T Float](t *testing.T, g rankings, queries, pool [][]T) {
	ks := []int{1, 5, 10, 50}
	clean, err := VolumeRecall(queries, pool, g.Labels, g.Patient, Cosine, ks...)
	same(t, "clean", clean, g.Clean, err)
	shipped, err := CTCLIPVolumeMap(queries, pool, g.Labels, ks...)
	same(t, "volume_map", shipped, g.VolumeMap, err)
	rows := make([]string, len(pool))
	for i := range rows {
		rows[i] = fmt.Sprint(i)
	}
	report, err := RankStudies(queries, rows[:len(queries)], pool, rows, Dot, 5, 10, 50, 100)
	same(t, "report", report.RecallAtK, g.Report, err)
	study, err := RankStudies(queries, g.Asked, pool, g.Scan, Cosine, ks...)
	same(t, "study", study, g.Study, err)
	same(t, "mc4", Choose(g.Few, g.Four), g.MC4, nil)
}

func singles(v [][]float64) (out [][]float32) {
	for _, row := range v {
		var r []float32
		for _, x := range row {
			r = append(r, float32(x))
		}
		out = append(out, r)
	}
	return out
}

// same holds every figure that want has against got's JSON.
func same(t *testing.T, name string, got any, want map[string]any, err error) {
	t.Helper()
	var g map[string]any
	b, err2 := json.Marshal(got)
	if err == nil && err2 == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil || err2 != nil || len(want) == 0 {
		t.Fatal(name, err, err2)
	}
	for k, w := range want {
		switch w := w.(type) {
		case map[string]any:
			same(t, name+"."+k, g[k], w, nil)
		case nil:
			if v, ok := g[k]; ok && v != nil {
				t.Errorf("%s.%s = %v, want null", name, k, v)
			}
		case float64:
			if v, ok := g[k].(float64); !ok || math.Abs(v-w) > 1e-12 {
				t.Errorf("%s.%s = %v, want %v", name, k, g[k], w)
			}
		}
	}
}
