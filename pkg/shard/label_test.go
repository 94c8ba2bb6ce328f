package shard

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	tables "silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"
)

var labelRows = []LabelRow{
	{ID: "a", Labels: []taxonomy.Label{{State: 1, P: 0.98, From: 3, To: 9, Source: "nodule.1"}, {State: 0, P: 0.25}, {State: -1, P: 0.5, Source: "llm:m"}}},
	{ID: "b, \"x\""},
	{ID: "c", Labels: []taxonomy.Label{{State: -2}, {State: -2, P: 0.01}, {State: 1, P: 1, From: 0, To: 1, Source: "nodule.1"}}},
}

func TestLabelPartRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x", "a.part")
	digest, err := WriteLabelPart(path, findings, labelRows)
	if err != nil {
		t.Fatal(err)
	}
	names, rows, err := ReadLabelPart(path)
	if err != nil || !reflect.DeepEqual(names, findings) || !reflect.DeepEqual(rows, labelRows) {
		t.Errorf("%v %+v %v", names, rows, err)
	}
	if again, _ := WriteLabelPart(path, findings, labelRows); again != digest || len(digest) != 64 {
		t.Errorf("digests %q and %q", digest, again)
	}
	good, _ := os.ReadFile(path)
	for i := range good {
		b := append([]byte(nil), good...)
		b[i] ^= 4
		os.WriteFile(path, b, 0o600)
		if _, _, err := ReadLabelPart(path); err == nil {
			t.Fatalf("flip at %d is taken", i)
		}
		os.WriteFile(path, good[:i], 0o600)
		if _, _, err := ReadLabelPart(path); err == nil {
			t.Fatalf("%d bytes of %d are taken", i, len(good))
		}
	}
	for _, bad := range []taxonomy.Label{{State: 2}, {State: -3}, {From: 2, To: 1}, {From: -1}} {
		if _, err := WriteLabelPart(path, findings[:1], []LabelRow{{"a", []taxonomy.Label{bad}}}); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// parts writes labelRows as two parts.
func parts(t *testing.T, dir string) (paths []string) {
	t.Helper()
	for i, rows := range [][]LabelRow{labelRows[:2], labelRows[2:]} {
		paths = append(paths, filepath.Join(dir, "labels", fmt.Sprint(i, ".part")))
		if _, err := WriteLabelPart(paths[i], findings, rows); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

func TestMergeLabels(t *testing.T) {
	head := "id,Medical material,Lung nodule,Emphysema\n"
	for _, c := range []struct {
		form LabelForm
		want string
	}{
		{LabelForm{}, "a,1,0,-1\n\"b, \"\"x\"\"\",,,\nc,,,1\n"},
		{LabelForm{As: "binary"}, "a,1,0,1\n\"b, \"\"x\"\"\",,,\nc,0,0,1\n"},
		{LabelForm{As: "binary", Uncertain: "missing"}, "a,1,0,\n\"b, \"\"x\"\"\",,,\nc,0,0,1\n"},
		{LabelForm{As: "probability"}, "a,0.98,0.25,0.5\n\"b, \"\"x\"\"\",,,\nc,0,0.01,1\n"},
	} {
		dir := t.TempDir()
		csv, pq := filepath.Join(dir, "labels.csv"), filepath.Join(dir, "labels.parquet")
		n, digest, err := MergeLabels(parts(t, dir), findings, c.form, pq, csv)
		if err != nil || n != 3 {
			t.Fatal(n, err)
		}
		if got, _ := os.ReadFile(csv); string(got) != head+c.want {
			t.Errorf("%+v:\n%swant\n%s", c.form, got, head+c.want)
		}
		if _, again, err := MergeLabels(parts(t, dir), findings, c.form, "", ""); err != nil || again != digest {
			t.Errorf("%+v: digest %s without files, %s with them (%v)", c.form, again, digest, err)
		}
		cells := func(path string) string {
			ranges, err := tables.Cut(path, tables.Columns{Study: "id", Extra: findings}, 10)
			if err != nil {
				t.Fatal(err)
			}
			rows, bad, err := tables.Read(ranges[0], tables.Columns{Study: "id", Extra: findings})
			if err != nil || bad != nil {
				t.Fatal(bad, err)
			}
			for i := range rows {
				rows[i].Line = 0 // of Parquet it is the row
			}
			return fmt.Sprintf("%+v", rows)
		}
		if a, b := cells(csv), cells(pq); a != b {
			t.Errorf("%+v: Parquet %s\nCSV %s", c.form, b, a)
		}
		if python != "" {
			dataset(t, dir)
			out, err := exec.Command(python, "testdata/read.py", dir).CombinedOutput()
			if t.Logf("%s", out); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestMergeLabelsErrors(t *testing.T) {
	dir := t.TempDir()
	paths := parts(t, dir)
	out := filepath.Join(dir, "labels.csv")
	if _, _, err := MergeLabels(paths, findings[:2], LabelForm{}, filepath.Join(dir, "labels.parquet"), out); err == nil || !strings.Contains(err.Error(), "0.part: findings") {
		t.Errorf("other findings: %v", err)
	}
	if _, _, err := MergeLabels(append(paths, filepath.Join(dir, "none")), findings, LabelForm{}, "", out); err == nil {
		t.Error("a missing part is passed over")
	}
	if _, _, err := MergeLabels(paths, findings, LabelForm{As: "states"}, "", out); err == nil {
		t.Error("an unknown form is taken")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "labels.*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// manyParts writes n rows of 18 findings as parts of 5,000.
func manyParts(t testing.TB, n int) (dir string, names, paths []string) {
	t.Helper()
	dir, names = t.TempDir(), make([]string, 18)
	for i := range names {
		names[i] = fmt.Sprint("finding ", i)
	}
	for at := 0; at < n; at += 5000 {
		rows := make([]LabelRow, 5000)
		for i := range rows {
			rows[i] = LabelRow{ID: fmt.Sprintf("study_%07d", at+i), Labels: make([]taxonomy.Label, 18)}
			for k := range rows[i].Labels {
				rows[i].Labels[k] = taxonomy.Label{State: taxonomy.State((at+i*k)%4 - 2), P: float32(k) / 18}
			}
		}
		paths = append(paths, filepath.Join(dir, fmt.Sprintf("%07d.part", at)))
		if _, err := WriteLabelPart(paths[len(paths)-1], names, rows); err != nil {
			t.Fatal(err)
		}
	}
	return dir, names, paths
}

func BenchmarkMergeLabels(b *testing.B) {
	const n = 100_000
	dir, names, paths := manyParts(b, n)
	for b.Loop() {
		if _, _, err := MergeLabels(paths, names, LabelForm{}, filepath.Join(dir, "labels.parquet"), filepath.Join(dir, "labels.csv")); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "rows/s")
}

// TestMergeIsBounded merges 200,000 rows of 18 findings and holds the heap against a bound that the rows alone (144 MB of
// labels) would break.
func TestMergeIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("200,000 rows")
	}
	const n = 200_000
	dir, names, paths := manyParts(t, n)
	runtime.GC()
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		var peak uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
			select {
			case <-stop:
				most <- peak
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	start := time.Now()
	rows, _, err := MergeLabels(paths, names, LabelForm{}, filepath.Join(dir, "labels.parquet"), filepath.Join(dir, "labels.csv"))
	t.Logf("%d rows in %v", rows, time.Since(start))
	close(stop)
	if peak := <-most; err != nil || rows != n || peak > 100<<20 {
		t.Errorf("%d rows, heap %d MiB, %v", rows, peak>>20, err)
	}
}
