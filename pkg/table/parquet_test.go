package table

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
)

// TestParquetRows reads what pyarrow wrote (testdata/make.py): nulls, a dictionary, large strings, four row groups.
func TestParquetRows(t *testing.T) {
	c := Columns{Study: "id", Split: "split", Report: []string{"report"}, Extra: []string{"n"}}
	for file, n := range map[string]int{"pyarrow.parquet": 500, "plain.parquet": 3} {
		for _, by := range []int{1, 70, 1000} {
			if by == 1 && n > 3 {
				continue
			}
			rows, bad := all(t, filepath.Join("testdata", file), c, by)
			if len(rows) != n || len(bad) != 0 {
				t.Fatalf("%s: %d rows, %d bad", file, len(rows), len(bad))
			}
			for i, r := range rows {
				want := Row{ID: fmt.Sprintf("s%d", i), Split: "train", Report: fmt.Sprintf("report %d ", i) + strings.Repeat("lung ", i%5), Extra: []string{fmt.Sprint(i)}, Line: int64(i + 1)}
				if i%3 == 0 {
					want.Split = "valid"
				}
				if i%7 == 0 {
					want.Report = ""
				}
				if fmt.Sprint(r) != fmt.Sprint(want) {
					t.Fatalf("%s: row %d: %+v, want %+v", file, i, r, want)
				}
			}
		}
	}
}

func TestParquetErrors(t *testing.T) {
	path := filepath.Join("testdata", "pyarrow.parquet")
	if _, err := Cut(path, Columns{Study: "id", Report: []string{"repotr"}}, 9); err == nil || !strings.Contains(err.Error(), `no column "repotr"; the nearest is "report"`) {
		t.Errorf("%v", err)
	}
	good, _ := os.ReadFile(path)
	failed := 0
	for i := 4; i < len(good); i += 97 { // no flip may end the process; most must fail
		b := append([]byte(nil), good...)
		b[i] ^= 0x55
		if _, err := Cut(write(t, "t.parquet", string(b)), plain, 100); err != nil {
			failed++
		}
	}
	t.Logf("%d flips failed", failed)
	if failed == 0 {
		t.Error("no flip was seen")
	}
}

func TestParquetBadRows(t *testing.T) {
	rows, bad := all(t, parquetFile(t, []string{"a", "", "c", "d\x00", "e"}, []string{"1", "2", "\xff", "4", "5"}), plain, 2)
	if fmt.Sprint(len(rows), bad) != "2 [{2 no-id the id is empty} {3 utf8 not UTF-8} {4 nul a NUL byte}]" {
		t.Errorf("%v %v", rows, bad)
	}
}

func parquetFile(t testing.TB, ids, reports []string) string {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String}, {Name: "report", Type: arrow.BinaryTypes.String}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	b.Field(0).(*array.StringBuilder).AppendValues(ids, nil)
	b.Field(1).(*array.StringBuilder).AppendValues(reports, nil)
	path := filepath.Join(t.TempDir(), "t.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pqarrow.NewFileWriter(schema, f, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(b.NewRecord()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}
