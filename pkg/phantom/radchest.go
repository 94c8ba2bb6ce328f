package phantom

import (
	"encoding/binary"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zip"

	"silverbeam/pkg/volume"
)

// rename gives studies the ids of a layout: RAD-ChestCT numbers its scans, one reconstruction each, and names no patients.
func (o Options) rename(list []Study) {
	if o.Layout != "radchestct" {
		return
	}
	count := map[string]int{}
	for i := range list {
		s := &list[i]
		count[s.Split]++
		s.ID = fmt.Sprintf("%s%05d", map[string]string{"train": "trn", "valid": "val"}[s.Split], count[s.Split])
		s.Patient, s.Volumes = s.ID, 1
	}
}

// volumeName is the name of reconstruction k in truth.jsonl.
func (o Options) volumeName(s Study, k int) string {
	switch o.Layout {
	case "dicom":
		return seriesUID(s, k)
	case "radchestct":
		return s.ID + ".npz"
	}
	return s.VolumeName(k)
}

// volumePath is the file of reconstruction k, of DICOM the folder.
func (o Options) volumePath(dir string, s Study, k int) string {
	switch o.Layout {
	case "dicom":
		return filepath.Join(dir, "dicom", s.Patient, s.ID, fmt.Sprint(k))
	case "radchestct":
		return filepath.Join(dir, o.volumeName(s, k))
	}
	return filepath.Join(dir, "dataset", s.Split, s.Patient, s.ID, s.VolumeName(k))
}

// radchestMM is RAD-ChestCT's voxel, and radchestHU its range (Draelos et al. 2021, arXiv 2002.04752).
const (
	radchestMM = 0.8
	radchestHU = 1000
)

// writeNPZ writes the volume as RAD-ChestCT does: the array ct of int16 (z, y, x) of cubes of 0.8 mm, slices from the
// head down. Each takes the value of the nearest voxel: what it holds is the volume's, and it packs well.
func writeNPZ(w io.Writer, v *volume.Volume) error {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	f, err := z.Create("ct.npy")
	if err != nil {
		return err
	}
	var from [3][]int // voxel of the array along each axis → of the volume
	for i, n := range v.Shape {
		from[i] = make([]int, int(float64(n)*v.SpacingMM[i]/radchestMM))
		for j := range from[i] {
			from[i][j] = min(n-1, int((float64(j)+.5)*radchestMM/v.SpacingMM[i]))
		}
	}
	head := fmt.Sprintf("{'descr': '<i2', 'fortran_order': False, 'shape': (%d, %d, %d), }", len(from[0]), len(from[1]), len(from[2]))
	head += strings.Repeat(" ", 63-(10+len(head))%64) + "\n"
	b := append(binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(head))), head...)
	if _, err := f.Write(b); err != nil {
		return err
	}
	for j := range from[0] {
		b = b[:0]
		slice := from[0][len(from[0])-1-j] * v.Shape[1] * v.Shape[2]
		for _, y := range from[1] {
			row := v.HU[slice+y*v.Shape[2]:][:v.Shape[2]]
			for _, x := range from[2] {
				b = binary.LittleEndian.AppendUint16(b, uint16(max(-radchestHU, min(radchestHU, row[x]))))
			}
		}
		if _, err := f.Write(b); err != nil {
			return err
		}
	}
	return z.Close()
}

// locations are columns of RAD-ChestCT's tables of labels, ABNORMALITY*LOCATION, with the finding that each stands for:
// those that both know (the 16 labels that CT-CLIP compares), in one place each. The real tables have 4,368.
var locations = []struct {
	column  string
	finding int
}{
	{"catheter_or_port*other_location", material}, {"calcification*aorta", arterialCalc}, {"calcification*heart", coronaryCalc},
	{"cardiomegaly*heart", cardiomegaly}, {"pericardial_effusion*heart", pericardialEffusion}, {"hernia*other_location", hiatalHernia},
	{"lymphadenopathy*mediastinum", lymphadenopathy}, {"emphysema*lung", emphysema}, {"atelectasis*lung", atelectasis}, {"nodule*lung", nodule},
	{"opacity*lung", opacity}, {"scarring*lung", fibrosis}, {"pleural_effusion*lung", pleuralEffusion}, {"bronchial_wall_thickening*lung", peribronchial},
	{"consolidation*lung", consolidation}, {"bronchiectasis*lung", bronchiectasis}, {"septal_thickening*lung", septal},
}

// writeLocations writes the tables of labels, by what the reports say, as RAD-ChestCT's are.
func writeLocations(dir string, list []Study, reports []Report) error {
	for _, split := range []string{"train", "valid"} {
		header := []string{"NoteAcc_DEID"}
		for _, l := range locations {
			header = append(header, l.column)
		}
		rows := [][]string{header}
		for i, s := range list {
			if s.Split != split {
				continue
			}
			row, all := []string{s.ID}, labelRow(s, reports[i], 1)
			for _, l := range locations {
				row = append(row, all[l.finding])
			}
			rows = append(rows, row)
		}
		if err := writeCSV(filepath.Join(dir, "img"+split+"_Abnormality_and_Location_Labels.csv"), rows); err != nil {
			return err
		}
	}
	return nil
}

// writeReports writes the table of reports of layouts that have none of their own.
func writeReports(dir string, list []Study, reports []Report) error {
	rows := [][]string{{"id", "report"}}
	for i, s := range list {
		rows = append(rows, []string{s.ID, reports[i].Findings + "\n" + reports[i].Impressions})
	}
	return writeCSV(filepath.Join(dir, "reports.csv"), rows)
}
