package rules

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// benchmarkReports are made-up reports of about 280 words, the mean of CT-RATE's.
func benchmarkReports(n int) []string {
	rng := rand.New(rand.NewPCG(1, 2))
	reports := make([]string, n)
	for i := range reports {
		var parts []string
		for words := 0; words < 280; {
			s := statements[rng.IntN(len(statements))]
			text := []string{s.yes, s.no, s.no, idle[rng.IntN(len(idle))]}[rng.IntN(4)]
			parts = append(parts, text)
			words += len(strings.Fields(text))
		}
		reports[i] = strings.Join(parts, " ")
	}
	return reports
}

func BenchmarkLabel(b *testing.B) {
	l, reports := labeler(b, ""), benchmarkReports(64)
	if file := os.Getenv("SILVERBEAM_REPORTS"); file != "" { // for testdata/labelers.py, one a line
		if err := os.WriteFile(file, []byte(strings.Join(reports, "\n")), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := l.Label(reports[i%len(reports)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		labeler(b, "")
	}
}
