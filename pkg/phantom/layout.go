package phantom

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"silverbeam/pkg/volume"
)

// Truth is a line of truth.jsonl: what is in the image and what the report says about it.
type Truth struct {
	Study   string          `json:"study"`
	Patient string          `json:"patient"`
	Split   string          `json:"split"` // train or valid
	Volumes []string        `json:"volumes"`
	Image   map[string]int8 `json:"findings"`        // 0 or 1, all eighteen
	Report  map[string]*int `json:"report_findings"` // 1, 0, -1 uncertain, null not mentioned; small nodes count as CT-RATE counts them
	Text    []Mention       `json:"sentences"`       // offsets in Findings_EN + "\n" + Impressions_EN
	Family  string          `json:"family"`          // template family of the report: train or valid
}

// Headers of CT-RATE's tables, column for column.
const (
	reportHeader   = "VolumeName,ClinicalInformation_EN,Technique_EN,Findings_EN,Impressions_EN"
	metadataHeader = "VolumeName,Manufacturer,SeriesDescription,ManufacturerModelName,PatientSex,PatientAge,ReconstructionDiameter,DistanceSourceToDetector,DistanceSourceToPatient,GantryDetectorTilt,TableHeight,RotationDirection,ExposureTime,XRayTubeCurrent,Exposure,FilterType,GeneratorPower,FocalSpots,ConvolutionKernel,PatientPosition,RevolutionTime,SingleCollimationWidth,TotalCollimationWidth,TableSpeed,TableFeedPerRotation,SpiralPitchFactor,DataCollectionCenterPatient,ReconstructionTargetCenterPatient,ExposureModulationType,CTDIvol,ImagePositionPatient,ImageOrientationPatient,SliceLocation,SamplesPerPixel,PhotometricInterpretation,Rows,Columns,XYSpacing,RescaleIntercept,RescaleSlope,RescaleType,NumberofSlices,ZSpacing,StudyDate"
)

// writeCSV writes a table, its header first.
func writeCSV(path string, rows [][]string) error {
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		return err
	}
	if err := writeFile(path, b.Bytes()); err != nil {
		return fmt.Errorf("phantom: %w", err)
	}
	return nil
}

// writeTables writes the layout's tables and, last of all, truth.jsonl.
func writeTables(dir string, o Options, list []Study, reports []Report) (err error) {
	switch o.Layout {
	case "dicom":
		err = writeReports(dir, list, reports)
	case "radchestct":
		err = errors.Join(writeReports(dir, list, reports), writeLocations(dir, list, reports))
	default:
		err = writeCTRATE(dir, o, list, reports)
	}
	if err != nil {
		return err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i, s := range list {
		if err := enc.Encode(o.truthOf(s, reports[i])); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(dir, "truth.jsonl"), b.Bytes()); err != nil {
		return fmt.Errorf("phantom: %w", err)
	}
	return nil
}

// writeCTRATE writes the CSVs of both splits.
func writeCTRATE(dir string, o Options, list []Study, reports []Report) error {
	for _, t := range []struct {
		name, header string
		row          func(s Study, r Report, k int) []string // without the first column, the volume's name
	}{
		{"radiology_text_reports/%s_reports.csv", reportHeader, reportRow},
		{"multi_abnormality_labels/%s_predicted_labels.csv", "VolumeName," + strings.Join(Findings[:], ","), labelRow},
		{"metadata/%s_metadata.csv", metadataHeader, o.metadataRow},
	} {
		for _, split := range []string{"train", "valid"} {
			name := split
			if split == "valid" && !strings.HasPrefix(t.name, "multi") {
				name = "validation"
			}
			rows := [][]string{strings.Split(t.header, ",")}
			for i, s := range list {
				for k := 1; s.Split == split && k <= s.Volumes; k++ {
					rows = append(rows, append([]string{s.VolumeName(k)}, t.row(s, reports[i], k)...))
				}
			}
			if err := writeCSV(filepath.Join(dir, "dataset", filepath.FromSlash(fmt.Sprintf(t.name, name))), rows); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o Options) truthOf(s Study, r Report) Truth {
	t := Truth{Study: s.ID, Patient: s.Patient, Split: s.Split, Image: map[string]int8{}, Report: map[string]*int{}, Text: r.Mentions, Family: r.Family}
	for k := 1; k <= s.Volumes; k++ {
		t.Volumes = append(t.Volumes, o.volumeName(s, k))
	}
	for f, name := range Findings {
		t.Image[name] = 0
		if s.Findings[f] {
			t.Image[name] = 1
		}
		t.Report[name] = r.States[f]
	}
	return t
}

func reportRow(_ Study, r Report, _ int) []string {
	return []string{r.Clinical, r.Technique, r.Findings, r.Impressions}
}

func labelRow(_ Study, r Report, _ int) []string {
	row := make([]string, nFindings)
	for f, state := range r.States {
		row[f] = "0"
		if state != nil && *state != stateAbsent {
			row[f] = "1"
		}
	}
	return row
}

// scanners are made up, each with its kernel and the intercept of its raw values, as CT-RATE's are.
var scanners = []struct {
	maker, model, kernel string
	intercept            int
}{{"SIEMENS", "Sensation 16", "B31f", -8192}, {"Philips", "Ingenuity CT", "B", -1024}, {"GE MEDICAL SYSTEMS", "Optima CT660", "STANDARD", -1024}}

// firstVersion is a volume as CT-RATE's first version has it: raw values, and a header that knows of no millimetres.
func (s Study) firstVersion(v *volume.Volume) *volume.Volume {
	r := s.stream("scanner")
	raw := &volume.Volume{HU: make([]int16, len(v.HU)), Shape: v.Shape, SpacingMM: [3]float64{1, 1, 1}, AffineLPS: [16]float64{-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}}
	intercept := pick(&r, scanners).intercept
	for i, hu := range v.HU {
		raw.HU[i] = hu - int16(intercept)
	}
	return raw
}

// metadataRow makes up the scanner and states the geometry. Slope is 1; volumes that hold HU have an intercept of 0.
func (o Options) metadataRow(s Study, _ Report, k int) []string {
	r := s.stream("scanner")
	b := drawBody(s)
	spacing := geometry(b, o.Shape)
	scanner := pick(&r, scanners)
	kernel, intercept := scanner.kernel, 0
	if o.Layout == "ct-rate-v1" {
		intercept = scanner.intercept
	}
	if k == 2 {
		kernel = map[string]string{"B31f": "B70f", "B": "YA", "STANDARD": "LUNG"}[kernel]
	}
	current, table := r.count(80, 320), r.count(120, 180)
	a := affine(spacing, o.Shape)
	n := func(x float64) string { return fmt.Sprint(x) }
	sex := "M"
	if b.female {
		sex = "F"
	}
	date := fmt.Sprintf("%d%02d%02d", 2015+r.count(0, 6), r.count(1, 12), r.count(1, 28))
	return []string{
		scanner.maker, "Thorax", scanner.model, sex, fmt.Sprintf("%03dY", b.age), n(spacing[1] * float64(min(o.Shape[1], o.Shape[2]))),
		"1040", "570", "0", fmt.Sprint(table), "CW", "500", fmt.Sprint(current), fmt.Sprint(current / 2), "0", "34", "1.2", kernel, "HFS",
		"0.5", "0.75", "12", "36", "18", "1.5", "[0, 0, 0]", "[0, 0, 0]", "XYZ_EC", n(float64(current) / 25),
		fmt.Sprintf("[%s, %s, %s]", n(a[3]), n(a[7]), n(a[11])), "[1, 0, 0, 0, 1, 0]", n(a[11]), "1", "MONOCHROME2",
		fmt.Sprint(o.Shape[1]), fmt.Sprint(o.Shape[2]), fmt.Sprintf("[%s, %s]", n(spacing[1]), n(spacing[2])), fmt.Sprint(intercept), "1", "HU",
		fmt.Sprint(o.Shape[0]), n(spacing[0]), date,
	}
}
