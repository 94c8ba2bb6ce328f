package cli

import (
	"cmp"
	"container/heap"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
)

// agreement compares labelers with each other over all rows that they share.
type agreement struct {
	NRows     int                                     `json:"n_rows"`
	NDisagree int                                     `json:"n_disagreements"` // cells where not all say present or all say absent
	Pairs     map[string]map[string]metrics.Agreement `json:"pairs"`           // A|B → finding
}

// disagreement is one finding of one report that is worth a look.
type disagreement struct {
	value   float64
	row     int
	id      string
	finding int
	labels  []taxonomy.Label // of each labeler
}

// maxDisagreements is how many are written: more than anybody looks at, few enough to hold.
const maxDisagreements = 10_000

// agreement makes one pass over the tables to count, and one more for --disagreements, which needs to know how rare the
// findings are.
func (f *evaluateFlags) agreement(w io.Writer, files []labelerFile, tables []*labelTable) (*agreement, error) {
	findings := common(tables)
	if len(findings) == 0 {
		return nil, badInput("%s and the other labels have no finding in common", tables[0].path)
	}
	tables = slices.Clone(tables)
	for i, t := range tables {
		var err error
		if tables[i], err = t.only(findings); err != nil {
			return nil, err
		}
	}
	out := &agreement{Pairs: map[string]map[string]metrics.Agreement{}}
	all := pairs(files)
	counts := make([][]metrics.Confusion, len(all))
	for p := range counts {
		counts[p] = make([]metrics.Confusion, len(findings))
	}
	present, labelled := make([]int, len(findings)), make([]int, len(findings))
	err := joined(tables, func(_ string, rows [][]taxonomy.Label) {
		out.NRows++
		for k := range findings {
			for _, labels := range rows {
				if labels != nil {
					labelled[k]++
					present[k] += int(metrics.Binary(labels[k].State))
				}
			}
			if differ(rows, k) {
				out.NDisagree++
			}
			for p, x := range all {
				if rows[x.a] != nil && rows[x.b] != nil {
					counts[p][k].Add(metrics.Binary(rows[x.a][k].State) == 1, metrics.Binary(rows[x.b][k].State) == 1)
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if out.NRows == 0 {
		return nil, badInput("%s and the other labels have no id in common", tables[0].path)
	}
	for p, x := range all {
		out.Pairs[x.name] = map[string]metrics.Agreement{}
		line(w, "%-36s %9s %9s %9s %9s", x.name, "n", "agreement", "kappa", "pabak")
		for k, name := range findings {
			a := counts[p][k].Agreement()
			out.Pairs[x.name][name] = a
			line(w, "%-36s %9d %9s %9s %9s", name, a.N, number3(a.Agreement), number3(a.Kappa), number3(a.PABAK))
		}
	}
	if f.disagreements == "" {
		return out, nil
	}
	surprise := make([]float64, len(findings)) // bits that a present finding tells
	for k := range surprise {
		surprise[k] = -math.Log2(max(float64(present[k]), 0.5) / float64(max(labelled[k], 1)))
	}
	looks, err := worthALook(tables, surprise)
	if err != nil {
		return nil, err
	}
	line(w, "%s where they disagree, %s written", count(out.NDisagree, "cell"), grouped(int64(len(looks))))
	return out, shard.Replace(f.disagreements, 0o644, func(w io.Writer) error { return writeDisagreements(w, findings, files, looks) })
}

func number3(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", *v)
}

// differ says whether one labeler calls finding k present and another absent.
func differ(rows [][]taxonomy.Label, k int) bool {
	said := [2]bool{}
	for _, labels := range rows {
		if labels != nil {
			said[metrics.Binary(labels[k].State)] = true
		}
	}
	return said[0] && said[1]
}

// worthALook are the disagreements of the most value: the bits of doubt that the labelers leave together, times the bits
// that the finding would tell.
func worthALook(tables []*labelTable, surprise []float64) ([]disagreement, error) {
	var best looks
	n := 0
	err := joined(tables, func(id string, rows [][]taxonomy.Label) {
		n++
		for k := range surprise {
			if !differ(rows, k) {
				continue
			}
			d := disagreement{row: n, id: id, finding: k, labels: make([]taxonomy.Label, len(rows))}
			p, m := 0.0, 0.0
			for i, labels := range rows {
				d.labels[i] = taxonomy.Label{State: metrics.Unknown}
				if labels != nil {
					d.labels[i] = labels[k]
					p, m = p+float64(labels[k].P), m+1
				}
			}
			d.value = metrics.Entropy(p/m) * surprise[k]
			if heap.Push(&best, d); len(best) > maxDisagreements {
				heap.Pop(&best)
			}
		}
	})
	slices.SortFunc(best, func(a, b disagreement) int { return b.compare(a) })
	return best, err
}

// compare puts the less valuable first, and the later of equals.
func (d disagreement) compare(o disagreement) int {
	return cmp.Or(cmp.Compare(d.value, o.value), cmp.Compare(o.row, d.row), cmp.Compare(o.finding, d.finding))
}

// looks is a heap with the least valuable disagreement on top.
type looks []disagreement

func (l looks) Len() int           { return len(l) }
func (l looks) Less(i, j int) bool { return l[i].compare(l[j]) < 0 }
func (l looks) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *looks) Push(x any)        { *l = append(*l, x.(disagreement)) }
func (l *looks) Pop() any {
	x := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return x
}

func writeDisagreements(w io.Writer, findings []string, files []labelerFile, looks []disagreement) error {
	out := csv.NewWriter(w)
	head := []string{"id", "finding", "value"}
	for _, l := range files {
		head = append(head, l.name, l.name+" p")
	}
	out.Write(head) // the writer keeps its first error
	for _, d := range looks {
		row := []string{d.id, findings[d.finding], strconv.FormatFloat(d.value, 'f', 4, 64)}
		for _, l := range d.labels {
			switch l.State {
			case metrics.Unknown:
				row = append(row, "not labelled", "")
			default:
				row = append(row, l.State.String(), strconv.FormatFloat(float64(l.P), 'g', 4, 32))
			}
		}
		out.Write(row)
	}
	out.Flush()
	return out.Error()
}

// joined passes by every id that all tables have, with each table's labels (nil: not labelled). Tables in the same order
// are read side by side; of others, rows wait in memory until all have come.
func joined(tables []*labelTable, do func(id string, rows [][]taxonomy.Label)) error {
	type entry struct {
		rows [][]taxonomy.Label
		left int
	}
	waiting := map[string]*entry{}
	next := make([]func() (labelRow, error, bool), len(tables))
	for i, t := range tables {
		pull, stop := iter.Pull2(t.rows())
		defer stop()
		next[i] = pull
	}
	for open := len(tables); open > 0; {
		for i := range tables {
			if next[i] == nil {
				continue
			}
			row, err, ok := next[i]()
			if err != nil {
				return err
			}
			if !ok {
				next[i] = nil
				open--
				continue
			}
			e := waiting[row.ID]
			if e == nil {
				e = &entry{make([][]taxonomy.Label, len(tables)), len(tables)}
				waiting[row.ID] = e
			}
			e.rows[i] = row.Labels
			if e.left--; e.left == 0 {
				delete(waiting, row.ID)
				do(row.ID, e.rows)
			}
		}
	}
	return nil
}

// rows is each as an iterator; an error is its last element.
func (t *labelTable) rows() iter.Seq2[labelRow, error] {
	return func(yield func(labelRow, error) bool) {
		stopped := false
		err := t.each(func(r labelRow) error {
			if !yield(r, nil) {
				stopped = true
				return io.EOF
			}
			return nil
		})
		if err != nil && !stopped {
			yield(labelRow{}, err)
		}
	}
}
