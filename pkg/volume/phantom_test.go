package volume_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"silverbeam/pkg/phantom"
	"silverbeam/pkg/volume"
)

// byPydicom prints the SHA-256 of a folder's slices as HU, sorted by their position.
const byPydicom = `
import glob, hashlib, sys
import numpy as np, pydicom
slices = [pydicom.dcmread(f) for f in glob.glob(sys.argv[1] + "/*.dcm")]
axial = sorted((s for s in slices if "LOCALIZER" not in s.ImageType), key=lambda s: s.ImagePositionPatient[2])
assert len(axial) == len(slices) - 1 and len({s.SeriesInstanceUID for s in axial}) == 1 and all(pydicom.uid.UID(s.SOPInstanceUID).is_valid for s in slices)
hu = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in axial])
print(*hu.shape, hashlib.sha256(hu.astype("<i2").tobytes()).hexdigest())
`

// What a phantom's DICOM files hold is what the phantom is; with SILVERBEAM_PYTHON, a Python with pydicom, also for that.
func TestPhantomDICOM(t *testing.T) {
	dir, o := t.TempDir(), phantom.Options{Studies: 2, Seed: 3, Shape: [3]int{20, 24, 24}, Layout: "dicom"}
	if err := phantom.Write(t.Context(), dir, o, nil); err != nil {
		t.Fatal(err)
	}
	list, err := phantom.Draw(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		want, err := s.Render(o)
		if err != nil {
			t.Fatal(err)
		}
		series, _ := filepath.Glob(filepath.Join(dir, "dicom", s.Patient, s.ID, "*"))
		if len(series) != s.Volumes {
			t.Fatalf("%s: %d series of %d", s.ID, len(series), s.Volumes)
		}
		for k, folder := range series {
			got, err := volume.Open(folder, volume.Options{})
			if err != nil || got.Digest() != want[k].Digest() || got.SpacingMM != want[k].SpacingMM {
				t.Errorf("%s, series %d: %v", s.ID, k+1, err)
				continue
			}
			if python := os.Getenv("SILVERBEAM_PYTHON"); python != "" {
				out, err := exec.Command(python, "-c", byPydicom, folder).CombinedOutput()
				if text := strings.TrimSpace(string(out)); err != nil || text != "20 24 24 "+got.Digest() {
					t.Errorf("%s, series %d: pydicom: %v: %s; want %s", s.ID, k+1, err, text, got.Digest())
				}
			}
		}
	}
}
