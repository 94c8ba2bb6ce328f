// Package intake reads studies: rows of a report table, or a folder of volumes with its reports.
//
// Its step takes nothing and gives batches. The input is indexed once, when the graph is built; only descriptors of
// batches go through the graph's one shuffle, and a worker reads a batch's own rows. A batch that every sink below has
// finished is not read again. A row that cannot be read is a reject named by its file and line.
package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/table"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// Name is the step's type.
const Name = "intake.Studies"

// Layouts are the input layouts that intake knows.
var Layouts = []string{"table", "ct-rate", "dicom", "radchestct"}

// Options is the config block of an intake.Studies step.
type Options struct {
	Layout    string  `yaml:"layout"`     // table, ct-rate, dicom or radchestct; needed
	Root      string  `yaml:"root"`       // the folder of the volumes; ct-rate: that holds dataset/, or is it; table: default that of the table; also s3://BUCKET/KEY, but for dicom
	Path      string  `yaml:"path"`       // of the reports, a CSV, JSONL or Parquet file, also .gz; table: needed; dicom, radchestct: default ROOT/reports.csv; also s3://BUCKET/KEY
	Columns   Columns `yaml:"columns"`    // where things are in path; default study: id, report: report
	BatchRows int     `yaml:"batch_rows"` // studies a batch; default 5000, with volumes 16
	Limit     int     `yaml:"limit"`      // only the first studies; 0: all
	Metadata  bool    `yaml:"-"`          // read the layout's table of what its files lack, for dataset.Shards
}

// Output says where a sink's files go.
type Output = batch.Output

// Columns names the columns of a table.
type Columns struct {
	Study   string   `yaml:"study"`   // default id; dicom: holds accession numbers or StudyInstanceUIDs
	Patient string   `yaml:"patient"` // table: default each study is its own patient
	Volume  string   `yaml:"volume"`  // table: a path from root to a NIfTI, npz or zip file, or a folder of one DICOM series; default: text alone
	Report  []string `yaml:"report"`  // joined with a newline; default [report]
}

// Validate names every setting that cannot work.
func (o Options) Validate() error {
	var errs []error
	bad := func(field string, value any, bound string) {
		errs = append(errs, schemas.FieldError{Field: field, Value: value, Bound: bound})
	}
	if !slices.Contains(Layouts, o.Layout) {
		bad("layout", o.Layout, "one of "+strings.Join(Layouts, ", "))
	}
	if slices.Contains(Layouts, o.Layout) && o.Layout != "table" && o.Root == "" {
		bad("root", o.Root, "a folder, for layout "+o.Layout)
	}
	if o.Layout == "table" && o.Path == "" {
		bad("path", o.Path, "a file, for layout table")
	}
	for _, f := range [][2]string{{"root", o.Root}, {"path", o.Path}} {
		if err := bucket.Check(f[1]); err != nil {
			bad(f[0], bucket.Name(f[1]), err.Error())
		}
	}
	if o.Layout == "dicom" && bucket.Is(o.Root) {
		bad("root", bucket.Name(o.Root), "a folder of this machine, for layout dicom")
	}
	if o.Layout == "table" && o.Columns.Volume != "" && o.Root == "" && bucket.Is(o.Path) {
		bad("root", o.Root, "a folder or s3 URL, where volumes are of a table in a bucket")
	}
	if o.BatchRows < 0 || o.BatchRows > 100_000 {
		bad("batch_rows", o.BatchRows, "1 to 100000")
	}
	if o.Limit < 0 {
		bad("limit", o.Limit, "0 or more")
	}
	return errors.Join(errs...)
}

func (o Options) columns() table.Columns {
	switch {
	case o.Layout == "ct-rate":
		return ctrateColumns
	case o.Layout == "radchestct" && !o.hasReports():
		return radchestColumns
	}
	c := table.Columns{Study: o.Columns.Study, Report: o.Columns.Report}
	if o.Layout == "table" {
		c.Patient, c.Volume = o.Columns.Patient, o.Columns.Volume
	}
	if c.Study == "" {
		c.Study = "id"
	}
	if len(c.Report) == 0 {
		c.Report = []string{"report"}
	}
	return c
}

// reports is the table of reports of a layout whose volumes lie in root.
func (o Options) reports() string { return cmp.Or(o.Path, bucket.Join(o.Root, "reports.csv")) }

// Index cuts the input into descriptors of batches. It reads the tables once, of DICOM files the heads, and no voxels.
func Index(o Options) ([]schemas.Batch, error) {
	if o.Metadata && o.Layout != "ct-rate" {
		return nil, fmt.Errorf("%s: %w: hu_source metadata: only layout ct-rate has a table of it, this is %s", Name, ErrInput, o.Layout)
	}
	switch o.Layout {
	case "ct-rate":
		return indexCTRATE(o)
	case "dicom":
		return indexDICOM(o)
	case "radchestct":
		return indexRadChest(o)
	}
	return indexTable(o)
}

// ErrInput is the world's fault: an input that is missing, empty or not of its layout.
var ErrInput = errors.New("bad input")

// Studies reads the batches: → PCollection<Batch>, and the shards that sinks made of finished batches in an earlier run.
func Studies(s beam.Scope, name string, o Options, batches []schemas.Batch, sinks []batch.Output, run schemas.Run) (out, done beam.PCollection, err error) {
	s = s.Scope(name)
	src, err := beam.TryReshuffle(s, beam.CreateList(s, batches))
	if err != nil {
		return out, done, fmt.Errorf("%s: %w", name, err)
	}
	cols, err := beam.TryParDo(s, &readFn{Name: name, Columns: o.columns(), Sinks: sinks, Run: run}, src)
	if err != nil {
		return out, done, fmt.Errorf("%s: %w", name, err)
	}
	return cols[0], cols[1], nil
}

// readFn answers a finished batch with its shards and reads the others.
type readFn struct {
	Name    string
	Columns table.Columns
	Sinks   []batch.Output // every sink below: skip only where all are done
	Run     schemas.Run

	tables table.Reader // keeps gzipped tables open between batches
}

func (f *readFn) ProcessElement(_ context.Context, b schemas.Batch, out func(schemas.Batch), done func(schemas.Shard)) error {
	if shards := finished(f.Sinks, f.Run.Dir, b); shards != nil {
		for _, s := range shards {
			done(s)
		}
		return nil
	}
	defer hold(b.Range.Rows)()
	start := time.Now()
	if err := read(&f.tables, &b, f.Name, f.Columns); err != nil {
		return batch.Stop(f.Run, fmt.Errorf("%s: batch %s: %w: %w", f.Name, b.ID[:16], ErrInput, err))
	}
	n := len(b.Studies)
	b.Trail = []schemas.Passage{{Step: f.Name, Unit: "studies", In: n + len(b.Rejects), Out: n, Rejects: len(b.Rejects), Seconds: time.Since(start).Seconds()}}
	out(b)
	clear(b.Studies) // as eachFn does
	clear(b.Rows)
	return nil
}

// held are the rows of the batches that this process has read and not yet passed through the chain, by the thousand: enough
// to keep the cores busy, however many bundles the runner starts at once.
var held = struct {
	sync.Mutex
	rows chan struct{}
}{rows: make(chan struct{}, 8*max(2, runtime.GOMAXPROCS(0)))}

// hold waits until there is room for a batch; free makes room again. A batch that is larger than all room is held alone.
func hold(rows int64) (free func()) {
	n := min(int(rows+999)/1000, cap(held.rows))
	held.Lock() // one takes all it needs, then the next
	for range n {
		held.rows <- struct{}{}
	}
	held.Unlock()
	return func() {
		for range n {
			<-held.rows
		}
	}
}

// finished gives the shards of a batch that every sink has done, else nil.
func finished(sinks []batch.Output, dir string, b schemas.Batch) (shards []schemas.Shard) {
	for _, o := range sinks {
		s, ok := o.Done(dir, b)
		if !ok {
			return nil
		}
		shards = append(shards, s.Shard)
	}
	return shards
}

// read fills in the studies of a descriptor; a row that broke is a reject and keeps its place in b.Rows.
func read(tables *table.Reader, b *schemas.Batch, step string, c table.Columns) error {
	rows, bad, err := tables.Read(b.Range, c)
	if err != nil {
		return err
	}
	if b.Scans != nil {
		return joinScans(b, step, rows) // bad rows are rejects since the index
	}
	if b.Take > 0 {
		rows = rows[:min(b.Take, len(rows))]
	}
	b.Studies = make([]schemas.Study, 0, len(rows))
	for _, r := range rows {
		for len(bad) > 0 && bad[0].Line < r.Line {
			bad = refuse(b, step, bad)
		}
		if r.Patient == "" {
			r.Patient = r.ID
		}
		b.Studies = append(b.Studies, schemas.Study{ID: r.ID, Patient: r.Patient, Report: r.Report, Row: len(b.Rows)})
		b.Rows = append(b.Rows, r.ID)
	}
	for len(bad) > 0 && b.Take == 0 {
		bad = refuse(b, step, bad)
	}
	return nil
}

// Read fills a descriptor of Index with its studies, as the step will.
func Read(o Options, b *schemas.Batch) error {
	var tables table.Reader
	defer tables.Close()
	if err := read(&tables, b, Name, o.columns()); err != nil {
		return fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
	}
	return nil
}

// refuse makes a reject of the first bad row.
func refuse(b *schemas.Batch, step string, bad []table.BadRow) []table.BadRow {
	id := fmt.Sprintf("%s:%d", path.Base(filepath.ToSlash(bucket.Name(b.Range.Path))), bad[0].Line)
	b.Rejects = append(b.Rejects, schemas.Reject{Step: step, Study: id, Class: bad[0].Class, Reason: bad[0].Reason, Batch: b.ID})
	b.Rows = append(b.Rows, id)
	return bad[1:]
}

func init() {
	beam.RegisterDoFn(reflect.TypeFor[readFn]())
}

// Cause is the first error that stopped a run's graph in this process, of its own kind; nil where none did.
func Cause(dir string) error { return batch.Cause(dir) }

// Failing is the same error while the graph still runs.
func Failing(dir string) error { return batch.Failing(dir) }

// Begin lets a run's steps work in this process, without a dir those of all runs that have not begun here; end stops them and
// waits a while for what is under way.
func Begin(ctx context.Context, dir string) (end func(wait time.Duration)) {
	return batch.Begin(ctx, dir)
}

// ErrRejects says that a run was given up for its rejects.
var ErrRejects = batch.ErrRejects

// Progress is how many studies each step has passed in this run's processes, read from the run folder; it is a little behind.
func Progress(dir string) map[string]batch.Passed { return batch.Progress(dir) }
