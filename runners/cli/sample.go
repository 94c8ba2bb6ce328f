package cli

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"

	"github.com/spf13/cobra"
)

// sampleFlags say what is drawn from a label table, and what goes into the sheet beside ids and empty cells.
type sampleFlags struct {
	n           int
	seed        uint64
	out, id     string   // id: the column of reports that names one
	reports     string   // the table of reports, or ""
	text        []string // its columns of text
	cluster, by string   // columns to copy, or ""
}

func labelSampleCommand() *cobra.Command {
	var f sampleFlags
	c := &cobra.Command{
		Use: "sample OUT --n 300 --out TODO.csv", Short: "draw reports to be read by hand, to check the labels against", Args: exactly("OUT"),
		Long: "Draws rows of a label table (or of a run's labels): by finding and doubt, rare findings more often than their share. The sheet\n" +
			"has an empty column a finding to fill in (1 present, 0 absent, -1 uncertain) and never shows our labels; weight says how many rows\n" +
			"of the table a row stands for. `silverbeam evaluate labels` reads the sheet once it is filled in.",
		Example: "  silverbeam label sample labels.csv --n 300 --out todo.csv\n" +
			"  silverbeam label sample labels.csv --n 300 --text my.csv --text-columns report --cluster patient --out todo.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			return f.sample(cmd.OutOrStdout(), args[0])
		},
	}
	c.Flags().IntVar(&f.n, "n", 300, "draw `N` reports; all, if the table has fewer")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "random seed `S`; same table, options and seed, same bytes")
	c.Flags().StringVar(&f.out, "out", "", "write the sheet to `FILE`.csv; one that holds something else is never replaced")
	c.Flags().StringVar(&f.id, "id-column", "id", "the `COLUMN` of IN that names a report")
	c.Flags().StringVar(&f.reports, "text", "", "copy the reports' text from this table of reports, `IN`, into the sheet, which then only you may read")
	c.Flags().StringSliceVar(&f.text, "text-columns", []string{"report"}, "`COLUMNS` of text in IN, with commas between; '' copies none")
	c.Flags().StringVar(&f.cluster, "cluster", "", "also copy this `COLUMN`, of OUT or IN, that names the patient")
	c.Flags().StringVar(&f.by, "by", "", "also copy this `COLUMN`, of OUT or IN, such as the site, to evaluate by")
	return c
}

func (f *sampleFlags) check(cmd *cobra.Command) error {
	switch {
	case f.out == "":
		return usage(cmd, "--out: a file is needed")
	case !strings.HasSuffix(f.out, ".csv"):
		return usage(cmd, "--out: %q: must end in .csv", f.out)
	case f.n < 1:
		return usage(cmd, "--n: %d: 1 or more", f.n)
	}
	return writable(cmd, f.out)
}

func (f *sampleFlags) sample(w io.Writer, in string) error {
	t, err := openLabels(in, f.copied()...)
	if err != nil {
		return err
	}
	if t, err = t.only(t.findings); err != nil {
		return err
	}
	strata, unlabelled, err := f.strata(t)
	if err != nil {
		return err
	}
	drawing := metrics.NewDrawing(strata.N(), f.n, f.seed)
	err = t.each(func(r labelRow) error {
		if r.Labels != nil {
			drawing.Add(r.ID, strata.Of(marks(r.Labels)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	drawn := drawing.Sample()
	if len(drawn) == 0 {
		return badInput("%s: no labelled row to draw", in)
	}
	var sheet bytes.Buffer
	if err := f.write(&sheet, t, drawn); err != nil {
		return err
	}
	if err := f.save(sheet.Bytes()); err != nil {
		return err
	}
	tellStrata(w, t.findings, strata, drawing.Size, drawn, unlabelled)
	return nil
}

// copied are the columns of the label table that are no findings.
func (f *sampleFlags) copied() []string {
	return slices.DeleteFunc([]string{f.cluster, f.by}, func(s string) bool { return s == "" })
}

// strata counts the findings and makes the strata.
func (f *sampleFlags) strata(t *labelTable) (s metrics.Strata, unlabelled int, err error) {
	if len(t.findings) == 0 {
		return s, 0, badInput("%s: no column but the id: no findings", t.path)
	}
	for _, name := range t.findings {
		if slices.Contains([]string{"id", "stratum", "weight", "report"}, name) {
			return s, 0, badInput("%s: column %q: the sheet has a column of that name", t.path, name)
		}
	}
	count := make([]int, len(t.findings))
	err = t.each(func(r labelRow) error {
		if r.Labels == nil {
			unlabelled++
			return nil
		}
		marked, _ := marks(r.Labels)
		for i, m := range marked {
			if m {
				count[i]++
			}
		}
		return nil
	})
	return metrics.NewStrata(count, f.n), unlabelled, err
}

// marks says which findings are present or in doubt, and which are in doubt: uncertain, or with a probability that is
// nearer to a half than to 0 or 1.
func marks(labels []taxonomy.Label) (marked, doubt []bool) {
	marked, doubt = make([]bool, len(labels)), make([]bool, len(labels))
	for i, l := range labels {
		doubt[i] = l.State == taxonomy.Uncertain || l.P > 0.25 && l.P < 0.75
		marked[i] = l.State == taxonomy.Present || doubt[i]
	}
	return marked, doubt
}

// write makes the sheet. Strata are numbered at random and have no names in it: they would tell of our labels.
func (f *sampleFlags) write(w io.Writer, t *labelTable, drawn []metrics.Draw) error {
	own, err := copies(t.path, table.Columns{Study: t.id, Extra: t.extra}, drawn)
	if err != nil {
		return err
	}
	in := table.Columns{Study: f.id, Extra: slices.DeleteFunc(f.copied(), func(c string) bool { return slices.Contains(t.extra, c) })}
	withText := f.reports != "" && len(f.text) > 0
	if withText {
		in.Report = f.text
	}
	if f.reports == "" && len(in.Extra) > 0 {
		return badInput("%s: no column %q; --text IN names a table that has it", t.path, in.Extra[0])
	}
	other, err := copies(f.reports, in, drawn)
	if err != nil {
		return err
	}
	header := slices.Concat([]string{"id"}, t.extra, in.Extra, []string{"stratum", "weight"})
	if withText {
		header = append(header, "report")
	}
	numbers := number(f.seed, drawn)
	out := csv.NewWriter(w)
	out.Write(append(header, t.findings...)) // the writer keeps its first error
	for _, x := range drawn {
		row := slices.Concat([]string{x.ID}, own[x.ID].Extra, other[x.ID].Extra)
		row = append(row, strconv.Itoa(numbers[x.Stratum]), strconv.FormatFloat(x.Weight, 'g', -1, 64))
		if withText {
			row = append(row, other[x.ID].Report)
		}
		out.Write(append(row, make([]string, len(t.findings))...))
	}
	out.Flush()
	return out.Error()
}

// copies reads the columns of the drawn rows from a table, each of which must be there once. It reads no table for none.
func copies(path string, c table.Columns, drawn []metrics.Draw) (map[string]table.Row, error) {
	if len(c.Extra) == 0 && len(c.Report) == 0 {
		return nil, nil
	}
	rows, want := map[string]table.Row{}, map[string]bool{}
	for _, x := range drawn {
		want[x.ID] = true
	}
	err := eachRow(path, c, func(r table.Row) error {
		if _, twice := rows[r.ID]; twice {
			return badInput("%s:%d: %s %q for the second time", path, r.Line, c.Study, r.ID)
		}
		if want[r.ID] {
			rows[r.ID] = r
		}
		return nil
	})
	for _, x := range drawn {
		if _, ok := rows[x.ID]; !ok && err == nil {
			err = badInput("%s: no row has the %s %q", path, c.Study, x.ID)
		}
	}
	return rows, err
}

// number gives the strata that were drawn from numbers from 1, at random.
func number(seed uint64, drawn []metrics.Draw) map[int]int {
	var strata []int
	for _, x := range drawn {
		if !slices.Contains(strata, x.Stratum) {
			strata = append(strata, x.Stratum)
		}
	}
	slices.Sort(strata)
	numbers := map[int]int{}
	for i, k := range rand.New(rand.NewPCG(seed, 0)).Perm(len(strata)) {
		numbers[strata[i]] = k + 1
	}
	return numbers
}

// tellStrata prints what was drawn from where.
func tellStrata(w io.Writer, findings []string, strata metrics.Strata, sizes []int, drawn []metrics.Draw, unlabelled int) {
	took := make([]int, len(sizes))
	for _, x := range drawn {
		took[x.Stratum]++
	}
	line(w, "%9s %9s  %s", "in table", "drawn", "rows by their rarest finding")
	total := 0
	for h, size := range sizes {
		if size == 0 {
			continue
		}
		total += size
		name := "no finding"
		f, doubt := strata.Finding(h)
		switch {
		case len(sizes) == 1:
			name = "any"
		case f >= 0:
			name = findings[f]
		case h < len(sizes)-1:
			name = "a more common finding"
		}
		if doubt {
			name += ", in doubt"
		}
		line(w, "%9s %9s  %s", grouped(int64(size)), grouped(int64(took[h])), name)
	}
	line(w, "%9s %9s  %s", grouped(int64(total)), grouped(int64(len(drawn))), "all")
	if unlabelled > 0 {
		line(w, "%9s %9s  %s", grouped(int64(unlabelled)), "0", "not labelled, left out")
	}
}

// save writes the sheet, and never over one that somebody may have filled in.
func (f *sampleFlags) save(sheet []byte) error {
	mode := fs.FileMode(0o644)
	if f.reports != "" && len(f.text) > 0 {
		mode = 0o600
	}
	old, err := os.ReadFile(f.out)
	if err == nil && !bytes.Equal(old, sheet) {
		return &Exit{codeUsage, fmt.Errorf("--out: %s is there already and may hold answers: give another name, or remove it", f.out), ""}
	}
	return shard.Replace(f.out, mode, func(w io.Writer) error {
		_, err := w.Write(sheet)
		return err
	})
}
