package volume

import (
	"archive/zip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// goldens are what testdata/make.py says that others read from files.
func goldens(t *testing.T, name string, least int) map[string]golden {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]golden
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if len(want) < least {
		t.Fatalf("%s: %d files, want %d", name, len(want), least)
	}
	return want
}

// TestDICOMAgainstPydicom reads what testdata/makedicom.py made and compares with what pydicom read (dicom.json), as a zip
// and unpacked to a folder.
func TestDICOMAgainstPydicom(t *testing.T) {
	for name, w := range goldens(t, "dicom.json", 70) {
		path := filepath.Join("testdata/dicom", name)
		for _, p := range []string{path, unpack(t, path)} {
			v, err := Open(p, Options{Series: w.Series})
			if err != nil {
				t.Error(err)
				continue
			}
			w.compare(t, name, v)
		}
	}
}

// unpack writes what a zip holds to a folder.
func unpack(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if err := os.CopyFS(dir, z); err != nil {
		t.Fatal(err)
	}
	return dir
}

// badDICOM are the files that have to be refused, with what their refusal must say.
var badDICOM = map[string]string{
	"big-endian": "Explicit VR Big Endian (1.2.840.10008.1.2.2) is not read; `dcmconv +te IN OUT`", "deflated": "Deflated Explicit VR Little Endian",
	"jpeg-baseline": "JPEG Baseline (Process 1) (1.2.840.10008.1.2.4.50) is not read; `dcmdjpeg IN OUT`", "jpeg-extended": "JPEG Extended", "jpeg-lossless": "First-Order Prediction",
	"jpeg-lossless-14": "JPEG Lossless, Non-Hierarchical (Process 14) (", "jpeg-ls": "JPEG-LS Lossless (1.2.840.10008.1.2.4.80) is not read; `dcmdjpls IN OUT`",
	"jpeg-2000": "JPEG 2000 (Lossless Only) (1.2.840.10008.1.2.4.90) is not read; `gdcmconv --raw IN OUT`", "jpeg-2000-lossy": "JPEG 2000 (1.2", "htj2k": "High-Throughput JPEG 2000",
	"unknown-syntax": "transfer syntax 1.2.3.4 is not known", "no-syntax": "TransferSyntaxUID (0002,0010) is missing", "one-jpeg-among-others": "\"2.dcm\": transfer syntax JPEG Baseline",

	"two-series":    "2 CT series, one is read: pick it with --series: 1.2.826.0.1.3680043.10.1599.1 (5 slices), 1.2.826.0.1.3680043.10.1599.2 (5 slices)",
	"eleven-series": "12 CT series", "duplicate-file": "duplicate slices: \"002.dcm\" and \"copy.dcm\" both lie at -295 mm", "duplicate-position": "duplicate slices",
	"missing-slice": "missing slices: 1 between \"001.dcm\" at -297.5 mm and \"003.dcm\" at -292.5 mm, others are 2.5 mm apart", "missing-three": "missing slices: 3 between",
	"uneven": "uneven slices: \"001.dcm\" at -297.5 mm and \"002.dcm\" at -294.9 mm are 2.6 mm apart, others 2.5", "uneven-2-percent": "uneven slices", "one-slice": "the series has 1 slice",
	"tilt-by-tag": "tilted gantry: GantryDetectorTilt (0018,1120) of \"000.dcm\" is -12.5 degrees", "tilt-by-position": "tilted gantry: \"001.dcm\" lies 0.4 mm beside", "tilt-not-a-number": "is \"12;5\"",
	"mixed-rows": "mixed geometry: Rows", "mixed-columns": "mixed geometry: Columns", "mixed-spacing": "mixed geometry: PixelSpacing", "mixed-orientation": "mixed geometry: ImageOrientationPatient",
	"mixed-frames-of-reference": "mixed geometry: FrameOfReferenceUID",

	"no-rows": "Rows (0028,0010) is missing", "no-columns": "Columns (0028,0011) is missing", "no-imagepositionpatient": "ImagePositionPatient (0020,0032) is missing",
	"no-imageorientationpatient": "ImageOrientationPatient (0020,0037) is missing", "no-pixelspacing": "PixelSpacing (0028,0030) is missing", "no-rescaleslope": "RescaleSlope (0028,1053) is missing",
	"no-rescaleintercept": "RescaleIntercept (0028,1052) is missing", "no-bitsallocated": "BitsAllocated (0028,0100) is missing", "no-bitsstored": "BitsStored (0028,0101) is missing",
	"no-highbit": "HighBit (0028,0102) is missing", "no-pixelrepresentation": "PixelRepresentation (0028,0103) is missing", "no-samplesperpixel": "SamplesPerPixel (0028,0002) is missing",
	"no-photometricinterpretation": "PhotometricInterpretation (0028,0004) is missing", "no-seriesinstanceuid": "SeriesInstanceUID (0020,000e) is missing", "no-modality": "Modality (0008,0060) is missing",
	"no-sopclassuid": "SOPClassUID (0008,0016) is missing", "no-pixeldata": "PixelData (7fe0,0010) is missing", "empty-position": "ImagePositionPatient (0020,0032) is missing",

	"rgb": "\"RGB\"", "three-samples": "SamplesPerPixel (0028,0002) is 3", "bits-32": "BitsAllocated (0028,0100) is 32", "bits-stored-above-allocated": "BitsStored (0028,0101) is 20",
	"high-bit": "HighBit (0028,0102) is 15", "signed-2": "PixelRepresentation (0028,0103) is 2", "rows-0": "Rows (0028,0010) is 0", "rows-65535": "has 84 bytes: 65535 rows", "rows-too-few": "has 84 bytes: 4 rows",
	"position-text": "ImagePositionPatient (0020,0032) is \"left", "position-nan": "is \"nan", "position-hex": "is \"0x1p3", "position-two": "must be 3 decimal numbers", "position-far": "1e+300",
	"spacing-0": "PixelSpacing (0028,0030) is [0 0.6875] mm", "spacing-negative": "is [-0.75", "spacing-comma": "is \"0,75", "slope-inf": "RescaleSlope (0028,1053) is \"inf\"", "slope-0": "RescaleSlope (0028,1053) is 0",
	"orientation-long": "not two unit vectors at a right angle", "orientation-skew": "not two unit vectors at a right angle", "rescale-type": "RescaleType (0028,1054) is \"Z_EFF\", not HU",
	"modality-lut": "HU by table", "twice-rows": "Rows (0028,0010) stands there twice", "value-too-long": "has 3012 bytes: the limit is 1024", "series-uid-text": "not a UID",

	"truncated-pixels": "truncated: the pixels end at byte 866, the file at 857", "truncated-head": "truncated", "truncated-element": "truncated", "only-preamble": "TransferSyntaxUID (0002,0010) is missing",
	"nested-400": "nested more than 32 deep", "nested-400-implicit": "nested more than 32 deep", "nested-400-un": "nested more than 32 deep", "sequence-without-end": "truncated", "item-overruns": "past the end of its item",
	"no-item": "where an item must stand", "stray-delimiter": "a delimiter (fffe,e00d) out of place", "no-vr": "no value representation", "length-4-gb": "before the pixels", "pixels-undefined-length": "pixels in fragments",

	"rle-segments": "3 segments, not 2", "rle-offset": "segment 1 at bytes 64 to 65535 of 162", "rle-offset-back": "segment 1 at bytes 16", "rle-run-too-long": "a run passes the end", "rle-noops": "0 of 42 pixels",
	"rle-length": "2147483647 bytes for a frame of 84", "rle-cut": "truncated", "rle-no-end": "no end", "rle-rows-65535": "162 bytes cannot hold a frame", "rle-native": "RLE pixels that are not in fragments",

	"enhanced-no-position": "frame 3: ImagePositionPatient (0020,0032) is missing", "enhanced-no-scale": "RescaleSlope (0028,1053) is missing", "enhanced-frames": "7 frames, functional groups of 5",
	"enhanced-too-many-groups": "more than the 3 frames", "enhanced-frames-huge": "is \"99999999\"", "enhanced-frames-negative": "is \"-1\"", "enhanced-duplicate-frames": "duplicate slices: frame 3",
	"enhanced-missing-frame": "missing slices: 1 between frame 2", "multiframe-without-groups": "2 frames, functional groups of 0",

	"no-ct": "no CT image among 2 files: 1 are localizers or of other modalities, 1 are not DICOM", "only-localizers": "no CT image", "no-files": "no CT image", "empty": "no CT image",
	"path-up": "a path out of the archive", "path-absolute": "a path out of the archive", "path-backslash": "a path out of the archive", "path-drive": "a path out of the archive", "bzip2": "compression method 12",
	"head-bomb": "more than 16777216 bytes before the pixels", "crc": "checksum", "cut": "not a valid zip file", "encrypted": "encrypted", "trailing-bomb": "more than 1048576 bytes follow",
}

func TestBadDICOMIsRefused(t *testing.T) {
	files, _ := filepath.Glob("testdata/dicom/bad-*.zip")
	if len(files) != len(badDICOM) {
		t.Errorf("%d files, %d messages", len(files), len(badDICOM))
	}
	for _, f := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "bad-"), ".zip")
		_, err := Open(f, Options{})
		msg, ok := badDICOM[name]
		if err == nil || !ok || !strings.Contains(err.Error(), msg) || !strings.HasPrefix(err.Error(), "volume: "+f+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %q, want %q", f, err, msg)
		}
	}
}

// TestPixelsInLanes compares every word of every layout with the formula.
func TestPixelsInLanes(t *testing.T) {
	words := make([]int16, 1<<16+3)
	for stored := 1; stored <= 16; stored++ {
		for _, signed := range []bool{false, true} {
			for _, inter := range []float64{0, -1, -1024, 1024, -8192, 32767, -32768, -32769, 1e7, -1e300, 0.5} {
				l := pixelLayout{allocated: 16, stored: stored, signed: signed, padding: -1}
				for i := range words {
					words[i] = int16(i)
				}
				new(toHU).apply(words, &dicomSlice{file: &dicomFile{layout: l}, slope: 1, inter: inter})
				for i, hu := range words {
					v := i & 0xffff & (1<<stored - 1)
					if signed && v >= 1<<(stored-1) {
						v -= 1 << stored
					}
					if want := round(float64(v) + inter); hu != want {
						t.Fatalf("%d bits, signed %v, intercept %v: %#x becomes %d, want %d", stored, signed, inter, uint16(i), hu, want)
					}
				}
			}
		}
	}
}
