package volume

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// source is a file of a folder or of a zip.
type source struct {
	name     string
	size     int64 // bytes it can give at most
	checksum bool  // reading to the end compares one
	open     func() (io.ReadCloser, error)
}

// filesMost bounds a folder.
const filesMost = 100_000

// folder lists the files below a folder, in the order of their names. Links to files are followed, links to folders not;
// what is not a file (a pipe, a device) is left out.
func folder(root string) (files []source, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() {
			return nil // a link to nothing is no slice; should one be missing, the gap is found
		}
		if len(files) == filesMost {
			return fmt.Errorf("more than %d files: name the folder of one series", filesMost)
		}
		rel, _ := filepath.Rel(root, path)
		files = append(files, source{name: rel, size: st.Size(), open: func() (io.ReadCloser, error) { return os.Open(path) }})
		return nil
	})
	return files, err
}

func fileSource(path string) (source, error) {
	st, err := os.Stat(path)
	if err != nil {
		return source{}, err
	}
	return source{name: filepath.Base(path), size: st.Size(), open: func() (io.ReadCloser, error) { return os.Open(path) }}, nil
}

// readSeries reads the CT series among files, o.Series or the only one. headsMost bounds the bytes that are read to find it.
func readSeries(files []source, o Options, headsMost int64) (*Volume, error) {
	buf := bufio.NewReaderSize(nil, 16<<10)
	found, err := findCT(files, buf, headsMost)
	if err != nil {
		return nil, err
	}
	ct, err := pick(found, o.Series)
	if err != nil {
		return nil, err
	}
	planes, err := planesOf(ct, o)
	if err != nil {
		return nil, err
	}
	return stack(planes, buf, o.Shear)
}

// findCT reads the heads of all files and keeps the CT images.
func findCT(files []source, buf *bufio.Reader, headsMost int64) (ct []*dicomFile, err error) {
	var none, other int
	for _, s := range files {
		f, err := readHead(s, buf)
		switch {
		case err == errNotDICOM:
			none++
			continue
		case f == nil:
			return nil, fmt.Errorf("%q: %w", s.name, err)
		case !f.isCT():
			other++
			continue
		}
		if headsMost -= f.pixelsAt; headsMost < 0 {
			return nil, errors.New("the heads of its files are far larger than the archive itself")
		}
		if err == nil {
			err = f.check()
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s.name, err)
		}
		ct = append(ct, f)
	}
	if len(ct) == 0 {
		return nil, fmt.Errorf("no CT image among %d files: %d are localizers or of other modalities, %d are not DICOM", len(files), other, none)
	}
	return ct, nil
}

// pick keeps one series.
func pick(found []*dicomFile, series string) ([]*dicomFile, error) {
	count := map[string]int{}
	for _, f := range found {
		count[f.series] += f.frames
	}
	var names []string
	for _, uid := range slices.Sorted(maps.Keys(count)) {
		names = append(names, fmt.Sprintf("%s (%d slices)", uid, count[uid]))
	}
	if len(names) > 10 {
		names = append(names[:10], fmt.Sprintf("%d more", len(names)-10))
	}
	if series == "" && len(count) > 1 {
		return nil, fmt.Errorf("%d CT series, one is read: pick it with --series: %s", len(count), strings.Join(names, ", "))
	}
	if series != "" && count[series] == 0 {
		return nil, fmt.Errorf("no CT series %q; there is %s", series, strings.Join(names, ", "))
	}
	return slices.DeleteFunc(found, func(f *dicomFile) bool { return series != "" && f.series != series }), nil
}

// planesOf lists the slices of a series by their position along the normal.
func planesOf(files []*dicomFile, o Options) (planes []*dicomSlice, err error) {
	for _, f := range files {
		for i := range f.frames {
			p, err := f.slice(i, o.HU)
			if err != nil {
				return nil, p.fail(err)
			}
			planes = append(planes, &p)
		}
	}
	slices.SortStableFunc(planes, func(a, b *dicomSlice) int { return cmp.Compare(a.along, b.along) })
	return planes, checkStack(planes, o.Shear)
}

func (p *dicomSlice) fail(err error) error {
	if p.file.frames > 1 {
		return fmt.Errorf("%q: frame %d: %w", p.file.name, p.frame+1, err)
	}
	return fmt.Errorf("%q: %w", p.file.name, err)
}

// Limits of a regular stack.
const (
	gapMost  = 0.01 // of the median distance between slices
	tiltMost = 0.1  // degrees
)

// checkStack refuses slices that are not one regular grid.
func checkStack(planes []*dicomSlice, shear bool) error {
	first := planes[0]
	if len(planes) < 2 {
		return first.fail(errors.New("the series has 1 slice: the distance between slices is not known"))
	}
	for _, p := range planes {
		if err := p.fits(first); err != nil {
			return err
		}
	}
	gaps := make([]float64, len(planes)-1)
	for i := range gaps {
		gaps[i] = planes[i+1].along - planes[i].along
	}
	median := slices.Sorted(slices.Values(gaps))[len(gaps)/2]
	for i, gap := range gaps {
		if a, b := planes[i], planes[i+1]; gap < max(0.001, gapMost*median) {
			return fmt.Errorf("duplicate slices: %s and %s both lie at %.6g mm along the normal", a, b, a.along)
		}
	}
	for i, gap := range gaps {
		a, b := planes[i], planes[i+1]
		switch n := math.Round(gap / median); {
		case math.Abs(gap-median) <= gapMost*median:
		case math.Abs(gap-n*median) <= gapMost*n*median:
			return fmt.Errorf("missing slices: %d between %s at %.6g mm and %s at %.6g mm, others are %.6g mm apart", int(n)-1, a, a.along, b, b.along, median)
		default:
			return fmt.Errorf("uneven slices: %s at %.6g mm and %s at %.6g mm are %.6g mm apart, others %.6g", a, a.along, b, b.along, gap, median)
		}
	}
	if shear && tilted(planes) {
		return nil
	}
	return checkTilt(planes)
}

// String names a slice.
func (p *dicomSlice) String() string {
	if p.file.frames > 1 {
		return fmt.Sprintf("frame %d of %q", p.frame+1, p.file.name)
	}
	return fmt.Sprintf("%q", p.file.name)
}

// fits compares a slice's grid with that of the first one.
func (p *dicomSlice) fits(q *dicomSlice) error {
	a, b := &p.file.layout, &q.file.layout
	differ := func(tag uint32, x, y any) error {
		return fmt.Errorf("mixed geometry: %s of %s is %v, of %s %v", named(tag), p, x, q, y)
	}
	switch {
	case a.rows != b.rows:
		return differ(tagRows, a.rows, b.rows)
	case a.cols != b.cols:
		return differ(tagColumns, a.cols, b.cols)
	case apart(p.spacing[:], q.spacing[:]) > 1e-4*q.spacing[0]:
		return differ(tagSpacing, p.spacing, q.spacing)
	case apart(p.orientation[:], q.orientation[:]) > 1e-4:
		return differ(tagOrientation, p.orientation, q.orientation)
	case p.file.head.text(tagFrameOfRefUID) != q.file.head.text(tagFrameOfRefUID):
		return fmt.Errorf("mixed geometry: %s of %s is another than of %s", named(tagFrameOfRefUID), p, q)
	}
	return nil
}

// apart is the largest difference.
func apart(a, b []float64) (most float64) {
	for i := range a {
		most = max(most, math.Abs(a[i]-b[i]))
	}
	return most
}

// checkTilt refuses stacks that are sheared: slices whose positions do not go along their normal, and those of which the
// scanner says that its gantry was tilted.
func checkTilt(planes []*dicomSlice) error {
	a := planes[0]
	for _, p := range planes {
		if s := p.file.head.text(tagTilt); s != "" {
			t, err := p.file.head.numbers(tagTilt, 1)
			if err != nil {
				return p.fail(err)
			}
			if math.Abs(t[0]) > tiltMost {
				return fmt.Errorf("tilted gantry: %s of %s is %s degrees; the volume has to be resampled first", named(tagTilt), p, s)
			}
		}
		step := p.along - a.along
		if off := p.offAxis(a); off > step*math.Tan(tiltMost*math.Pi/180)+0.01 {
			return fmt.Errorf("tilted gantry: %s lies %.4g mm beside the normal through %s, %.4g mm below; the volume has to be resampled first", p, off, a, step)
		}
	}
	return nil
}

// tilted says whether the slices' positions leave their normal.
func tilted(planes []*dicomSlice) bool {
	p, q := planes[len(planes)-1], planes[0]
	return p.offAxis(q) > (p.along-q.along)*math.Tan(tiltMost*math.Pi/180)+0.01
}

// offAxis is how far p lies from the line through q along its normal, in mm.
func (p *dicomSlice) offAxis(q *dicomSlice) float64 {
	var d [3]float64
	for i := range d {
		d[i] = p.position[i] - q.position[i]
	}
	o := q.orientation
	return math.Hypot(dot(d, [3]float64(o[:3])), dot(d, [3]float64(o[3:])))
}

// stack reads the pixels of sorted slices, and shears back those of a tilted gantry.
func stack(planes []*dicomSlice, buf *bufio.Reader, shear bool) (*Volume, error) {
	l := planes[0].file.layout
	dim := [3]int{l.cols, l.rows, len(planes)}
	a := stackAffine(planes)
	o, err := a.orientation()
	if err != nil {
		return nil, err
	}
	total := int64(l.rows) * int64(l.cols) * int64(len(planes))
	if total > MaxVoxels {
		return nil, fmt.Errorf("%d voxels: the limit is %d", dim, MaxVoxels)
	}
	order := fileOrder(planes)
	r := frameReader{buf: buf, hu: growing{most: int(total)}}
	if !slices.ContainsFunc(planes, func(p *dicomSlice) bool { return p.file.checksum || p.file.rle() }) {
		r.hu.hu = make([]int16, 0, total) // the files are as long as that: see checkPixels
	}
	for i := 0; i < len(order); {
		f := order[i].file
		if err := r.read(order[i : i+f.frames]); err != nil {
			return nil, fmt.Errorf("%q: %w", f.name, err)
		}
		i += f.frames
	}
	reorder(r.hu.hu, l.rows*l.cols, order, planes)
	hu := r.hu.hu
	if shear && tilted(planes) {
		if hu, dim, a, err = shearBack(hu, dim, planes); err != nil {
			return nil, err
		}
		if o, err = a.orientation(); err != nil {
			return nil, err
		}
	}
	v := geometry(dim, a, o, l.dtype())
	v.HU = permute(hu, dim, o)
	return v, nil
}

// stackAffine maps indices of columns, rows and slices to RAS millimetres. Slices go evenly from the first to the last.
func stackAffine(planes []*dicomSlice) (a affine) {
	p, q := planes[0], planes[len(planes)-1]
	for i := range 3 {
		a[4*i] = p.orientation[i] * p.spacing[1]
		a[4*i+1] = p.orientation[3+i] * p.spacing[0]
		a[4*i+2] = (q.position[i] - p.position[i]) / float64(len(planes)-1)
		a[4*i+3] = p.position[i]
	}
	for i := range 8 { // LPS to RAS
		a[i] = -a[i]
	}
	return a
}

// fileOrder sorts slices so that each file is read once, from front to back, and files in the order of the slices.
func fileOrder(planes []*dicomSlice) []*dicomSlice {
	rank := map[*dicomFile]int{}
	for i, p := range planes {
		if _, ok := rank[p.file]; !ok {
			rank[p.file] = i
		}
	}
	order := slices.Clone(planes)
	slices.SortFunc(order, func(a, b *dicomSlice) int {
		return cmp.Or(cmp.Compare(rank[a.file], rank[b.file]), cmp.Compare(a.frame, b.frame))
	})
	return order
}

// reorder brings slices of n voxels that lie in the order of have into that of want, in place.
func reorder(hu []int16, n int, have, want []*dicomSlice) {
	if slices.Equal(have, want) {
		return
	}
	at := make(map[*dicomSlice]int, len(have)) // where each lies now
	for i, p := range have {
		at[p] = i
	}
	spare := make([]int16, n)
	slice := func(i int) []int16 { return hu[i*n:][:n] }
	for i, p := range want {
		if j := at[p]; j != i {
			copy(spare, slice(i))
			copy(slice(i), slice(j))
			copy(slice(j), spare)
			have[j], have[i] = have[i], p
			at[have[j]] = j
		}
	}
}
