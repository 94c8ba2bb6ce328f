package fit

import (
	"math"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/net"
	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"

	"pgregory.net/rapid"
)

// shift moves a volume by whole voxels.
func shift(dst, src []int16, shape, by [3]int) {
	v := newImageView(volume.Preset{Shape: shape}, augment{})
	if err := v.read(dst, memory{src, shape}, by); err != nil {
		panic(err)
	}
}

func TestShift(t *testing.T) {
	shape := [3]int{2, 2, 3}
	src := []int16{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	const a = airHU
	for name, c := range map[string]struct {
		by   [3]int
		want []int16
	}{
		"nowhere":     {[3]int{}, src},
		"up in z":     {[3]int{1, 0, 0}, []int16{a, a, a, a, a, a, 1, 2, 3, 4, 5, 6}},
		"back in y":   {[3]int{0, -1, 0}, []int16{4, 5, 6, a, a, a, 10, 11, 12, a, a, a}},
		"left in x":   {[3]int{0, 0, 2}, []int16{a, a, 1, a, a, 4, a, a, 7, a, a, 10}},
		"right in x":  {[3]int{0, 0, -1}, []int16{2, 3, a, 5, 6, a, 8, 9, a, 11, 12, a}},
		"all at once": {[3]int{-1, 1, -1}, []int16{a, a, a, 8, 9, a, a, a, a, a, a, a}},
	} {
		dst := make([]int16, len(src))
		if shift(dst, src, shape, c.by); !slices.Equal(dst, c.want) {
			t.Errorf("%s: %v, want %v", name, dst, c.want)
		}
	}
}

func TestShiftThereAndBack(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		shape := [3]int{rapid.IntRange(4, 6).Draw(r, "d"), 5, 6}
		src := make([]int16, shape[0]*shape[1]*shape[2])
		fill(src, airHU)
		src[(2*shape[1]+2)*shape[2]+3] = 7 // far enough inside
		by := [3]int{rapid.IntRange(-1, 1).Draw(r, "z"), rapid.IntRange(-2, 2).Draw(r, "y"), rapid.IntRange(-2, 2).Draw(r, "x")}
		there, back := make([]int16, len(src)), make([]int16, len(src))
		shift(there, src, shape, by)
		if at := ((2+by[0])*shape[1]+2+by[1])*shape[2] + 3 + by[2]; there[at] != 7 {
			r.Fatalf("shifted by %v, not found", by)
		}
		shift(back, there, shape, [3]int{-by[0], -by[1], -by[2]})
		if !slices.Equal(src, back) {
			r.Fatalf("shifted by %v and back: not the same", by)
		}
	})
}

func TestImageViewWithoutAugmentIsTheWindow(t *testing.T) {
	c := toy(1)
	v := newImageView(c.preset, augment{})
	in := blank(v.inputs(2))
	v.fill(in, 1, draw{study: &c.studies[0], seed: 1})
	want := make([]float32, c.preset.Len())
	c.preset.Window(want, c.studies[0].volumes[0].(memory).hu)
	if !slices.Equal(in["x"].F32[len(want):], want) || slices.Max(in["x"].F32[:len(want)]) != 0 {
		t.Error("row 1 is not the windowed volume, or row 0 was written")
	}
}

func TestAugmentStaysInBounds(t *testing.T) {
	p := volume.Preset{Name: "t", SpacingMM: [3]float64{6, 3, 3}, Shape: [3]int{5, 9, 9}, LoHU: -1000, HiHU: 1000}
	src := make([]int16, p.Len())
	src[(2*9+4)*9+4] = 900 // in water
	v := newImageView(p, augment{ShiftMM: 6, OffsetHU: 20, Gain: 0.05})
	dst := make([]int16, p.Len())
	var seen [3][2]int
	for epoch := range uint64(300) {
		v.change(dst, memory{src, p.Shape}, stream(1, forImage, epoch))
		at := slices.Index(dst, slices.Max(dst))
		if peak := float64(dst[at]); peak < math.Min(900-20-0.05*1900, 1000)-1 || peak > 1000 {
			t.Fatalf("epoch %d: the bright voxel has %v HU", epoch, peak)
		}
		for i, d := range []int{at/81 - 2, at/9%9 - 4, at%9 - 4} {
			seen[i][0], seen[i][1] = min(seen[i][0], d), max(seen[i][1], d)
		}
	}
	if want := [3][2]int{{-1, 1}, {-2, 2}, {-2, 2}}; seen != want { // 6 mm in voxels of 6, 3, 3 mm
		t.Errorf("shifts reached %v, want %v", seen, want)
	}
}

func TestViewsDependOnTheDrawAlone(t *testing.T) {
	c := toy(4)
	c.preset.SpacingMM = [3]float64{5, 5, 5}
	w := net.LearnWordPiece(c.reports(), 50)
	views := []view{newImageView(c.preset, lightly), textView{w, 32, true, 0.15}, labelView{findings: 2}}
	make1 := func(seed uint64, epoch int) map[string]net.Tensor {
		all := map[string]net.Tensor{}
		for _, v := range views {
			in := blank(v.inputs(1))
			v.fill(in, 0, draw{study: &c.studies[1], seed: seed, epoch: epoch, index: 1})
			for k, t := range in {
				all[k] = t
			}
		}
		return all
	}
	same := func(a, b map[string]net.Tensor) bool {
		return slices.Equal(a["x"].F32, b["x"].F32) && slices.Equal(a["input_ids"].I32, b["input_ids"].I32)
	}
	if !same(make1(1, 3), make1(1, 3)) {
		t.Error("the same draw gives two samples")
	}
	if same(make1(1, 3), make1(1, 4)) || same(make1(1, 3), make1(2, 3)) {
		t.Error("another epoch or seed gives the same sample")
	}
}

func TestLabelPolicy(t *testing.T) {
	states := []taxonomy.State{taxonomy.Present, taxonomy.Absent, taxonomy.Uncertain, taxonomy.NotMentioned}
	s := study{}
	for _, x := range states {
		s.labels = append(s.labels, taxonomy.Label{State: x})
	}
	v := labelView{findings: 4}
	in := blank(v.inputs(2))
	v.fill(in, 0, draw{study: &s})
	v.fill(in, 1, draw{study: &study{}}) // none known
	if want := []int32{1, 0, -1, 0, -1, -1, -1, -1}; !slices.Equal(in["labels"].I32, want) {
		t.Errorf("got %v, want %v", in["labels"].I32, want)
	}
}

func TestExcerpt(t *testing.T) {
	text := "The heart is enlarged. No effusion is seen.\nThere is a 3.5 mm nodule. Impression: cardiomegaly."
	all := sentences(text)
	if len(all) != 4 || all[2] != "There is a 3.5 mm nodule." {
		t.Fatalf("sentences %q", all)
	}
	lengths := map[int]bool{}
	for i := range uint64(200) {
		e := excerpt(text, stream(1, i))
		parts := sentences(e)
		lengths[len(parts)] = true
		at := -1
		for _, p := range parts {
			next := slices.Index(all, p)
			if next <= at {
				t.Fatalf("%q: out of order, or not in the text", e)
			}
			at = next
		}
	}
	if len(lengths) != 4 || lengths[0] {
		t.Errorf("excerpts of %v sentences, want 1 to 4", lengths)
	}
	if e := excerpt("One sentence", stream(1)); e != "One sentence" {
		t.Errorf("%q", e)
	}
}

func TestOrderVisitsEveryStudyOnce(t *testing.T) {
	o := order{seed: 3, studies: 11, batch: 3}
	var first []int
	for epoch := range 3 {
		var seen []int
		for b := range o.steps() {
			turns, e := o.at(epoch*o.steps() + b)
			if e != epoch {
				t.Fatalf("epoch %d, want %d", e, epoch)
			}
			for _, u := range turns {
				seen = append(seen, u.study)
			}
		}
		if epoch == 0 {
			first = seen
		} else if slices.Equal(first, seen) {
			t.Error("two epochs in one order")
		}
		slices.Sort(seen)
		if len(seen) != 9 || len(slices.Compact(seen)) != 9 {
			t.Errorf("epoch %d visits %v", epoch, seen)
		}
	}
	other := order{seed: 3, studies: 11, batch: 3}
	other.at(7) // out of order, as after a resume
	a, _ := other.at(4)
	b, _ := o.at(4)
	if !slices.Equal(a, b) {
		t.Error("a step's studies depend on the steps asked before")
	}
}

func TestEveryReconstructionIsDrawn(t *testing.T) {
	c := toy(2)
	s := &c.studies[1] // has two
	bright := make([]int16, c.preset.Len())
	fill(bright, 100)
	s.volumes[1] = memory{bright, c.preset.Shape}
	v := newImageView(c.preset, augment{})
	in := blank(v.inputs(1))
	sharp := 0
	for epoch := range 200 {
		v.fill(in, 0, draw{study: s, seed: 1, epoch: epoch, index: 1})
		if in["x"].F32[0] > 0.5 {
			sharp++
		}
	}
	if sharp < 70 || sharp > 130 { // 100 expected, sd 7
		t.Errorf("the second of two reconstructions in %d of 200 epochs", sharp)
	}
}

func TestVocabularyIsOfTheReports(t *testing.T) {
	c := toy(3)
	w := net.LearnWordPiece(c.reports(), vocabulary)
	ids, mask := make([]int32, 64), make([]int32, 64)
	n := w.Encode(ids, mask, strings.ToUpper(c.studies[0].report))
	if n != 2+10 { // eight words and two full stops
		t.Errorf("%d tokens", n)
	}
}
