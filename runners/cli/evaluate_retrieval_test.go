package cli

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// npy writes an array as numpy does.
func npy(t *testing.T, dir, name, descr, shape string, data any) string {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "\x93NUMPY\x01\x00v\x00%-117s\n", "{'descr': '"+descr+"', 'fortran_order': False, 'shape': ("+shape+"), }")
	if err := binary.Write(&b, binary.LittleEndian, data); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The arithmetic is held to others' in pkg/metrics; here, that files, flags and exit codes reach it.
func TestEvaluateArrays(t *testing.T) {
	dir := t.TempDir()
	text := func(name, s string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	out := filepath.Join(dir, "out.json")
	v := npy(t, dir, "v.npy", "<f4", "4, 2", []float32{1, 0, 1, 0, .8, .6, 0, 1})
	w := npy(t, dir, "w.npy", "<f8", "4, 2", []float64{2, 0, 2, 0, .8, .6, 0, 1})
	zero := npy(t, dir, "zero.npy", "<f4", "4, 2", []float32{1, 0, 0, 0, .8, .6, 0, 1})
	flat := npy(t, dir, "flat.npy", "<f4", "8,", make([]float32, 8))
	four := npy(t, dir, "four.npy", "<f4", "4, 4, 2", make([]float32, 32))
	l := text("l.csv", "id,patient_id,scan_id,a,b\n1,p,s,1,1\n2,p,s,1,1\n3,q,t,1,0\n4,r,u,0,0\n")
	bad := text("bad.csv", "id,a\n1,1\n2,x\n3,0\n4,0\n")
	asked := text("asked.csv", "scan_id\ns\nu\ns\nt\n")
	mask := npy(t, dir, "m.npy", "|b1", "1, 2, 2", []bool{true, false, true, false})
	two := npy(t, dir, "two.npy", "<i4", "1, 2, 2", []int32{1, 0, 2, 0})
	ratings := text("r.csv", "id,x,y\na,1,1\nb,0,1\nc,0,0\nd,,1\n")
	text("nan.csv", "id,x,y\na,1,1\nb,0,nan\n")
	retrieval := func(q, p, labels, protocol string) string {
		return fmt.Sprintf("retrieval --queries %s --pool %s --labels %s --protocol %s", q, p, labels, protocol)
	}
	for _, c := range []struct {
		args string
		code int
		want string // in the figures, or the whole error
	}{
		{retrieval(v, w, l, "clean"), 0, `"n_same_patient": 2`},
		{retrieval(v, v, l, "ctclip-volume-map"), 0, `"n_pool": 3`},
		{retrieval(v, v, l, "ctclip-report-recall"), 0, `"n_queries": 4`},
		{retrieval(v, v, l, "study-recall --query-ids "+asked), 0, `"n_pool": 3`},
		{fmt.Sprintf("retrieval --queries %s --pool %s --protocol mc4", v, four), 0, `"tie_rate": 1`},
		{retrieval(v, zero, l, "clean"), 3, zero + ": row 1 (from 0): every column is 0: such a vector has no cosine"},
		{retrieval(flat, v, l, "clean"), 3, flat + ": shape [8]: must have 2 axes, none of them empty"},
		{retrieval(v, v, bad, "clean"), 3, bad + `:3: column "a": neither 1, 0, -1 (uncertain) nor empty`},
		{retrieval(v, v, asked, "study-recall") + " --query-ids " + l, 0, `"n_queries": 4`},
		{retrieval(v, v, ratings, "study-recall"), 3, ratings + `:1: column "scan_id" of studies is missing`},
		{"agreement --ratings " + ratings, 0, `"pabak": 0.33333333333333326`},
		{"agreement --ratings " + filepath.Join(dir, "nan.csv"), 3, filepath.Join(dir, "nan.csv") + `:3: column "y": no finite number: a category is a number, empty is missing`},
		{fmt.Sprintf("masks --spacing 1,1,1 --pred %s --truth %s", mask, mask), 0, `"dice": 1`},
		{fmt.Sprintf("masks --spacing 1,1,1 --pred %s --truth %s", mask, two), 3, two + ": row 1 of slice 0, column 0 (from 0): neither 0 nor 1"},
	} {
		os.Remove(out)
		root := Root()
		root.SetOut(&bytes.Buffer{})
		root.SetErr(&bytes.Buffer{})
		root.SetArgs(strings.Fields("evaluate " + c.args + " --json " + out))
		err := root.Execute()
		figures, _ := os.ReadFile(out)
		switch {
		case code(err) != c.code:
			t.Errorf("%s: %v: exit code %d, want %d", c.args, err, code(err), c.code)
		case err != nil && (err.Error() != c.want || len(figures) > 0):
			t.Errorf("%s: %q, want %q and no figures", c.args, err, c.want)
		case err == nil && !strings.Contains(string(figures), c.want):
			t.Errorf("%s: no %s in %s", c.args, c.want, figures)
		}
	}
}
