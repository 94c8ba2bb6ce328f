package table

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// records reads in with our parser alone: its whole rows until the first failure, and whether one failed.
func records(in string) (rows [][]string, failed bool) {
	s := &csvSource{window: newWindow(&oneByte{in}, 0, 1)}
	for {
		p, err := s.parse()
		if err == io.EOF {
			return rows, false
		}
		if err != nil || p.class != "" {
			return rows, true
		}
		if !s.blank(p) {
			var row []string
			for i := range s.spans {
				row = append(row, s.text(i))
			}
			rows = append(rows, row)
		}
		s.take(p.n, p.lines)
	}
}

// oneByte makes every record meet the end of the window.
type oneByte struct{ s string }

func (r *oneByte) Read(p []byte) (int, error) {
	if r.s == "" {
		return 0, io.EOF
	}
	n := copy(p[:1], r.s)
	r.s = r.s[n:]
	return n, nil
}

// FuzzRecords holds the parser against encoding/csv: the same records, and a failure where it fails.
func FuzzRecords(f *testing.F) {
	for _, s := range []string{"a,b\n", "a,\"b\"\r\n\r\nc", "\"a\n\"\"b\",\n", "a\"b", "\"a\"b", "\"", ",\r", "a\r\r\n\"\r\n\"\r", "\n,\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		ref := csv.NewReader(strings.NewReader(in))
		ref.FieldsPerRecord = -1
		var want [][]string
		var err error
		for {
			var row []string
			if row, err = ref.Read(); err != nil {
				break
			}
			want = append(want, row)
		}
		got, failed := records(in)
		if failed != (err != io.EOF) || !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%q: %q failed %v, encoding/csv %q %v", in, got, failed, want, err)
		}
	})
}

// FuzzRows breaks tables and holds every range against the whole: the same rows however the file is cut, none lost.
func FuzzRows(f *testing.F) {
	f.Add("a,one\nb,\"two\nc,three\n", 1)
	f.Add("a,\"x\nb,\"y,\"\"\nc,\"z\",\"\nd,four\nx y,\"a\nb\"\n", 2)
	f.Fuzz(func(t *testing.T, body string, n int) {
		if n < 1 || n > 50 || len(body) > 4096 {
			return
		}
		path := write(t, "t.csv", "id,report\n"+body)
		if _, err := Cut(path, plain, 1); err != nil {
			return // no row at all
		}
		rows, bad := all(t, path, plain, n)
		once, onceBad := all(t, path, plain, 1<<20)
		if fmt.Sprint(rows, bad) != fmt.Sprint(once, onceBad) {
			t.Errorf("by %d: %v %v\nwhole: %v %v", n, rows, bad, once, onceBad)
		}
		for _, r := range rows {
			if r.ID == "" || !utf8.ValidString(r.ID+r.Report) {
				t.Errorf("row %+v", r)
			}
		}
	})
}

// BenchmarkCSV cuts and reads 100,000 rows of some 300 bytes with quotes in them.
func BenchmarkCSV(b *testing.B) {
	var text strings.Builder
	text.WriteString("id,report\n")
	for i := range 100000 {
		fmt.Fprintf(&text, "study_%07d,\"%s\"\n", i, strings.Repeat(`No ""pleural"" effusion, `, 12))
	}
	path := write(b, "t.csv", text.String())
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		ranges, err := Cut(path, plain, 5000)
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range ranges {
			if rows, _, err := Read(r, plain); err != nil || len(rows) != 5000 {
				b.Fatal(len(rows), err)
			}
		}
	}
}
