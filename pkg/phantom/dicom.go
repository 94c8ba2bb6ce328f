package phantom

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"

	"silverbeam/pkg/volume"
)

// saveSeries writes a volume as a DICOM series of CT, one file a slice, the lowest first, with a localizer beside it.
func saveSeries(folder string, s Study, k int, v *volume.Volume) error {
	if err := writeFile(filepath.Join(folder, "localizer.dcm"), dicomFile(s, k, v, -1)); err != nil {
		return err
	}
	for z := range v.Shape[0] {
		if err := writeFile(slicePath(folder, z), dicomFile(s, k, v, z)); err != nil {
			return err
		}
	}
	return nil
}

func slicePath(folder string, z int) string {
	return filepath.Join(folder, fmt.Sprintf("%04d.dcm", z+1))
}

// uid is a UID made of a digest, as of a UUID (PS3.5, B.2).
func uid(parts ...any) string {
	h := sha256.Sum256(fmt.Append(nil, parts...))
	return "2.25." + new(big.Int).SetBytes(h[:16]).String()
}

func seriesUID(s Study, k int) string { return uid(s.seed, s.ID, "series", k) }

const (
	explicitLittle = "1.2.840.10008.1.2.1"
	ctImageStorage = "1.2.840.10008.5.1.4.1.1.2"
	stored0HU      = 1024 // of the scanner's 12 bits: RescaleIntercept is -1024
)

// dataset is a DICOM data set in explicit little endian (PS3.5, 7.1.2), written in the order of its tags.
type dataset struct{ bytes.Buffer }

func (d *dataset) put(tag uint32, vr string, value []byte) {
	if len(value)%2 == 1 {
		pad := byte(' ')
		if vr == "UI" || vr == "OB" {
			pad = 0
		}
		value = append(slices.Clip(value), pad)
	}
	var b []byte
	b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = append(b, vr...)
	if vr == "OB" || vr == "OW" {
		b = binary.LittleEndian.AppendUint32(append(b, 0, 0), uint32(len(value)))
	} else {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	}
	d.Write(append(b, value...))
}

func (d *dataset) text(tag uint32, vr, value string) { d.put(tag, vr, []byte(value)) }

func (d *dataset) word(tag uint32, n int) {
	d.put(tag, "US", binary.LittleEndian.AppendUint16(nil, uint16(n)))
}

// dicomFile is slice z of a study's reconstruction k; -1 is a localizer, the coronal plane through the middle.
func dicomFile(s Study, k int, v *volume.Volume, z int) []byte {
	series, number, kind, rows := seriesUID(s, k), fmt.Sprint(k), "AXIAL", v.Shape[1]
	position := [3]float64{v.AffineLPS[3], v.AffineLPS[7], v.AffineLPS[11] + float64(z)*v.SpacingMM[0]}
	across, spacing := "1\\0\\0\\0\\1\\0", fmt.Sprintf("%v\\%v", v.SpacingMM[1], v.SpacingMM[2])
	if z < 0 {
		series, number, kind, rows = uid(s.seed, s.ID, "localizer", k), fmt.Sprint(100+k), "LOCALIZER", v.Shape[0]
		position[1], position[2] = 0, v.AffineLPS[11]+float64(rows-1)*v.SpacingMM[0]
		across, spacing = "1\\0\\0\\0\\0\\-1", fmt.Sprintf("%v\\%v", v.SpacingMM[0], v.SpacingMM[2])
	}
	instance := uid(series, "slice", z)
	var meta, d dataset
	meta.put(0x00020001, "OB", []byte{0, 1})
	meta.text(0x00020002, "UI", ctImageStorage)
	meta.text(0x00020003, "UI", instance)
	meta.text(0x00020010, "UI", explicitLittle)
	meta.text(0x00020012, "UI", uid("silverbeam phantom"))

	d.text(0x00080008, "CS", `ORIGINAL\PRIMARY\`+kind)
	d.text(0x00080016, "UI", ctImageStorage)
	d.text(0x00080018, "UI", instance)
	d.text(0x00080050, "SH", s.ID) // AccessionNumber
	d.text(0x00080060, "CS", "CT")
	d.text(0x00080070, "LO", "phantom")
	d.text(0x00100010, "PN", "")
	d.text(0x00100020, "LO", s.Patient)
	d.text(0x0020000D, "UI", uid(s.seed, s.ID, "study"))
	d.text(0x0020000E, "UI", series)
	d.text(0x00200011, "IS", number)
	d.text(0x00200013, "IS", fmt.Sprint(z+1))
	// a decimal string has 16 bytes at most (PS3.5, 6.2)
	d.text(0x00200032, "DS", fmt.Sprintf("%.10g\\%.10g\\%.10g", position[0], position[1], position[2]))
	d.text(0x00200037, "DS", across)
	d.text(0x00200052, "UI", uid(s.seed, s.ID, "frame"))
	d.word(0x00280002, 1)
	d.text(0x00280004, "CS", "MONOCHROME2")
	d.word(0x00280010, rows)
	d.word(0x00280011, v.Shape[2])
	d.text(0x00280030, "DS", spacing)
	d.word(0x00280100, 16)
	d.word(0x00280101, 12)
	d.word(0x00280102, 11)
	d.word(0x00280103, 0)
	d.text(0x00281052, "DS", fmt.Sprint(-stored0HU))
	d.text(0x00281053, "DS", "1")
	d.text(0x00281054, "LO", "HU")
	d.put(0x7FE00010, "OW", pixels(v, z))

	file := dataset{}
	file.Write(make([]byte, 128))
	file.WriteString("DICM")
	file.put(0x00020000, "UL", binary.LittleEndian.AppendUint32(nil, uint32(meta.Len())))
	file.Write(meta.Bytes())
	file.Write(d.Bytes())
	return file.Bytes()
}

// pixels are those of slice z, or of the localizer, from the head down.
func pixels(v *volume.Volume, z int) (b []byte) {
	row := func(z, y int) {
		for _, hu := range v.HU[(z*v.Shape[1]+y)*v.Shape[2]:][:v.Shape[2]] {
			b = binary.LittleEndian.AppendUint16(b, uint16(int(hu)+stored0HU))
		}
	}
	if z >= 0 {
		for y := range v.Shape[1] {
			row(z, y)
		}
		return b
	}
	for z := range v.Shape[0] {
		row(v.Shape[0]-1-z, v.Shape[1]/2)
	}
	return b
}
