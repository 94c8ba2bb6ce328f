package table

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

var plain = Columns{Study: "id", Report: []string{"report"}}

// all cuts content into ranges of n rows and reads them back, each on its own.
func all(t *testing.T, path string, c Columns, n int) (rows []Row, bad []BadRow) {
	t.Helper()
	ranges, err := Cut(path, c, n)
	if err != nil {
		t.Fatal(err)
	}
	var rd Reader
	defer rd.Close()
	first := int64(0)
	for i, r := range ranges {
		if r.Index != i || r.FirstRow != first {
			t.Fatalf("range %d: index %d, first row %d, want %d", i, r.Index, r.FirstRow, first)
		}
		first += r.Rows
		one, oneBad, err := Read(r, c)
		if err != nil {
			t.Fatal(err)
		}
		again, againBad, err := rd.Read(r, c)
		if err != nil || fmt.Sprint(again, againBad) != fmt.Sprint(one, oneBad) {
			t.Fatalf("range %d: a Reader gives %v %v %v, Read %v %v", i, again, againBad, err, one, oneBad)
		}
		if int64(len(one)+len(oneBad)) != r.Rows {
			t.Fatalf("range %d: %d rows and %d bad ones of %d", i, len(one), len(oneBad), r.Rows)
		}
		rows, bad = append(rows, one...), append(bad, oneBad...)
	}
	return rows, bad
}

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	b := []byte(content)
	if strings.HasSuffix(name, ".gz") {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(b)
		w.Close()
		b = z.Bytes()
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCSVRows(t *testing.T) {
	cases := []struct{ name, in, rows, bad string }{
		{"plain", "id,report\na,one\nb,two\n", "a=one@2 b=two@3", ""},
		{"BOM, CRLF, no last line end", "\xef\xbb\xbfid,report\r\na,one\r\nb,two", "a=one@2 b=two@3", ""},
		{"lines within quotes", "id,report\na,\"one\r\ntwo \"\"x\"\"\"\nb,\"p, q\"\n", "a=one\ntwo \"x\"@2 b=p, q@4", ""},
		{"empty lines are no rows", "\nid,report\n\na,one\n\r\nb,two\n\n", "a=one@4 b=two@6", ""},
		{"columns in another order, more of them", "report,x,id\none,,a\n", "a=one@2", ""},
		{"too few and too many fields", "id,report\na\nb,two\nc,x,y\nd,four\n", "b=two@3 d=four@5", "fields@2 fields@4"},
		{"a bare quote", "id,report\na,o\"ne\nb,two\n", "b=two@3", "quote@2"},
		{"text after a quote", "id,report\na,\"one\"x\nb,two\n", "b=two@3", "quote@2"},
		{"an unclosed quote before plain rows", "id,report\na,\"one\nb,two\nc,three\n", "b=two@3 c=three@4", "quote@2"},
		{"an unclosed quote before quoted rows", "id,report\na,\"one\nb,\"two\"\nc,three\n", "b=two@3 c=three@4", "quote@2"},
		{"an unclosed quote at the end", "id,report\na,one\nb,\"two\n", "a=one@2", "quote@3"},
		{"three unclosed quotes", "id,report\na,\"x\nb,\"y\nc,\"z\nd,four\n", "d=four@5", "quote@2 quote@3 quote@4"},
		{"running text after a broken quote is no row",
			"id,report\na,\"Findings\nthe \"left\" lung, as seen\nno effusion, no nodule\nend\"\nb,two\n", "b=two@6", "quote@2"},
		{"NUL", "id,report\na,o\x00e\nb,two\n", "b=two@3", "nul@2"},
		{"not UTF-8", "id,report\na,\xff\nb,two\n", "b=two@3", "utf8@2"},
		{"no id", "id,report\n,one\nb,two\n", "b=two@3", "no-id@2"},
		{"an index column without a name", ",id,report\n0,a,one\n", "a=one@2", ""},
		{"over 1 MiB in one line", "id,report\na," + strings.Repeat("x", 1<<20+1) + "\nb,two\n", "b=two@3", "too-long@2"},
		{"over 1 MiB in quotes", "id,report\na,\"" + strings.Repeat("x", 1<<20+1) + "\"\nb,two\n", "b=two@3", "too-long@2"},
		{"over 4 MiB", "id,report\na," + strings.Repeat("x", 5<<20) + "\nb,two\n", "b=two@3", "too-long@2"},
		{"over 1 MiB of lines in quotes", "id,report\na,\"" + strings.Repeat("lung\n", 1<<18) + "\"\nb,two\n", "b=two@262147", "quote@2"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, file := range []string{"t.csv", "t.csv.gz"} {
				for _, n := range []int{1, 2, 100} {
					if len(c.in) > 1<<20 && n == 2 {
						continue // slow, and nothing new
					}
					rows, bad := all(t, write(t, file, c.in), plain, n)
					var gotRows, gotBad []string
					for _, r := range rows {
						gotRows = append(gotRows, fmt.Sprintf("%s=%s@%d", r.ID, r.Report, r.Line))
					}
					for _, b := range bad {
						gotBad = append(gotBad, fmt.Sprintf("%s@%d", b.Class, b.Line))
					}
					if got := strings.Join(gotRows, " "); got != c.rows {
						t.Errorf("%s by %d: rows %.200q, want %q", file, n, got, c.rows)
					}
					if got := strings.Join(gotBad, " "); got != c.bad {
						t.Errorf("%s by %d: bad %q, want %q", file, n, got, c.bad)
					}
				}
			}
		})
	}
}

func TestReportColumns(t *testing.T) {
	c := Columns{Study: "id", Patient: "who", Split: "part", Report: []string{"f", "i"}, Extra: []string{"i", "id"}}
	rows, _ := all(t, write(t, "t.csv", "id,who,part,f,i\n1,p,train,lungs,clear\n2,p,valid,Not given.,clear\n3,q,valid,lungs,Not given.\n4,q,valid,, \n"), c, 3)
	want := []string{"lungs\nclear", "clear", "lungs", ""}
	for i, r := range rows {
		if r.Report != want[i] {
			t.Errorf("row %d: report %q, want %q", i, r.Report, want[i])
		}
	}
	if r := rows[1]; r.Patient != "p" || r.Split != "valid" || fmt.Sprint(r.Extra) != "[clear 2]" {
		t.Errorf("row 1: %+v", r)
	}
}

func TestJSONLRows(t *testing.T) {
	in := "\xef\xbb\xbf" + `{"id":"a","report":"o\"ne\nx"}` + "\r\n\n" + `{"id":7,"report":null}` + "\n" + `{"id":"c"}` + "\n" + `{"id":"d","report":[1]}` + "\n" +
		`{"id":"e",` + "\n" + `[1]` + "\n" + `{"report":"x"}` + "\n" + `{"id":"f","report":"\u0000"}` + "\n" + `{"id":"g","report":"last"}`
	for _, file := range []string{"t.jsonl", "t.jsonl.gz"} {
		rows, bad := all(t, write(t, file, in), plain, 2)
		got := ""
		for _, r := range rows {
			got += fmt.Sprintf("%s=%q@%d ", r.ID, r.Report, r.Line)
		}
		for _, b := range bad {
			got += fmt.Sprintf("%s@%d ", b.Class, b.Line)
		}
		want := `a="o\"ne\nx"@1 7=""@3 c=""@4 g="last"@10 type@5 json@6 json@7 no-id@8 nul@9 `
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", file, got, want)
		}
	}
}

func TestCutErrors(t *testing.T) {
	cases := []struct{ name, file, in, want string }{
		{"empty", "t.csv", "", "t.csv: the file is empty"},
		{"header only", "t.csv", "id,report\n\n", "t.csv: no rows after the header"},
		{"missing column", "t.csv", "id,Report_EN\na,b\n", `t.csv:1: no column "report"; the nearest is "Report_EN"`},
		{"missing column below empty lines", "t.csv", "\n\nid,x\na,b\n", `t.csv:3: no column "report" among the header's 2`},
		{"no header", "t.csv", "1,Report of a normal chest\n2,b\n", `t.csv:1: no column "id" among the header's 2`},
		{"column twice", "t.csv", "id,report,report\na,b,c\n", `t.csv:1: column "report" appears more than once`},
		{"UTF-16", "t.csv", "\xff\xfei\x00d\x00", "t.csv: the file is UTF-16; it must be UTF-8"},
		{"broken header", "t.csv", "id,\"report\na,b\n", "t.csv:1: the header is not CSV: a quoted field does not end"},
		{"empty", "t.jsonl", "", "t.jsonl: the file is empty"},
		{"missing key", "t.jsonl", `{"id":"a","text":"b"}`, `t.jsonl:1: no column "report" among the header's 2`},
		{"no gzip", "t.csv.gz", "", "t.csv.gz: the file is empty"},
		{"no Parquet", "t.parquet", "id,report\n", "t.parquet: "},
		{"other name", "t.xlsx", "", "t.xlsx: not a table's name"},
	}
	for _, c := range cases {
		t.Run(c.name+" "+c.file, func(t *testing.T) {
			_, err := Cut(write(t, c.file, c.in), plain, 10)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Cut(filepath.Join(t.TempDir(), "no.csv"), plain, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestTruncatedGzipIsAnError(t *testing.T) {
	path := write(t, "t.csv.gz", "id,report\n"+strings.Repeat("a,some text\n", 5000))
	b, _ := os.ReadFile(path)
	os.WriteFile(path, b[:len(b)-9], 0o600)
	if _, err := Cut(path, plain, 100); err == nil || !strings.Contains(err.Error(), "t.csv.gz") {
		t.Errorf("error %v", err)
	}
}

func TestChangedFileIsRefused(t *testing.T) {
	path := write(t, "t.csv", "id,report\na,one\nb,two\nc,three\n")
	ranges, err := Cut(path, plain, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, now := range []string{"id,report\na,one\nb,twa\nc,three\n", "id,report\na,one\n", "report,id\na,one\nb,two\nc,three\n"} {
		os.WriteFile(path, []byte(now), 0o600)
		if _, _, err := Read(ranges[1], plain); !errors.Is(err, ErrChanged) {
			t.Errorf("%q: %v", now, err)
		}
	}
}

func TestDigestIsOfTheRowsAlone(t *testing.T) {
	a, _ := Cut(write(t, "a.csv", "id,report\na,one\nb,two\n"), plain, 1)
	b, _ := Cut(write(t, "b.csv", "id,report\na,one\nb,TWO\nc,x\n"), plain, 1)
	if a[0].Digest != b[0].Digest || a[1].Digest == b[1].Digest || len(b) != 3 {
		t.Errorf("%v\n%v", a, b)
	}
}
