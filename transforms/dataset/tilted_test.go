package dataset

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"silverbeam/pkg/volume"
	"silverbeam/schemas"
)

// Volumes of a tilted gantry are refused, or read where the step says so; the two are other data sets.
func TestTiltedIsForTheStepToSay(t *testing.T) {
	preset, err := volume.PresetByName("compact")
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := Options{}.Identity()
	for tilted, want := range map[string]string{"": "tilted gantry: ", "resample": "not a chest: "} { // of the noise that its pixels are
		w := &shards{Name: "s", Options: Options{HUSource: "header", Tilted: tilted}, Findings: []string{"a"}, preset: preset}
		b := &schemas.Batch{ID: "b", Studies: []schemas.Study{{ID: "x", Volumes: []schemas.Volume{{ID: "x_1", Path: "../../pkg/volume/testdata/dicom/bad-tilt-by-position.zip"}}}}}
		if _, _, err := w.Write(t.Context(), filepath.Join(t.TempDir(), "out.arrow"), b); err != nil || len(b.Rejects) != 1 || !strings.Contains(b.Rejects[0].Reason, want) {
			t.Errorf("tilted %q: %v, %+v; want a reject for %s", tilted, err, b.Rejects, want)
		}
		if id, err := w.Options.Identity(); err != nil || (id == plain) != (tilted == "") {
			t.Errorf("tilted %q: identity %s, plain %s, %v", tilted, id, plain, err)
		}
	}
	var field schemas.FieldError
	if err := (Options{Tilted: "shear"}).Validate(); !errors.As(err, &field) || field.Field != "tilted" {
		t.Error(err)
	}
}
