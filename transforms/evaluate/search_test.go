package evaluate

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/result"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/testing/ptest"
)

func TestMain(m *testing.M) { ptest.Main(m) }

// split makes a split of some 200 volumes of 90 studies, of one to four each, whose vectors have many ties: among the
// volumes of a study, between studies near to and far from each other, and between queries and the pool.
func split() (*pool, vectors) {
	rng := rand.New(rand.NewPCG(3, 5))
	p := &pool{Header: result.Header{Split: "valid"}, y: make([][]int8, 5)}
	whole := func() (v []float32) {
		for range 4 {
			v = append(v, float32(rng.IntN(3)-1))
		}
		return append(v, 1) // no zero vector
	}
	var v vectors
	for study := range 90 {
		v.reports, v.conclusions = append(v.reports, whole()), append(v.conclusions, whole())
		for volume := range 1 + rng.IntN(4) {
			p.rows = append(p.rows, shard.Row{Study: fmt.Sprintf("s%03d", study), Volume: fmt.Sprintf("s%03d_%d", study, volume), Patient: fmt.Sprintf("p%02d", study/2)})
			p.patients = append(p.patients, fmt.Sprintf("p%02d", study/2))
			v.volumes = append(v.volumes, whole())
			for k := range p.y {
				p.y[k] = append(p.y[k], int8(rng.IntN(4)/3))
			}
		}
	}
	return p, v
}

// write keeps the vectors as embedding would.
func (r retriever) write(t *testing.T, p *pool, v vectors) {
	a := p.asking()
	parts, _ := r.stretches(p)
	for i, x := range parts {
		from, to := a.of[x.from], a.of[x.to-1]+1
		if err := (vectors{v.volumes[x.from:x.to], v.reports[from:to], v.conclusions[from:to]}).save(r.vectorsFile(p, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
}

// blockwise makes the retriever of a run folder with files of vectors, and what its tasks find.
func blockwise(t *testing.T, p *pool, v vectors, partRows, blockRows int) (r retriever, tasks []ranked) {
	dir := t.TempDir()
	r = retriever{modelFn{Type: RetrievalName, Name: "r", Run: schemas.Run{Dir: dir}}, partRows, blockRows}
	r.F.Options.Bootstrap = 50
	if err := shard.WriteFile(r.F.Run.Dir+"/eval/x", nil); err != nil {
		t.Fatal(err)
	}
	r.write(t, p, v)
	_, blocks := r.stretches(p)
	for q := range blocks {
		for i := range blocks {
			f, err := r.search(p, task{Query: q, Pool: i})
			if err != nil {
				t.Fatal(err)
			}
			tasks = append(tasks, ranked{schemas.Model{Step: "m"}, []found{f}})
		}
	}
	return r, tasks
}

// However a split is cut, and in whatever order and bundles the Combine gets what was found, every figure is that of the
// search in memory, of which numpy judges in pkg/metrics.
func TestShardedIsInMemory(t *testing.T) {
	p, v := split()
	study, a := make([]string, len(p.rows)), p.asking()
	for i, row := range p.rows {
		study[i] = row.Study
	}
	labels := rowsOf(p.y, len(p.rows))
	reports, err := metrics.RankStudies(v.conclusions, a.studies, v.volumes, study, metrics.Cosine, recallAt...)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := metrics.RankStudies(v.reports, a.studies, v.volumes, study, metrics.Cosine, recallAt...)
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := metrics.CTCLIPVolumeMap(v.volumes, v.volumes, labels, 1, 5, 10, 50)
	if err != nil {
		t.Fatal(err)
	}
	each, alone, firsts := make([]string, len(p.rows)), [][]float32{}, [][]float32{}
	for i, row := range p.rows {
		each[i] = row.Volume
		alone = append(alone, v.reports[a.of[i]])
		if a.first[a.of[i]] == i {
			firsts = append(firsts, v.volumes[i])
		}
	}
	paired, err := metrics.RankStudies(alone, each, v.volumes, each, metrics.Dot, pairedAt...)
	if err != nil {
		t.Fatal(err)
	}
	unique, err := metrics.RankStudies(v.reports, a.studies, firsts, a.studies, metrics.Dot, pairedAt...)
	if err != nil {
		t.Fatal(err)
	}
	var asked [][]float32
	for _, i := range a.shown() {
		asked = append(asked, v.conclusions[i])
	}
	gallery, err := metrics.TopK(asked, v.volumes, metrics.Cosine, galleryHits, nil)
	if err != nil {
		t.Fatal(err)
	}
	var first string
	for blocks, rows := range map[int][2]int{1: {64, 4096}, 3: {10, 75}, 7: {7, 30}} {
		r, tasks := blockwise(t, p, v, rows[0], rows[1])
		if len(tasks) != blocks*blocks {
			t.Fatalf("%d tasks, want %d blocks", len(tasks), blocks)
		}
		for trial := range 5 {
			got := bundled(rand.New(rand.NewPCG(uint64(trial), 1)), tasks)
			out, err := r.judge(p, got)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(out.Reports, reports) || !reflect.DeepEqual(out.Whole, whole) || !reflect.DeepEqual(out.CTCLIP, shipped) ||
				!reflect.DeepEqual(out.Paired, result.PairedRecall{All: paired, Unique: unique}) {
				t.Fatalf("%d blocks: not what is found in memory", blocks)
			}
			for i, q := range out.Gallery {
				for j, h := range q.Hits {
					if want := gallery[i][j]; h.Volume != p.rows[want.Row].Volume || h.Score != want.Score {
						t.Errorf("%d blocks, query %d: hit %d is %v, want row %d", blocks, i, j, h, want.Row)
					}
				}
			}
			out.Escrow = ""
			text, err := json.Marshal(out)
			if err != nil {
				t.Fatal(err)
			}
			if first == "" {
				first = string(text)
			}
			if string(text) != first {
				t.Fatalf("%d blocks, trial %d: other bytes", blocks, trial)
			}
		}
	}
}

// bundled combines as runners do: bundles of any size, merged in any order, with empty ones between.
func bundled(rng *rand.Rand, tasks []ranked) ranked {
	f := &foundFn{}
	bundles := make([]ranked, 1+rng.IntN(len(tasks)+2))
	for _, i := range rng.Perm(len(tasks)) {
		b := rng.IntN(len(bundles))
		bundles[b] = f.AddInput(bundles[b], tasks[i])
	}
	for len(bundles) > 1 {
		rng.Shuffle(len(bundles), func(i, j int) { bundles[i], bundles[j] = bundles[j], bundles[i] })
		bundles = append(bundles[2:], f.MergeAccumulators(bundles[0], bundles[1]))
	}
	return f.ExtractOutput(bundles[0])
}

// What goes over the wire between workers comes back whole.
func TestCombinesOnPrism(t *testing.T) {
	p, v := split()
	_, tasks := blockwise(t, p, v, 7, 30)
	want, err := json.Marshal(bundled(rand.New(rand.NewPCG(1, 1)), tasks))
	if err != nil {
		t.Fatal(err)
	}
	graph, s := beam.NewPipelineWithRoot()
	beam.ParDo0(s, &wants{string(want)}, beam.Combine(s, &foundFn{}, beam.Reshuffle(s, beam.CreateList(s, tasks))))
	if _, err := beam.Run(t.Context(), "prism", graph); err != nil {
		t.Error(err)
	}
}

type wants struct{ Want string }

func (w *wants) ProcessElement(got ranked) error {
	text, err := json.Marshal(got)
	if err == nil && string(text) != w.Want {
		err = fmt.Errorf("the Combine gave %d bytes, want %d", len(text), len(w.Want))
	}
	return err
}

func init() { beam.RegisterDoFn(reflect.TypeFor[wants]()) }
