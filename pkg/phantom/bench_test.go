package phantom

import "testing"

// BenchmarkStudy paints the volumes of studies; files and gzip are not in it.
func BenchmarkStudy(b *testing.B) {
	list, err := Draw(Options{Studies: 40, Seed: 3})
	if err != nil {
		b.Fatal(err)
	}
	o, err := Options{}.defaults()
	if err != nil {
		b.Fatal(err)
	}
	w := newPainter(o)
	n := 0
	for i := range b.N {
		n += len(w.study(list[i%40]))
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(n), "ms/volume")
}

// BenchmarkWrite makes whole data sets of 20 studies: paint, gzip level 1, reports, files.
func BenchmarkWrite(b *testing.B) {
	o := Options{Studies: 20, Seed: 3}
	list, err := Draw(o)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, s := range list {
		n += s.Volumes
	}
	for b.Loop() {
		if err := Write(b.Context(), b.TempDir(), o, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "volumes/s")
}
