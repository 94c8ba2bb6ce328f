package intake

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"silverbeam/pkg/table"
	"silverbeam/pkg/volume"
	"silverbeam/schemas"
)

// dicomTree is what the heads of a tree's files say.
type dicomTree struct {
	root    string
	studies map[string]*dicomStudy // by StudyInstanceUID
	refused map[refusedFile]int    // files that could not be read: one of a folder and reason, and how many more
	first   map[refusedFile]string
}

type refusedFile struct{ folder, reason string }

// dicomStudy is a study of the tree.
type dicomStudy struct {
	uid, patient, accession string
	series                  map[string]string // SeriesInstanceUID → the folder that holds all of its files
	mixed                   bool              // several patients or accession numbers: whose it is stays open
	met                     bool              // a report's row names it
}

// indexDICOM lists the studies of a tree of DICOM files whose reports stand in a table, by accession number or
// StudyInstanceUID. Folders and names of files mean nothing: the tags say what belongs together. Rows of other studies
// are passed over; a study without a row and a file that cannot be read are rejects.
func indexDICOM(o Options) ([]schemas.Batch, error) {
	t := dicomTree{o.Root, map[string]*dicomStudy{}, map[refusedFile]int{}, map[refusedFile]string{}}
	if err := t.walk(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", Name, ErrInput, err)
	}
	if len(t.studies) == 0 && len(t.refused) == 0 {
		return nil, fmt.Errorf("%s: %w: no DICOM file with a CT image under %s", Name, ErrInput, o.Root)
	}
	byKey := map[string][]*dicomStudy{}
	for _, uid := range slices.Sorted(maps.Keys(t.studies)) {
		s := t.studies[uid]
		if s.mixed {
			continue
		}
		byKey[uid] = append(byKey[uid], s)
		if s.accession != "" && s.accession != uid {
			byKey[s.accession] = append(byKey[s.accession], s)
		}
	}
	rows := reportTable{o.reports(), o.columns(), "train", func(row table.Row) (schemas.Scan, string, bool) {
		found := byKey[row.ID]
		if len(found) == 0 {
			return schemas.Scan{}, "", false
		}
		s := schemas.Scan{Study: row.ID, Patient: found[0].patient}
		for _, f := range found {
			f.met = true
			for _, uid := range slices.Sorted(maps.Keys(f.series)) {
				s.Volumes = append(s.Volumes, schemas.Volume{ID: row.ID + "_" + uid, Path: f.series[uid], Series: uid})
			}
		}
		return s, drawSplit(s.Patient), true
	}}
	return indexVolumes(o, tree{root: o.Root}, []reportTable{rows}, func() (rejects []schemas.Reject) {
		for _, uid := range slices.Sorted(maps.Keys(t.studies)) {
			switch s := t.studies[uid]; {
			case s.mixed:
				rejects = append(rejects, schemas.Reject{Study: uid, Class: "dicom", Reason: "its files have several PatientIDs or AccessionNumbers"})
			case !s.met:
				rejects = append(rejects, noReport(uid, o))
			}
		}
		return append(rejects, t.rejects()...)
	})
}

// walk reads the heads of all files, on all cores.
func (t *dicomTree) walk() error {
	paths := make(chan string, 64)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for p := range paths {
				id, err := volume.Identify(p)
				mu.Lock()
				t.add(p, id, err)
				mu.Unlock()
			}
		})
	}
	err := filepath.WalkDir(t.root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && (d.Type().IsRegular() || d.Type()&fs.ModeSymlink != 0) {
			paths <- p
		}
		return err
	})
	close(paths)
	wg.Wait()
	return err
}

// add takes one file in.
func (t *dicomTree) add(path string, id volume.Identity, err error) {
	if errors.Is(err, volume.ErrNoCT) {
		return
	}
	folder := filepath.Dir(path)
	if err != nil {
		f := refusedFile{folder, err.Error()}
		if name, ok := t.first[f]; !ok || path < name {
			t.first[f] = path
		}
		t.refused[f]++
		return
	}
	s, ok := t.studies[id.Study]
	if !ok {
		s = &dicomStudy{uid: id.Study, patient: patientOf(id), accession: id.Accession, series: map[string]string{}}
		t.studies[id.Study] = s
	}
	s.mixed = s.mixed || s.patient != patientOf(id) || s.accession != id.Accession
	if have, ok := s.series[id.Series]; ok {
		folder = common(have, folder)
	}
	s.series[id.Series] = folder
}

// patientOf is the patient's id; without one, the study is its own patient.
func patientOf(id volume.Identity) string {
	if id.Patient == "" {
		return id.Study
	}
	return id.Patient
}

// common is the deepest folder that holds both.
func common(a, b string) string {
	for a != b {
		if len(a) < len(b) {
			a, b = b, a
		}
		a = filepath.Dir(a)
	}
	return a
}

// rejects names one file for each folder and reason.
func (t *dicomTree) rejects() (rejects []schemas.Reject) {
	for f, name := range t.first {
		rel, _ := filepath.Rel(t.root, name)
		r := schemas.Reject{Study: filepath.ToSlash(rel), Class: "dicom", Reason: f.reason}
		if n := t.refused[f]; n > 1 {
			r.Reason += fmt.Sprintf(", and %d more files of its folder", n-1)
		}
		rejects = append(rejects, r)
	}
	slices.SortFunc(rejects, func(a, b schemas.Reject) int { return strings.Compare(a.Study+a.Reason, b.Study+b.Reason) })
	return rejects
}
