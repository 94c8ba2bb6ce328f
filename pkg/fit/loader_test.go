package fit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"silverbeam/pkg/net"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"
)

var pair = &taxonomy.Taxonomy{Name: "pair", Findings: []taxonomy.Finding{{Name: "a"}, {Name: "b"}}}

// stored writes studies of one or two volumes into files of five studies, and opens them; a patient has two studies.
func stored(t *testing.T, dir, storage string, shape [3]int, studies int) *shard.Dataset {
	t.Helper()
	s := shard.Spec{Preset: volume.Preset{Name: "t", SpacingMM: [3]float64{3, 2, 2}, Shape: shape, LoHU: -1000, HiHU: 200}, Findings: pair.Names(), Split: "train", HUSource: "header", Storage: storage}
	m := shard.Manifest{Preset: "t", Findings: s.Findings, HUSource: s.HUSource, Splits: map[string]shard.Split{}}
	for from := 0; from < studies; from += 5 {
		var rows []shard.Row
		for i := from; i < min(from+5, studies); i++ {
			r := stream(3, uint64(i))
			for v := range 1 + i%2 {
				row := shard.Row{Patient: fmt.Sprint("p", i/2), Study: fmt.Sprintf("s%02d", i), Volume: fmt.Sprintf("s%02d_%d", i, v), Report: "Clear.", HU: make([]int16, s.Preset.Len())}
				for k := range row.HU {
					row.HU[k] = int16(r.IntN(40) - 20 + i)
				}
				row.Labels = []taxonomy.Label{{State: pick(i%10 == 0, taxonomy.Present, taxonomy.Absent)}, {State: pick(i%2 == 0, taxonomy.Present, taxonomy.Absent)}}
				rows = append(rows, row)
			}
		}
		file := fmt.Sprintf("train/%02d.arrow", from)
		f, err := shard.Write(filepath.Join(dir, file), s, func(yield func(shard.Row, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Splits["train"] = shard.Split{Batches: append(m.Splits["train"].Batches, shard.BatchRef{ID: file, File: file, Written: f})}
	}
	if _, err := shard.Commit(dir, m); err != nil {
		t.Fatal(err)
	}
	d, err := shard.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func loaderOf(t *testing.T, d *shard.Dataset, cfg Config, o Options) *loader {
	t.Helper()
	c, err := newCorpus(d, pair, "train")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Batch, cfg.Seed = 4, 1
	l, err := newLoader(c, &cfg, []view{newImageView(c.preset, lightly), labelView{findings: 2}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// digests are those of the inputs of steps from to to-1.
func digests(t *testing.T, l *loader, from, to int) (all []string) {
	t.Helper()
	ready, done := l.run(t.Context(), from, to)
	for b := range ready {
		h := sha256.New()
		for _, name := range []string{"x", "labels"} {
			for _, v := range []any{b.in[name].F32, b.in[name].I32} {
				if err := binary.Write(h, binary.LittleEndian, v); err != nil {
					t.Fatal(err)
				}
			}
		}
		if b.err != nil || b.step != from+len(all) {
			t.Fatalf("step %d is %d: %v", from+len(all), b.step, b.err)
		}
		all = append(all, fmt.Sprintf("%x", h.Sum(nil)))
		done(b)
	}
	return all
}

// TestSameBatches: the batches depend on seed and step alone, whatever reads them, and from whatever step on.
func TestSameBatches(t *testing.T) {
	shape := [3]int{20, 40, 36}
	raw, compressed := stored(t, t.TempDir(), shard.Raw, shape, 23), stored(t, t.TempDir(), shard.Compressed, shape, 23)
	const steps = 3 * (23 / 4)
	seen := map[string]bool{}
	for name, cfg := range map[string]Config{"all": {}, "window": {Window: 8}, "balanced": {Sample: Balanced}, "both": {Window: 8, Sample: Balanced}} {
		want := digests(t, loaderOf(t, raw, cfg, Options{Workers: 1}), 0, steps)
		if len(want) != steps || slices.Compare(slices.Sorted(slices.Values(want)), slices.Compact(slices.Sorted(slices.Values(want)))) != 0 {
			t.Errorf("%s: %d batches, some of them twice", name, len(want))
		}
		if seen[want[0]] {
			t.Errorf("%s: begins as another", name)
		}
		seen[want[0]] = true
		for _, o := range []Options{{Workers: 7, Memory: 4 << 20}, {Workers: 2, Memory: 640 << 10}} {
			for _, d := range []*shard.Dataset{raw, compressed} {
				for _, from := range []int{0, 7} {
					if got := digests(t, loaderOf(t, d, cfg, o), from, steps); !slices.Equal(got, want[from:]) {
						t.Errorf("%s, %s, %+v: other batches from step %d on", name, d.Storage(), o, from)
					}
				}
			}
		}
	}
}

// TestMemoryIsBounded counts the bytes that are allocated while many times the data set is read, compressed: no more than was
// asked for, and what decoders and small things need.
func TestMemoryIsBounded(t *testing.T) {
	d := stored(t, t.TempDir(), shard.Compressed, [3]int{64, 96, 96}, 12)
	const tensor = 64 * 96 * 96
	digests(t, loaderOf(t, d, Config{}, Options{Workers: 1}), 0, 1) // the decoders are made once for the process
	for _, asked := range []int64{4*tensor*4 + 2*2*tensor + 1000, 30 << 20, 100 << 20} {
		l := loaderOf(t, d, Config{}, Options{Workers: 4, Memory: asked})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ready, done := l.run(t.Context(), 0, 15)
		for b := range ready {
			done(b)
		}
		runtime.ReadMemStats(&after)
		got := int64(after.TotalAlloc - before.TotalAlloc)
		t.Logf("asked %d: %d bytes, %d workers, %d batches", asked, got, l.workers, l.ahead)
		if got > asked+1<<20 {
			t.Errorf("asked for %d bytes, %d were allocated", asked, got)
		}
	}
	c, err := newCorpus(d, pair, "train")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newLoader(c, &Config{Batch: 4}, []view{newImageView(c.preset, lightly)}, Options{Workers: 1, Memory: 1 << 20}); err == nil {
		t.Error("1 MB is enough for a batch of 9 MB")
	}
}

// onDevice is a batch that a fake device holds.
type onDevice struct {
	labels []int32
	held   *atomic.Int64
	once   sync.Once
}

func (b *onDevice) Drop() { b.once.Do(func() { b.held.Add(-1) }) }

// TestStaged: where steps are taken on a device, batches come from there, the same in the same order, and their memory here is
// filled again meanwhile; whenever the training ends, none is left there.
func TestStaged(t *testing.T) {
	d := stored(t, t.TempDir(), shard.Raw, [3]int{20, 40, 36}, 23)
	var want [][]int32
	ready, done := loaderOf(t, d, Config{}, Options{Workers: 2}).run(t.Context(), 0, 15)
	for b := range ready {
		want = append(want, slices.Clone(b.in["labels"].I32))
		done(b)
	}
	for _, after := range []int{0, 1, 7, 15} {
		var held atomic.Int64
		l := loaderOf(t, d, Config{}, Options{Workers: 2})
		l.stage = func(b *batch) {
			held.Add(1)
			b.staged = &onDevice{labels: slices.Clone(b.in["labels"].I32), held: &held}
		}
		ctx, stop := context.WithCancel(t.Context())
		ready, done := l.run(ctx, 0, 15)
		for step := range after {
			b := <-ready
			if b.in != nil || b.step != step || !slices.Equal(b.staged.(*onDevice).labels, want[step]) {
				t.Fatalf("step %d is %d: %v, want %v", step, b.step, b.staged.(*onDevice).labels, want[step])
			}
			done(b)
		}
		stop()
		for b := range ready {
			b.drop()
		}
		if n := held.Load(); n != 0 {
			t.Errorf("ended after %d steps: %d batches are left on the device", after, n)
		}
	}
}

// slowScan takes a second to be read.
type slowScan struct{ scan }

func (s slowScan) Crop(dst []int16, at, size [3]int) error {
	time.Sleep(time.Second)
	return s.scan.Crop(dst, at, size)
}

// TestWaited: the history tells how long steps waited for their batches: all the time where reading takes it, not at all where
// the steps do, but for the first.
func TestWaited(t *testing.T) {
	for _, c := range []struct{ read, step, waited, seconds float64 }{{4, 0, 20, 20}, {0, 3, 0, 15}, {4, 1, 16, 21}, {4, 6, 4, 34}} {
		synctest.Test(t, func(t *testing.T) {
			data, dir := toy(4), t.TempDir()
			for i := range data.studies {
				for j := range data.studies[i].volumes {
					if c.read > 0 {
						data.studies[i].volumes[j] = slowScan{data.studies[i].volumes[j]}
					}
				}
			}
			o := Options{Recipe: Supervised, Epochs: 5, Batch: 4, Workers: 1}
			slow := fakeEngine{func() { time.Sleep(time.Duration(c.step * float64(time.Second))) }}
			if _, err := train(t.Context(), slow, data, nil, "t", dir, o, nil); err != nil {
				t.Fatal(err)
			}
			h, err := ReadHistory(dir)
			if err != nil || len(h) != 5 || h[4].Waited != c.waited || h[4].Seconds != c.seconds {
				t.Errorf("a batch takes %v s, a step %v s: %+v: %v; want %v s waited of %v", c.read, c.step, h[len(h)-1], err, c.waited, c.seconds)
			}
		})
	}
}

// TestDamageEndsTraining: a volume that is not what was written is named when it is read.
func TestDamageEndsTraining(t *testing.T) {
	dir := t.TempDir()
	d := stored(t, dir, shard.Raw, [3]int{8, 8, 8}, 4)
	at := d.Manifest().Splits["train"].Batches[0].Tensors[2].At
	f, err := os.OpenFile(filepath.Join(dir, "train/00.arrow"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{99}, at+100); err != nil {
		t.Fatal(err)
	}
	o := Options{Recipe: Supervised, Epochs: 200, Batch: 4, LR: .1} // the loader is still reading when training ends
	c, err := newCorpus(d, pair, "train")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := train(context.Background(), fakeEngine{}, c, nil, "t", t.TempDir(), o, nil); !errors.Is(err, shard.ErrDamaged) {
		t.Errorf("trained on damage: %v", err)
	}
}

func TestOrder(t *testing.T) {
	c := &corpus{findings: pair.Names()}
	for i := range 60 {
		state := func(yes bool) taxonomy.Label {
			return taxonomy.Label{State: pick(yes, taxonomy.Present, taxonomy.Absent)}
		}
		c.studies = append(c.studies, study{file: fmt.Sprint(i % 6), labels: []taxonomy.Label{state(i < 3), state(i < 33)}})
	}
	c.studies[59].labels = nil
	count := func(turns []turn) (n [60]int) {
		for _, u := range turns {
			if u.nth != n[u.study] {
				t.Errorf("study %d: turn %d is called %d", u.study, n[u.study], u.nth)
			}
			n[u.study]++
		}
		return n
	}
	epoch := func(cfg Config, e uint64) []turn {
		cfg.Batch, cfg.Seed = 4, 1
		o := newOrder(c, &cfg)
		return o.shuffle(stream(1, forOrder, e))
	}
	var ones [60]int
	for i := range ones {
		ones[i] = 1
	}
	for e := range uint64(5) {
		all := epoch(Config{}, e)
		if perm := stream(1, forOrder, e).Perm(60); !slices.EqualFunc(all, perm, func(u turn, i int) bool { return u.study == i }) {
			t.Error("without options an epoch is no permutation of its stream")
		}
		window := epoch(Config{Window: 15}, e) // windows of two files of ten
		if count(window) != ones || slices.Equal(all, window) {
			t.Error("with windows a study has not one turn")
		}
		for w := range slices.Chunk(window, 20) {
			files, first := map[string]int{}, map[string]int{}
			for i, u := range w {
				if files[c.studies[u.study].file]++; i < 10 {
					first[c.studies[u.study].file]++
				}
			}
			if len(files) != 2 || len(first) != 2 {
				t.Errorf("window of %v, its first half of %v", files, first)
			}
		}
		weights, sum := c.balance(), 0.0
		if want := math.Sqrt(20); weights[0] != want || weights[3] != math.Sqrt(60./33) || weights[59] != 1 {
			t.Fatalf("weights %v", weights)
		}
		for _, w := range weights {
			sum += w
		}
		balanced := epoch(Config{Sample: Balanced}, e)
		if len(balanced) != 60 {
			t.Errorf("%d turns", len(balanced))
		}
		for i, n := range count(balanced) {
			if want := 60 * weights[i] / sum; float64(n) < math.Floor(want) || float64(n) > math.Ceil(want) {
				t.Errorf("study %d: %d turns, want %.2f", i, n, want)
			}
		}
	}
}

func TestSharesAreNested(t *testing.T) {
	c := &corpus{}
	for i := range 300 {
		c.studies = append(c.studies, study{id: fmt.Sprint("s", i), patient: fmt.Sprint("p", i/3)})
	}
	before := map[string]bool{}
	for _, x := range []struct {
		of       float64
		patients int
	}{{.001, 1}, {.01, 1}, {.1, 10}, {.25, 25}, {.501, 51}, {1, 100}} {
		ids, patients := map[string]bool{}, map[string]bool{}
		for _, s := range c.share(x.of).studies {
			ids[s.id], patients[s.patient] = true, true
		}
		if len(patients) != x.patients || len(ids) != 3*x.patients {
			t.Errorf("share %v: %d patients, %d studies", x.of, len(patients), len(ids))
		}
		for id := range before {
			if !ids[id] {
				t.Errorf("share %v lacks %s of a smaller one", x.of, id)
			}
		}
		before = ids
	}
	if len(c.studies) != 300 {
		t.Error("the corpus was changed")
	}
}

// TestTurnsDiffer: a study that has two turns in an epoch is augmented in two ways.
func TestTurnsDiffer(t *testing.T) {
	c := toy(1)
	v := newImageView(c.preset, lightly)
	in := blank(v.inputs(2))
	for nth := range 2 {
		if err := v.fill(in, nth, draw{study: &c.studies[0], seed: 1, nth: nth}); err != nil {
			t.Fatal(err)
		}
	}
	if n := net.Size(in["x"].Shape) / 2; slices.Equal(in["x"].F32[:n], in["x"].F32[n:]) {
		t.Error("both turns are the same")
	}
}
