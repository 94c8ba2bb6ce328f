package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestVolumeConvert: what the tensor is, pkg/volume tests; here that the options reach it and that a file is there whole
// or not at all.
func TestVolumeConvert(t *testing.T) {
	dir := t.TempDir()
	data, out := filepath.Join("..", "..", "pkg", "volume", "testdata"), filepath.Join(dir, "out.npy")
	convert := func(want int, file string, args ...string) (tensor []byte, message string) {
		t.Helper()
		os.Remove(out)
		var stderr bytes.Buffer
		root := Root()
		root.SetArgs(append([]string{"volume", "convert", filepath.Join(data, file), "--preset", "compact", "--out", out}, args...))
		root.SetErr(&stderr)
		err := root.ExecuteContext(t.Context())
		if got := code(err); got != want {
			t.Fatalf("%s %v: exit code %d, want %d: %v", file, args, got, want, err)
		}
		tensor, _ = os.ReadFile(out)
		if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 || (want == 0) != (tensor != nil) {
			t.Errorf("%s %v: %d bytes, and %v", file, args, len(tensor), left)
		}
		if err != nil {
			message = err.Error()
		}
		return tensor, message
	}
	plain, _ := convert(0, "sform-permuted.nii")
	if !bytes.Contains(plain[:128], []byte("'<f4', 'fortran_order': False, 'shape': (1, 128, 128, 128)")) || len(plain) != 128+4*128*128*128 {
		t.Errorf("%d bytes, %q", len(plain), plain[:128])
	}
	for _, other := range [][]string{{"--layout", "ctclip"}, {"--clip", "last"}} {
		if b, _ := convert(0, "sform-permuted.nii", other...); bytes.Equal(b, plain) {
			t.Errorf("%v changes nothing", other)
		}
	}
	convert(0, "dicom/axes-prone.zip")
	for file, want := range map[string]string{"bad-crc.nii.gz": "invalid checksum", "bad-truncated.nii": "truncated", "no-such.nii": "no such file", "make.py": "not NIfTI"} {
		if _, message := convert(3, file); !strings.Contains(message, want) || !strings.Contains(message, file) {
			t.Errorf("%s: %s", file, message)
		}
	}
	convert(3, "dicom/axes-prone.zip", "--layout", "ctclip")
	for _, args := range [][]string{{"--preset", "mps"}, {"--clip", "never"}, {"--layout", "xyz"}, {"--out", ""}} {
		convert(2, "plain.nii.gz", args...)
	}
}
