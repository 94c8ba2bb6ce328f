package phantom

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zip"

	"silverbeam/pkg/volume"
)

// Write makes a data set under dir, in CT-RATE's layout unless o says another:
//
//	dataset/train/train_1/train_1_a/train_1_a_1.nii.gz      and so on, also valid/
//	dataset/radiology_text_reports/{train,validation}_reports.csv
//	dataset/multi_abnormality_labels/{train,valid}_predicted_labels.csv
//	dataset/metadata/{train,validation}_metadata.csv
//	truth.jsonl                                             one object a study, see Truth
//
// The label files hold what the report says, as CT-RATE's do (uncertain counts as present); what the image holds is in
// truth.jsonl only. Volumes are int16 HU, gzip level 1.
//
// Write may be stopped at any moment and called again: files that exist whole stay, every file appears at once by a
// rename, tables and truth.jsonl come last. The folder remembers the options (phantom.json): another seed, shape or
// difficulty is refused, as are fewer studies; more studies extend the set. Bytes depend on the options only, on
// machines of one architecture and GOAMD64 level. progress, if not nil, is called after each study, never concurrently.
func Write(ctx context.Context, dir string, o Options, progress func(done, total int)) error {
	o, err := o.defaults()
	if err != nil {
		return err
	}
	list, err := Draw(o)
	if err != nil {
		return err
	}
	o.rename(list)
	if err := claimFolder(dir, o); err != nil {
		return err
	}
	reports, err := writeStudies(ctx, dir, o, list, progress)
	if err != nil {
		return err
	}
	return writeTables(dir, o, list, reports)
}

// stampVersion changes whenever equal options would give other bytes.
const stampVersion = 3

// stamp is phantom.json: what the folder was made with.
type stamp struct {
	Version       int      `json:"version"`
	Seed          uint64   `json:"seed"`
	Shape         [3]int   `json:"shape"`
	Difficulty    float64  `json:"difficulty"`
	ValidFraction float64  `json:"valid_fraction"`
	Findings      []string `json:"findings"`
	Studies       int      `json:"studies"`
	Layout        string   `json:"layout,omitempty"` // "": ct-rate
}

// claimFolder writes the stamp, or compares it with the one that is there.
func claimFolder(dir string, o Options) error {
	want := stamp{stampVersion, o.Seed, o.Shape, o.Difficulty, o.ValidFraction, o.Findings, o.Studies, ""}
	if o.Layout != Layouts[0] {
		want.Layout = o.Layout
	}
	path := filepath.Join(dir, "phantom.json")
	old, err := os.ReadFile(path)
	if err == nil {
		var have stamp
		if err := json.Unmarshal(old, &have); err != nil {
			return fmt.Errorf("phantom: %s is not a phantom's stamp: %w", path, err)
		}
		if have.Studies > want.Studies {
			return fmt.Errorf("phantom: %s holds %d studies already, %d asked for: take another folder", dir, have.Studies, want.Studies)
		}
		have.Studies = want.Studies
		a, _ := json.Marshal(have)
		if b, _ := json.Marshal(want); !bytes.Equal(a, b) {
			return fmt.Errorf("phantom: %s was made with other options (%s, asked for %s): take another folder", dir, a, b)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("phantom: %w", err)
	}
	text, err := json.MarshalIndent(want, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'))
}

// writeStudies makes the volumes, one study a goroutine, and returns the reports in the order of list.
func writeStudies(ctx context.Context, dir string, o Options, list []Study, progress func(done, total int)) ([]Report, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	reports := make([]Report, len(list))
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range min(workers, len(list)) {
		wg.Go(func() {
			w := newPainter(o)
			for i := range next {
				var err error
				if reports[i], err = w.writeStudy(dir, list[i]); err != nil {
					cancel(fmt.Errorf("phantom: study %s: %w", list[i].ID, err))
					return
				}
				mu.Lock()
				if done++; progress != nil {
					progress(done, len(list))
				}
				mu.Unlock()
			}
		})
	}
feed:
	for i := range list {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	return reports, context.Cause(ctx)
}

// writeStudy makes the volumes that are missing and the report.
func (w *painter) writeStudy(dir string, s Study) (Report, error) {
	missing := false
	for k := 1; k <= s.Volumes; k++ {
		missing = missing || !w.whole(w.o.volumePath(dir, s, k))
	}
	report := s.report(w.o)
	if !missing {
		return report, nil
	}
	for k, v := range w.study(s) {
		path := w.o.volumePath(dir, s, k+1)
		if w.whole(path) {
			continue
		}
		if err := w.save(path, s, k+1, v); err != nil {
			return report, err
		}
	}
	return report, nil
}

// save writes a volume as the layout keeps it.
func (w *painter) save(path string, s Study, k int, v *volume.Volume) error {
	var b bytes.Buffer
	switch w.o.Layout {
	case "dicom":
		return saveSeries(path, s, k, v)
	case "ct-rate-v1":
		v = s.firstVersion(v)
	case "radchestct":
		if err := writeNPZ(&b, v); err != nil {
			return err
		}
		return writeFile(path, b.Bytes())
	}
	b.Grow(len(v.HU) + len(v.HU)/2)
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := volume.WriteNIfTI(z, v); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return writeFile(path, b.Bytes())
}

// whole tells whether the file is a gzip whose trailer names the size of a volume of this shape (RFC 1952, 2.3.1): a
// file that was cut short is not. Of DICOM the last slice is written last; an npz must have its directory.
func (w *painter) whole(path string) bool {
	switch w.o.Layout {
	case "dicom":
		_, err := os.Stat(slicePath(path, w.o.Shape[0]-1))
		return err == nil
	case "radchestct":
		z, err := zip.OpenReader(path)
		return err == nil && z.Close() == nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	end, err := f.Seek(-4, 2)
	if err != nil || end < 18-4 {
		return false
	}
	var tail [4]byte
	if _, err := f.ReadAt(tail[:], end); err != nil {
		return false
	}
	size := volume.NIfTIHeaderBytes + 2*w.o.Shape[0]*w.o.Shape[1]*w.o.Shape[2]
	return binary.LittleEndian.Uint32(tail[:]) == uint32(size)
}

// writeFile puts the bytes in place by a rename, or leaves a file that holds them already untouched.
func writeFile(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	if err := os.WriteFile(tmp, text, 0o666); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return os.Rename(tmp, path)
}
