package cli

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/table"
	"silverbeam/pkg/volume"

	"github.com/spf13/cobra"
)

// retrievalFlags say which vectors look for which, and how it is judged.
type retrievalFlags struct {
	queries, pool, labels, queryIDs, protocol, json string
}

// The protocols of retrieval, which docs/evaluation.md defines.
const (
	retrievalClean = "clean"
	volumeMap      = "ctclip-volume-map"
	reportRecall   = "ctclip-report-recall"
	studyRecall    = "study-recall"
	mc4            = "mc4"
)

var retrievalProtocols = []string{retrievalClean, volumeMap, reportRecall, studyRecall, mc4}

func evaluateRetrievalCommand() *cobra.Command {
	var f retrievalFlags
	c := &cobra.Command{
		Use: "retrieval --queries NPY --pool NPY --labels CSV --protocol NAME --json FILE", Short: "measure what vectors find among others, both in files", Args: exactly(),
		Long: "Vectors are arrays of float32 or float64, one row a vector. Row i of the labels describes row i of the pool and query i: its first column\n" +
			"is the id, patient_id and scan_id say whose it is, the others are 1, 0 or empty. Search is exact; equal scores are in the pool's order.\n\n" +
			"  clean                 volumes by a volume, cosine, neither itself nor its patient in its pool: MAP, MRR, nDCG, label Jaccard, chance\n" +
			"  ctclip-volume-map     CT-CLIP's published MAP@k, a running mean of label Jaccard with the query in its own pool\n" +
			"  ctclip-report-recall  CT-CLIP's published Recall@k by dot product: report i must find volume i\n" +
			"  study-recall          a report must find any volume of its study, cosine; --query-ids names the study of each report\n" +
			"  mc4                   the first of each query's four candidates must have the largest dot product; the pool is n x 4 x d",
		Example: "  silverbeam evaluate retrieval --queries volumes.npy --pool volumes.npy --labels test.csv --protocol clean --json figures.json\n" +
			"  silverbeam evaluate retrieval --queries reports.npy --query-ids reports.csv --pool volumes.npy --labels test.csv \\\n" +
			"    --protocol study-recall --json figures.json",
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	c.Flags().StringVar(&f.queries, "queries", "", "vectors that look for others, `NPY`, n x d")
	c.Flags().StringVar(&f.pool, "pool", "", "vectors that are found, `NPY`, m x d; mc4: n x 4 x d")
	c.Flags().StringVar(&f.labels, "labels", "", "the table of the pool's labels, `CSV`, row i for row i; not needed by mc4 and ctclip-report-recall")
	c.Flags().StringVar(&f.queryIDs, "query-ids", "", "study-recall: a table with a column scan_id, `CSV`, row i for query i (default the labels': query i is pool row i)")
	c.Flags().StringVar(&f.protocol, "protocol", "", "`NAME` of the arithmetic: "+strings.Join(retrievalProtocols, ", "))
	c.Flags().StringVar(&f.json, "json", "", "write all figures to `FILE`")
	return c
}

func (f *retrievalFlags) run(cmd *cobra.Command) error {
	switch {
	case f.queries == "" || f.pool == "" || f.json == "":
		return usage(cmd, "--queries, --pool, --json: all three are needed")
	case !slices.Contains(retrievalProtocols, f.protocol):
		return usage(cmd, "--protocol: %q: one of %s%s", f.protocol, strings.Join(retrievalProtocols, ", "), didYouMean(f.protocol, retrievalProtocols))
	case f.labels == "" && f.protocol != mc4 && f.protocol != reportRecall:
		return usage(cmd, "--labels: needed by --protocol %s", f.protocol)
	case f.labels != "" && f.protocol == mc4:
		return usage(cmd, "--labels: mc4 looks at none")
	case f.queryIDs != "" && f.protocol != studyRecall:
		return usage(cmd, "--query-ids: only with --protocol study-recall")
	}
	q, err := volume.ReadArray(f.queries)
	if err != nil {
		return badInput("%v", err)
	}
	p, err := volume.ReadArray(f.pool)
	if err != nil {
		return badInput("%v", err)
	}
	var figures any
	_, single := q.Data.([]float32)
	if _, too := p.Data.([]float32); single && too {
		figures, err = retrieve[float32](f, cmd, q, p)
	} else {
		figures, err = retrieve[float64](f, cmd, q, p)
	}
	if err != nil {
		return err
	}
	return writeFigures(f.json, figures)
}

// retrieve computes with the type that both arrays have, or float64.
func retrieve[T metrics.Float](f *retrievalFlags, cmd *cobra.Command, q, p *volume.Array) (figures any, err error) {
	cosine := f.protocol != mc4 && f.protocol != reportRecall
	queries, err := vectorsOf[T](q, 2, cosine)
	if err != nil {
		return nil, err
	}
	axes := 2
	if f.protocol == mc4 {
		axes = 3
	}
	pool, err := vectorsOf[T](p, axes, cosine)
	if err != nil {
		return nil, err
	}
	if a, b := q.Shape[1], p.Shape[axes-1]; a != b {
		return nil, badInput("%s: vectors of %s, those of %s have %d", f.queries, count(a, "dimension"), f.pool, b)
	}
	w := cmd.OutOrStdout()
	if f.protocol == mc4 {
		if p.Shape[0] != q.Shape[0] || p.Shape[1] != 4 {
			return nil, badInput("%s: shape %d: mc4 needs 4 candidates for each of %s, %d x 4 x %d", f.pool, p.Shape, count(len(queries), "query"), q.Shape[0], q.Shape[1])
		}
		c := metrics.Choose(queries, slices.Collect(slices.Chunk(pool, 4)))
		line(w, "right of 4, %s: alone at the top %s, at the top %s, ties by lot %s; chance .250", count(c.N, "query"), short3(c.Strict), short3(c.TieAware), short3(c.Expected))
		return c, nil
	}
	t, err := f.truth(len(queries), len(pool))
	if err != nil {
		return nil, err
	}
	if t != nil && f.protocol != retrievalClean && f.protocol != studyRecall {
		f.tellShared(cmd.ErrOrStderr(), t, len(queries))
	}
	switch f.protocol {
	case retrievalClean:
		r, err := metrics.VolumeRecall(queries, pool, t.rows(), t.owner(), metrics.Cosine, 1, 5, 10, 50, 100)
		if err != nil {
			return nil, badInput("%v", err)
		}
		tellAtK(w, r.NQueries, count(r.NPool, "volume"), []atK{{"label Jaccard", r.JaccardAtK}, {"by chance", r.Chance.JaccardAtK},
			{"nDCG of label Jaccard", r.NDCGAtK}, {"MAP, a finding shared", r.Shared.MapAtK}, {"MAP, findings identical", r.Identical.MapAtK}})
		return r, nil
	case volumeMap:
		r, err := metrics.CTCLIPVolumeMap(queries, pool, t.rows(), 1, 5, 10, 50)
		if err != nil {
			return nil, badInput("%v", err)
		}
		tellAtK(w, r.NQueries, count(r.NPool, "volume"), []atK{{"CT-CLIP's MAP", r.MapAtK}, {"by chance", r.ChanceAtK}, {"label Jaccard", r.JaccardAtK}})
		return r, nil
	}
	own, of, ks := numbered(len(queries)), numbered(len(pool)), []int{5, 10, 50, 100}
	by, what := metrics.Dot, count(len(pool), "volume")
	if f.protocol == studyRecall {
		by, ks = metrics.Cosine, []int{1, 5, 10, 50, 100}
		if own, of, err = f.studies(len(queries), len(pool)); err != nil {
			return nil, err
		}
	}
	r, err := metrics.RankStudies(queries, own, pool, of, by, ks...)
	if err != nil {
		return nil, badInput("%v", err)
	}
	if f.protocol == studyRecall {
		what = fmt.Sprintf("studies (%s)", what)
		what = fmt.Sprintf("%d %s", r.NPool, what)
	}
	tellAtK(w, r.NQueries, what, []atK{{"recall", r.RecallAtK}, {"by chance", r.ChanceAtK}})
	return r, nil
}

// vectorsOf cuts an array of this many axes into its vectors and looks at every number.
func vectorsOf[T metrics.Float](a *volume.Array, axes int, cosine bool) ([][]T, error) {
	if len(a.Shape) != axes || slices.Contains(a.Shape, 0) {
		return nil, badInput("%s: shape %d: must have %d axes, none of them empty", a.Path, a.Shape, axes)
	}
	var data []T
	switch v := a.Data.(type) {
	case []T:
		data = v
	case []float32:
		for _, x := range v {
			data = append(data, T(x))
		}
	default:
		return nil, badInput("%s: whole numbers: vectors are float32 or float64", a.Path)
	}
	d := a.Shape[axes-1]
	rows := slices.Collect(slices.Chunk(data, d))
	for i, row := range rows {
		at := fmt.Sprintf("row %d", i)
		if axes == 3 {
			at = fmt.Sprintf("row %d, candidate %d", i/a.Shape[1], i%a.Shape[1])
		}
		zero := cosine
		for j, x := range row {
			if y := float64(x); math.IsNaN(y) || math.IsInf(y, 0) {
				return nil, badInput("%s: %s, column %d (from 0): not a finite number", a.Path, at, j)
			}
			zero = zero && x == 0
		}
		if zero {
			return nil, badInput("%s: %s (from 0): every column is 0: such a vector has no cosine", a.Path, at)
		}
	}
	return rows, nil
}

// truth reads the labels, whose rows must be those of the pool; nil where none are given.
func (f *retrievalFlags) truth(queries, pool int) (*truth, error) {
	if byRow := f.queryIDs == ""; byRow && queries > pool {
		return nil, badInput("%s: %s, but %s has %s: query i is described by row i of the pool", f.queries, count(queries, "row"), f.pool, count(pool, "row"))
	}
	if f.labels == "" || f.protocol == studyRecall {
		return nil, nil
	}
	t, err := readTruth(f.labels, "", missing)
	if err == nil && len(t.ids) != pool {
		err = badInput("%s: %s of labels, but %s has %s", f.labels, count(len(t.ids), "row"), f.pool, count(pool, "row"))
	}
	return t, err
}

// rows are the labels by row.
func (t *truth) rows() [][]int8 {
	out := make([][]int8, len(t.ids))
	for i := range out {
		for _, y := range t.y {
			out[i] = append(out[i], y[i])
		}
	}
	return out
}

// owner is the patient of each row: each its own where none is named.
func (t *truth) owner() []string {
	if t.patient == nil {
		return t.ids
	}
	return t.patient
}

// tellShared names a patient who is found by another of his own volumes, which these protocols count as right or wrong
// like any other.
func (f *retrievalFlags) tellShared(w io.Writer, t *truth, queries int) {
	first := map[string]int{}
	shared, example := 0, ""
	for i, p := range t.patient {
		if at, seen := first[p]; !seen {
			first[p] = i
		} else if shared++; shared == 1 && at < queries {
			example = fmt.Sprintf("patient %s is in lines %d and %d", p, t.lines[at], t.lines[i])
		}
	}
	if example != "" {
		line(w, "%s: a patient has several volumes in queries and pool (%s): %s counts them, clean does not", f.labels, example, f.protocol)
	}
}

// studies are the scan of each query and of each pool row.
func (f *retrievalFlags) studies(queries, pool int) (own, of []string, err error) {
	if of, err = readColumn(f.labels, "scan_id", f.pool, pool); err != nil {
		return nil, nil, err
	}
	if f.queryIDs == "" {
		return of[:queries], of, nil
	}
	own, err = readColumn(f.queryIDs, "scan_id", f.queries, queries)
	return own, of, err
}

// readColumn reads one column of a table that describes an array's rows.
func readColumn(path, name, array string, rows int) (cells []string, err error) {
	t, err := openIDTable(path)
	if err != nil {
		return nil, err
	}
	if t.id != name {
		if err := t.need([]string{name}, "studies"); err != nil {
			return nil, err
		}
	}
	// Several reports may name one study, so that this column need not differ from row to row.
	err = eachRow(path, table.Columns{Study: name}, func(r table.Row) error {
		cells = append(cells, r.ID)
		return nil
	})
	if err == nil && len(cells) != rows {
		err = badInput("%s: %s, but %s has %s", path, count(len(cells), "row"), array, count(rows, "row"))
	}
	return cells, err
}

func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(i)
	}
	return out
}

// atK is one figure at several k.
type atK struct {
	name   string
	values map[int]*float64
}

// tellAtK prints a line a figure and a column a k.
func tellAtK(w io.Writer, queries int, pool string, figures []atK) {
	var ks []int
	for k := range figures[0].values {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	head := fmt.Sprintf("%-36s", count(queries, "query")+" in "+pool)
	for _, k := range ks {
		head += fmt.Sprintf("%7s", fmt.Sprintf("@%d", k))
	}
	line(w, "%s", head)
	for _, f := range figures {
		row := fmt.Sprintf("%-36s", f.name)
		for _, k := range ks {
			row += fmt.Sprintf("%7s", short3(f.values[k]))
		}
		line(w, "%s", row)
	}
}
