package volume

import (
	"bufio"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Identity is what a DICOM file says of whose it is. Patient and Accession may be empty.
type Identity struct {
	Patient   string // PatientID
	Accession string // AccessionNumber
	Study     string // StudyInstanceUID
	Series    string // SeriesInstanceUID
}

const (
	tagAccession = 0x00080050
	tagPatientID = 0x00100020
	tagStudyUID  = 0x0020000D
)

// ErrNoCT is a file to be passed over: no DICOM, another modality, a localizer.
var ErrNoCT = errors.New("volume: no CT image")

// Identify reads a DICOM file's head as far as its SeriesInstanceUID, which takes no decoder of pixels. Errors are ErrNoCT,
// or what is wrong with a file that may be CT; they do not name the path.
func Identify(path string) (id Identity, err error) {
	s, err := fileSource(path)
	if err != nil {
		return id, plain(err)
	}
	f, err := readElements(s, bufio.NewReaderSize(nil, 4<<10), func(f *dicomFile, e *elements) see {
		return func(el element, _ int) (used bool, err error) {
			switch {
			case el.tag > tagSeriesUID:
				return true, errStop
			case el.tag == tagAccession:
				id.Accession, err = e.identity(el)
			case el.tag == tagPatientID:
				id.Patient, err = e.identity(el)
			case el.tag == tagStudyUID:
				id.Study, err = e.identity(el)
			default:
				return f.head.keep(e, el)
			}
			return true, err
		}
	})
	switch {
	case err == errNotDICOM, f != nil && !f.isCT():
		return id, ErrNoCT
	case err != nil:
		return id, plain(err)
	}
	if id.Series, err = f.head.uid(tagSeriesUID); err != nil {
		return id, err
	}
	if id.Study == "" {
		return id, errors.New("StudyInstanceUID (0020,000d) is missing")
	}
	return id, nil
}

// identity reads a value without its padding. What is not UTF-8 is written in hexadecimal, so that two stay two.
func (e *elements) identity(el element) (string, error) {
	s, err := e.value(el)
	s = values{el.tag: s}.text(el.tag)
	if !utf8.ValidString(s) {
		s = fmt.Sprintf("%x", s)
	}
	return s, err
}
