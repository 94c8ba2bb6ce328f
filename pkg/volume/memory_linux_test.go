package volume

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestHostileFilesTakeLittleMemory opens every file that has to be refused in one child process, and compares its peak
// with that of a child that opens none.
func TestHostileFilesTakeLittleMemory(t *testing.T) {
	var files []string
	for _, pattern := range []string{"testdata/bad-*", "testdata/dicom/bad-*", "testdata/npy/bad-*"} {
		more, _ := filepath.Glob(pattern)
		files = append(files, more...)
	}
	dir := t.TempDir()
	for name, b := range map[string][]byte{"directory.zip": manyEntries(300_000), "overlap.zip": sameEntry(t, 4000)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	if len(files) < 190 {
		t.Fatalf("%d files", len(files))
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil { // whoever opens it waits for ever
		t.Fatal(err)
	}
	files = append(files, dir, filepath.Join(dir, "pipe"), "/dev/zero")
	idle, all := peak(t), peak(t, files...)
	t.Logf("%d files: %d MiB idle, %d MiB", len(files), idle>>20, all>>20)
	if above := all - idle; above > 64<<20 {
		t.Errorf("%d hostile files: %d MiB above an idle start", len(files), above>>20)
	}
}

// peak is the most memory, in bytes, of a process that opens files, all of which it must refuse.
func peak(t *testing.T, files ...string) int64 {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestOpenIsRefused$", "-test.count=1")
	c.Env = append(os.Environ(), "SILVERBEAM_HOSTILE="+strings.Join(files, "\n"))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var kB int64
	if _, after, ok := strings.Cut(string(out), "VmHWM:"); !ok {
		t.Fatalf("no peak: %s", out)
	} else if _, err := fmt.Sscan(after, &kB); err != nil {
		t.Fatal(err)
	}
	return kB << 10
}

// TestOpenIsRefused is the child of peak.
func TestOpenIsRefused(t *testing.T) {
	for _, f := range strings.Fields(os.Getenv("SILVERBEAM_HOSTILE")) {
		if _, err := Open(f, Options{}); err == nil {
			t.Errorf("%s is taken", f)
		}
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil { // rusage begins with the parent's peak
		fmt.Printf("%s\n", status)
	}
}

// manyEntries is a zip whose directory lists n empty files.
func manyEntries(n int) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range n {
		z.CreateRaw(&zip.FileHeader{Name: fmt.Sprint(i)})
	}
	z.Close()
	return b.Bytes()
}

// sameEntry is a zip of n entries that all lie in the same bytes: a DICOM file with 15 MiB before its pixels.
func sameEntry(t *testing.T, n int) []byte {
	t.Helper()
	z, err := zip.OpenReader("testdata/dicom/private-blob.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	in, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(file, []byte("\x29\x00\x10\x10OB\x00\x00")) + 8
	const blob = 15 << 20
	long := append(binary.LittleEndian.AppendUint32(bytes.Clone(file[:at]), blob), make([]byte, blob)...)
	long = append(long, file[at+4+100_000:]...)
	var packed, out bytes.Buffer
	w, _ := flate.NewWriter(&packed, 6)
	w.Write(long)
	w.Close()
	h := zip.FileHeader{Name: "0", Method: zip.Deflate, CompressedSize64: uint64(packed.Len()), UncompressedSize64: uint64(len(long))}
	zw := zip.NewWriter(&out)
	p, _ := zw.CreateRaw(&h)
	p.Write(packed.Bytes())
	zw.Close()
	one := out.Bytes() // a local header and its data, a directory of one, an end
	end := len(one) - 22
	start := int(binary.LittleEndian.Uint32(one[end+16:]))
	entry := one[start:end]
	b := append(bytes.Clone(one[:start]), bytes.Repeat(entry, n)...)
	tail := bytes.Clone(one[end:])
	binary.LittleEndian.PutUint16(tail[8:], uint16(n))
	binary.LittleEndian.PutUint16(tail[10:], uint16(n))
	binary.LittleEndian.PutUint32(tail[12:], uint32(n*len(entry)))
	return append(b, tail...)
}

// BenchmarkSeries reads the series in SILVERBEAM_SERIES, for testdata/series.py.
func BenchmarkSeries(b *testing.B) {
	folder := os.Getenv("SILVERBEAM_SERIES")
	if folder == "" {
		b.Skip("needs SILVERBEAM_SERIES")
	}
	cpu := func() float64 {
		var r syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &r)
		return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
	}
	for range 2 { // the second one counts
		start := cpu()
		if _, err := Open(folder, Options{}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(cpu()-start, "cpu-s/op")
	}
}
