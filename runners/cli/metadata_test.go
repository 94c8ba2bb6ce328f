package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// CT-RATE's first version, whose raw values and geometry stand in tables, gives the tensors of the second. Each read as the other
// is refused with the numbers, and so is a volume that the table does not know.
func TestBothVersionsOfCTRATE(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	for layout, dir := range map[string]string{"ct-rate": "second", "ct-rate-v1": "first"} {
		l.succeed("phantom", "--studies", "8", "--size", "64", "--seed", "4", "--layout", layout, "--out", dir)
	}
	run := func(data, source string) string {
		name := data + " as " + source
		l.write(name+".yaml", fmt.Sprintf("rejects: {tolerance: 100%%}\ntransforms:\n"+
			"  - {type: intake.Studies, config: {layout: ct-rate, root: %s}}\n  - {type: label.Reports}\n  - {type: dataset.Shards, config: {hu_source: %s}}\n", data, source))
		l.exits(0, "run", name+".yaml", "--run", name)
		return name
	}
	second, first := l.tensors(run("second", "header")), l.tensors(run("first", "metadata"))
	if len(second) < 12 || !maps.Equal(first, second) {
		t.Errorf("the tensors of the first version: %v, of the second: %v", first, second)
	}
	refused := func(name, says string, want int) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(l.dir, name, "rejects.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(regexp.MustCompile(says).FindAll(text, -1)); n != want {
			t.Errorf("%s: %d refused for %s, want %d: %.600s", name, n, says, want, text)
		}
	}
	numbers := `implausible HU: \d+\.\d % of voxels .* and \d+\.\d % in .*median -?\d+.* check hu_source`
	refused(run("first", "header"), numbers, len(first))
	refused(run("first", "already-hu"), numbers, len(first))
	for _, split := range []string{"train", "validation"} {
		file := "dataset/metadata/" + split + "_metadata.csv"
		raw, err := os.ReadFile(filepath.Join(l.dir, "first", file))
		if err != nil {
			t.Fatal(err)
		}
		l.write("second/"+file, string(raw))
		header, rows, _ := strings.Cut(string(raw), "\n")
		_, rest, _ := strings.Cut(rows, "\n")
		l.write("first/"+file, header+"\n"+rest)
	}
	refused(run("second", "metadata"), numbers, len(first))
	refused(run("first", "metadata"), "its table has no row for it", 2)
	l.write("dicom.yaml", "transforms:\n  - {type: intake.Studies, config: {layout: dicom, root: first}}\n  - {type: dataset.Shards, config: {hu_source: metadata}}\n")
	if out := l.exits(codeInput, "run", "dicom.yaml"); !strings.Contains(out, "only layout ct-rate has a table of it") {
		t.Error(out)
	}
}
