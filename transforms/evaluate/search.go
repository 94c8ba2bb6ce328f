package evaluate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/metrics"
	"silverbeam/pkg/net"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// vectorsVersion changes with what is in a file of vectors.
const vectorsVersion = 1

// Retrieval evaluates a model on one split: PCollection<Model> → PCollection<Model> of one result, eval/NAME.json. Parts of
// the split are embedded on their own, each to a file of the run that a later attempt takes up; then every block of queries
// is searched in every block of the pool, and a Combine brings together what they found, which depends neither on the
// number of blocks nor on the order in which they come.
func Retrieval(s beam.Scope, name string, o RetrievalOptions, e Embeddings, findings string, run schemas.Run, in beam.PCollection) beam.PCollection {
	s = s.Scope(name)
	r := retriever{modelFn{RetrievalName, name, ZeroShotOptions{ScoreOptions: ScoreOptions{ModelOptions: o.ModelOptions}, Likeness: o.Likeness}, e, findings, run}, 64, 4096}
	parts, kept := beam.ParDo2(s, &partsFn{r}, in)
	embedded := beam.ParDo(s, &embedFn{R: r}, beam.Reshuffle(s, parts))
	tasks := beam.ParDo(s, &tasksFn{r}, beam.GroupByKey(s, beam.AddFixedKey(s, embedded)))
	found := beam.Combine(s, &foundFn{}, beam.ParDo(s, &searchFn{r}, beam.Reshuffle(s, tasks)))
	return beam.Flatten(s, kept, beam.ParDo(s, &rankedFn{r}, found))
}

// retriever is what the parts of an evaluate.Retrieval step share.
type retriever struct {
	F         modelFn
	PartRows  int // volumes that are embedded as one element of work, at least
	BlockRows int // queries, and volumes of the pool, that are searched as one, at least
}

// part is a stretch of the split's rows, by its number.
type part struct {
	Model schemas.Model
	Index int
}

// task is a block of queries to be searched in a block of the pool, by their numbers.
type task struct {
	Model       schemas.Model
	Query, Pool int
}

// found is what the queries of a block found in some blocks of the pool. Rows are those of the split.
type found struct {
	Query                int
	Reports, Conclusions []metrics.Standing // of each study of the block: whole, and what a report concludes
	Rows, First          []metrics.Standing // of each of its volumes, and of the first one of each study: CT-CLIP's recall
	Volumes              [][]metrics.Hit    // of each of its volumes, as CT-CLIP's script has its pool
	Gallery              [][]metrics.Hit    // of those of its studies that the gallery shows
}

// and takes in what the same queries found in other blocks.
func (f found) and(g found) found {
	return found{f.Query, add(f.Reports, g.Reports), add(f.Conclusions, g.Conclusions), add(f.Rows, g.Rows), add(f.First, g.First), merge(f.Volumes, g.Volumes, volumeHits), merge(f.Gallery, g.Gallery, galleryHits)}
}

func add(a, b []metrics.Standing) []metrics.Standing {
	out := make([]metrics.Standing, len(a))
	for i := range a {
		out[i] = a[i].Add(b[i])
	}
	return out
}

func merge(a, b [][]metrics.Hit, k int) [][]metrics.Hit {
	out := make([][]metrics.Hit, len(a))
	for i := range a {
		out[i] = metrics.Merge(a[i], b[i], k)
	}
	return out
}

// ranked is what all queries found: a block of them once, in any order.
type ranked struct {
	Model  schemas.Model
	Blocks []found
}

func (r ranked) and(m schemas.Model, more ...found) ranked {
	out := ranked{m, slices.Clone(r.Blocks)}
	for _, f := range more {
		if i := slices.IndexFunc(out.Blocks, func(g found) bool { return g.Query == f.Query }); i >= 0 {
			out.Blocks[i] = out.Blocks[i].and(f)
		} else {
			out.Blocks = append(out.Blocks, f)
		}
	}
	return out
}

// foundFn combines ranked: of single tasks, and of many.
type foundFn struct{}

func (*foundFn) CreateAccumulator() ranked          { return ranked{} }
func (*foundFn) AddInput(a ranked, r ranked) ranked { return a.and(r.Model, r.Blocks...) }
func (*foundFn) MergeAccumulators(a, b ranked) ranked {
	return a.and(cmp.Or(a.Model, b.Model), b.Blocks...)
}
func (*foundFn) ExtractOutput(a ranked) ranked {
	slices.SortFunc(a.Blocks, func(x, y found) int { return x.Query - y.Query })
	return a
}

// stretch is rows [from, to) of a split, in which every study is whole.
type stretch struct{ from, to int }

// stretches cuts a split's rows into parts, and these into blocks.
func (r retriever) stretches(p *pool) (parts, blocks []stretch) {
	for i, row := range p.rows {
		if i == 0 || i-parts[len(parts)-1].from >= r.PartRows && row.Study != p.rows[i-1].Study {
			parts = append(parts, stretch{i, i})
		}
		parts[len(parts)-1].to = i + 1
	}
	for i, x := range parts {
		if i == 0 || x.from-blocks[len(blocks)-1].from >= r.BlockRows {
			blocks = append(blocks, x)
		}
		blocks[len(blocks)-1].to = x.to
	}
	return parts, blocks
}

// vectors are those of some studies: of each volume, and of each study's report, whole and its conclusion.
type vectors struct{ volumes, reports, conclusions [][]float32 }

func (v *vectors) fields() map[string]*[][]float32 {
	return map[string]*[][]float32{"volumes": &v.volumes, "reports": &v.reports, "conclusions": &v.conclusions}
}

func (v vectors) save(path string) error {
	tensors := map[string]net.Tensor{}
	for name, rows := range v.fields() {
		tensors[name] = net.Tensor{Shape: []int{len(*rows), len((*rows)[0])}, F32: slices.Concat(*rows...)}
	}
	return net.SaveSafetensors(path, tensors, nil)
}

// load appends the vectors of a file.
func (v *vectors) load(path string) error {
	tensors, _, err := net.LoadSafetensors(path)
	if err != nil {
		return err
	}
	for name, rows := range v.fields() {
		t, ok := tensors[name]
		if !ok || len(t.Shape) != 2 {
			return fmt.Errorf("%s: no vectors %q", path, name)
		}
		*rows = slices.AppendSeq(*rows, slices.Chunk(t.F32, t.Shape[1]))
	}
	return nil
}

// vectorsFile is the name of a part's file; "*" is every part's.
func (r retriever) vectorsFile(p *pool, index string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %s %s %s %t%s", vectorsVersion, r.PartRows, p.sealed.Model, p.sealed.Data, p.Split, r.F.Options.Likeness == Dot, p.vectors))
	return filepath.Join(r.F.Run.Dir, "eval", fmt.Sprintf("%s.%x.%s.vectors", r.F.Name, sum[:6], index))
}

// read reads the vectors of a stretch's parts.
func (r retriever) read(p *pool, at stretch) (v vectors, err error) {
	parts, _ := r.stretches(p)
	for i, x := range parts {
		if x.from >= at.from && x.to <= at.to {
			if err := v.load(r.vectorsFile(p, fmt.Sprint(i))); err != nil {
				return v, err
			}
		}
	}
	return v, nil
}

// asking is a split's studies in its rows' order: each asks by its report.
type asking struct {
	studies, patients, reports []string
	first                      []int // row of each
	of                         []int // study of each row
}

func (p *pool) asking() (a asking) {
	for i, r := range p.rows {
		if i == 0 || r.Study != p.rows[i-1].Study {
			a.studies, a.patients, a.reports = append(a.studies, r.Study), append(a.patients, r.Patient), append(a.reports, r.Report)
			a.first = append(a.first, i)
		}
		a.of = append(a.of, len(a.studies)-1)
	}
	return a
}

// shown are the studies that the gallery shows, evenly from the split.
func (a asking) shown() (studies []int) {
	n := min(galleryQueries, len(a.studies))
	for i := range n {
		studies = append(studies, i*len(a.studies)/n)
	}
	return studies
}

// embed makes the file of one part, unless it is there.
func (r retriever) embed(ctx context.Context, m *fit.Model, p *pool, index int) error {
	path := r.vectorsFile(p, fmt.Sprint(index))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parts, _ := r.stretches(p)
	q := pool{rows: p.rows[parts[index].from:parts[index].to]}
	var reports []fit.Passage
	for i, a := 0, q.asking(); i < len(a.studies); i++ {
		reports = append(reports, fit.Passage{Report: a.reports[i], Study: a.studies[i]})
	}
	var v vectors
	var err error
	if v.volumes, err = m.EmbedVolumes(ctx, q.rows); err != nil {
		return err
	}
	if v.reports, err = m.EmbedReports(ctx, reports, true); err != nil {
		return err
	}
	if v.conclusions, err = m.EmbedReports(ctx, reports, false); err != nil {
		return err
	}
	return v.save(path)
}

// series is what can be found of a block: vectors, the number of what each is of, and the first such number.
type series struct {
	vectors [][]float32
	of      []int
	first   int
}

// ids are the numbers as text.
func (s series) ids() (out []string) {
	for _, n := range s.of {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

// series gives a block's volumes as reconstructions of studies, on their own, and the first of each study alone.
func (a asking) series(at stretch, v vectors) (studies, rows, first series) {
	studies, rows, first = series{first: a.of[at.from]}, series{first: at.from}, series{first: a.of[at.from]}
	for i, x := range v.volumes {
		row := at.from + i
		studies.vectors, studies.of = append(studies.vectors, x), append(studies.of, a.of[row])
		rows.vectors, rows.of = append(rows.vectors, x), append(rows.of, row)
		if a.first[a.of[row]] == row {
			first.vectors, first.of = append(first.vectors, x), append(first.of, a.of[row])
		}
	}
	return studies, rows, first
}

// stand gives the standing of what each query belongs to, of, in a block of the pool; its own block has that whole.
func stand(queries series, own, pool series, by metrics.Similarity) ([]metrics.Standing, error) {
	all, err := metrics.OwnStudies(queries.vectors, queries.ids(), own.vectors, own.ids(), by)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Number += own.first - pool.first
	}
	return metrics.Stand(queries.vectors, all, pool.vectors, pool.ids(), by)
}

// search looks for a block's queries in a block of the pool.
func (r retriever) search(p *pool, t task) (out found, err error) {
	_, blocks := r.stretches(p)
	from, to := blocks[t.Query], blocks[t.Pool]
	asked, err := r.read(p, from)
	if err != nil {
		return out, err
	}
	searched, err := r.read(p, to)
	if err != nil {
		return out, err
	}
	a, by := p.asking(), metrics.Similarity(r.F.Options.Likeness != Dot)
	ownStudies, ownRows, ownFirst := a.series(from, asked)
	studies, rows, first := a.series(to, searched)
	reports, conclusions := series{asked.reports, ownFirst.of, ownFirst.first}, series{asked.conclusions, ownFirst.of, ownFirst.first}
	volumes := series{of: ownRows.of}
	for _, study := range ownStudies.of {
		volumes.vectors = append(volumes.vectors, asked.reports[study-ownStudies.first])
	}
	out.Query = t.Query
	for _, x := range []struct {
		to                 *[]metrics.Standing
		queries, own, pool series
		by                 metrics.Similarity
	}{
		{&out.Reports, reports, ownStudies, studies, by}, {&out.Conclusions, conclusions, ownStudies, studies, by},
		{&out.Rows, volumes, ownRows, rows, metrics.Dot}, {&out.First, reports, ownFirst, first, metrics.Dot},
	} {
		if *x.to, err = stand(x.queries, x.own, x.pool, x.by); err != nil {
			return out, err
		}
	}
	var shown [][]float32
	for _, i := range a.shown() {
		if at := i - ownStudies.first; at >= 0 && at < len(asked.conclusions) {
			shown = append(shown, asked.conclusions[at])
		}
	}
	top := func(queries [][]float32, by metrics.Similarity, k int, skip func(_, row int) bool) ([][]metrics.Hit, error) {
		hits, err := metrics.TopK(queries, searched.volumes, by, k, skip)
		for _, of := range hits {
			for i := range of {
				of[i].Row += to.from
			}
		}
		return hits, err
	}
	if out.Gallery, err = top(shown, by, galleryHits, nil); err != nil {
		return out, err
	}
	labels := rowsOf(p.y, len(p.rows))
	out.Volumes, err = top(asked.volumes, metrics.Cosine, volumeHits, func(_, row int) bool { return !metrics.InVolumeMap(labels[to.from+row]) })
	return out, err
}

type partsFn struct{ R retriever }

// ProcessElement settles what is to be settled, and names the parts; a result that is there already is kept.
func (f *partsFn) ProcessElement(ctx context.Context, m schemas.Model, emit func(part), keep func(schemas.Model)) error {
	if p, err := f.R.F.header(m); err == nil {
		if old, ok := f.R.F.kept(p.Header); ok {
			keep(old)
			return nil
		}
	}
	return f.R.with(m, func(p *pool) error {
		if err := f.R.F.seal(p); err != nil {
			return err
		}
		if err := f.R.sweep(p); err != nil {
			return err
		}
		parts, _ := f.R.stretches(p)
		for i := range parts {
			emit(part{m, i})
		}
		return nil
	})
}

// sweep takes away vectors of other weights, data or split.
func (r retriever) sweep(p *pool) error {
	all, err := filepath.Glob(filepath.Join(r.F.Run.Dir, "eval", r.F.Name+".*.vectors"))
	for _, path := range all {
		if mine, _ := filepath.Match(r.vectorsFile(p, "*"), path); !mine {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// with does a thing with the split open, and stops the run if that fails.
func (r retriever) with(m schemas.Model, do func(p *pool) error) error {
	p, err := r.F.prepare(m)
	if err == nil {
		err = errors.Join(do(p), p.data.Close())
	}
	if err != nil {
		return batch.Stop(r.F.Run, fmt.Errorf("%s: %w", r.F.Name, err))
	}
	return nil
}

type embedFn struct {
	R retriever

	digest string // of the weights in model
	model  *fit.Model
}

func (f *embedFn) ProcessElement(ctx context.Context, x part, emit func(part)) error {
	ctx, leave := batch.Enter(ctx, f.R.F.Run.Dir)
	defer leave()
	return f.R.with(x.Model, func(p *pool) (err error) {
		if f.digest != x.Model.Digest {
			if f.model, err = f.R.F.load(x.Model, p); err != nil {
				return err
			}
			f.digest, f.model.Raw = x.Model.Digest, f.R.F.Options.Likeness == Dot
		}
		if err := f.R.embed(ctx, f.model, p, x.Index); err != nil {
			return err
		}
		emit(x)
		return nil
	})
}

type tasksFn struct{ R retriever }

func (f *tasksFn) ProcessElement(ctx context.Context, _ int, parts func(*part) bool, emit func(task)) error {
	var x part
	parts(&x)
	return f.R.with(x.Model, func(p *pool) error {
		_, blocks := f.R.stretches(p)
		for q := range blocks {
			for i := range blocks {
				emit(task{x.Model, q, i})
			}
		}
		return nil
	})
}

type searchFn struct{ R retriever }

func (f *searchFn) ProcessElement(ctx context.Context, t task, emit func(ranked)) error {
	return f.R.with(t.Model, func(p *pool) error {
		out, err := f.R.search(p, t)
		if err != nil {
			return err
		}
		emit(ranked{t.Model, []found{out}})
		return nil
	})
}

type rankedFn struct{ R retriever }

func (f *rankedFn) ProcessElement(ctx context.Context, x ranked, emit func(schemas.Model)) error {
	return f.R.with(x.Model, func(p *pool) error {
		r, err := f.R.judge(p, x)
		if err != nil {
			return err
		}
		out, err := save(f.R.F.Run, f.R.F.Name, r)
		if err != nil {
			return err
		}
		emit(out)
		return nil
	})
}

func init() {
	beam.RegisterDoFn(reflect.TypeFor[partsFn]())
	beam.RegisterDoFn(reflect.TypeFor[embedFn]())
	beam.RegisterDoFn(reflect.TypeFor[tasksFn]())
	beam.RegisterDoFn(reflect.TypeFor[searchFn]())
	beam.RegisterDoFn(reflect.TypeFor[rankedFn]())
	beam.RegisterType(reflect.TypeFor[foundFn]())
}
