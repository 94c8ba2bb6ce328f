package volume

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What numpy 2.4 saves: its header, which is 118 bytes long, and its data.
var arrays = []struct{ name, header, data, want string }{
	{"float32", "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }", "\x00\x00\xc0\x3f\x00\x00\x00\xc0\x00\x00\xc0\x7f", "[1 3] []float32 [1.5 -2 NaN]"},
	{"float64", "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }", "\x9a\x99\x99\x99\x99\x99\xb9\x3f\x00\x00\x00\x00\x00\x00\x08\x40", "[2 1] []float64 [0.1 3]"},
	{"bool", "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\x01\x00", "[2] []uint8 [1 0]"},
	{"int64", "{'descr': '<i8', 'fortran_order': False, 'shape': (1, 1, 1), }", "\xfb\xff\xff\xff\xff\xff\xff\xff", "[1 1 1] []int64 [-5]"},
	{"uint16", "{'descr': '<u2', 'fortran_order': False, 'shape': (1,), }", "\xff\xff", "[1] []int64 [65535]"},
	{"none", "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }", "", "[0 4] []float32 []"},
}

func TestReadArray(t *testing.T) {
	dir := t.TempDir()
	read := func(header, data string) string {
		path := filepath.Join(dir, "a.npy")
		if err := os.WriteFile(path, []byte("\x93NUMPY\x01\x00v\x00"+fmt.Sprintf("%-117s\n", header)+data), 0o644); err != nil {
			t.Fatal(err)
		}
		a, err := ReadArray(path)
		if err != nil {
			return strings.TrimPrefix(err.Error(), path+": ")
		}
		return fmt.Sprintf("%v %T %v", a.Shape, a.Data, a.Data)
	}
	for _, c := range arrays {
		if got := read(c.header, c.data); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for _, c := range []struct{ name, header, data, want string }{
		{"cut off", arrays[1].header, "12345678", "truncated: 8 of 16 bytes of numbers"},
		{"more than the header says", arrays[2].header, "\x01\x00\x01", "more bytes than the 2 numbers of its header"},
		{"columns first", strings.Replace(arrays[0].header, "False", "True", 1), arrays[0].data, "in Fortran order: save it with numpy.ascontiguousarray"},
		{"objects", strings.Replace(arrays[0].header, "<f4", "|O", 1), arrays[0].data, "an array of type '|O': float32, float64, bool and little-endian integers are read"},
		{"a header that lies", "{'descr': '<f8', 'fortran_order': False, 'shape': (1073741824, 1), }", "1234", "truncated: 4 of 8589934592 bytes of numbers"},
	} {
		if got := read(c.header, c.data); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
