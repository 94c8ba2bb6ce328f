package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"
	"silverbeam/schemas"
)

// A batch whose making was ended goes on behind the last volume that was through, refused ones too: the files of those may be
// gone. A record that is not whole is read again.
func TestShardsReadsNoVolumeAgain(t *testing.T) {
	dir := t.TempDir()
	preset, err := volume.PresetByName("demo")
	if err != nil {
		t.Fatal(err)
	}
	w := &shards{Name: "s", Options: Options{HUSource: "header"}, Findings: []string{"a"}, preset: preset}
	var volumes []schemas.Volume
	for i := range 6 {
		v := schemas.Volume{ID: fmt.Sprint("x_", i), Path: filepath.Join(dir, fmt.Sprint(i, ".nii"))}
		if volumes = append(volumes, v); i != 2 { // which is refused
			scan(t, v.Path, int16(i))
		}
	}
	write := func(name string) (schemas.Shard, []schemas.Reject, error) {
		b := &schemas.Batch{ID: "b", Studies: []schemas.Study{{ID: "x", Patient: "p", Labels: make([]taxonomy.Label, 1), Volumes: volumes}}}
		sh, _, err := w.Write(t.Context(), filepath.Join(dir, name), b)
		return sh, b.Rejects, err
	}
	want, refused, err := write("undisturbed.arrow")
	if err != nil || want.Rows != 5 || len(refused) != 1 {
		t.Fatal(want.Rows, refused, err)
	}
	last := volumes[5].Path
	if err := os.Rename(last, last+".aside"); err != nil {
		t.Fatal(err)
	}
	for name, tear := range map[string]int64{"whole.arrow": 0, "torn.arrow": 1, "half.arrow": int64(preset.Len())} {
		if err := os.Symlink("/proc/self/mem", last); err != nil { // a disk that cannot be read
			t.Fatal(err)
		}
		if _, _, err := write(name); err == nil {
			t.Fatal("the disk was read")
		}
		spool := filepath.Join(dir, name) + shard.SpoolSuffix
		st, err := os.Stat(spool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(spool, st.Size()-tear); err != nil {
			t.Fatal(err)
		}
		var gone []schemas.Volume // those with a record: volumes are read side by side, so the torn one may be any
		kept := shard.OpenSpool(filepath.Join(dir, name))
		for _, v := range volumes {
			if kept.Has(v.ID) {
				gone = append(gone, v)
			}
		}
		kept.Close()
		if wants := map[bool]int{true: 5, false: 4}; len(gone) != wants[tear == 0] {
			t.Fatalf("%s: %d records", name, len(gone))
		}
		for _, v := range gone {
			_ = os.Rename(v.Path, v.Path+".gone")
		}
		if err := os.Rename(last+".aside", last); err != nil {
			t.Fatal(err)
		}
		got, rejects, err := write(name)
		if err != nil || got.Digest != want.Digest || got.Entry != want.Entry || !reflect.DeepEqual(rejects, refused) {
			t.Errorf("%s: %d rows, rejects %v, %v; want the %d of the undisturbed", name, got.Rows, rejects, err, want.Rows)
		}
		for _, v := range gone {
			_ = os.Rename(v.Path+".gone", v.Path)
		}
		if err := os.Rename(last, last+".aside"); err != nil {
			t.Fatal(err)
		}
	}
}
