package rules

import (
	"encoding/csv"
	"os"
	"strconv"
	"testing"

	"silverbeam/pkg/taxonomy"
)

// TestGold labels a hand-labelled CSV that is not in the repository and writes predictions for an outside scorer.
// SILVERBEAM_GOLD names the CSV (id, report, findings), SILVERBEAM_GOLD_OUT the file to write.
func TestGold(t *testing.T) {
	in, out := os.Getenv("SILVERBEAM_GOLD"), os.Getenv("SILVERBEAM_GOLD_OUT")
	if in == "" || out == "" {
		t.Skip("SILVERBEAM_GOLD and SILVERBEAM_GOLD_OUT are not set")
	}
	tax, err := taxonomy.Load("")
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(tax, Options{Convention: os.Getenv("SILVERBEAM_GOLD_CONVENTION")})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	predictions := [][]string{append([]string{"id"}, tax.Names()...)}
	for _, r := range rows[1:] {
		labels, err := l.Label(r[1])
		if err != nil {
			t.Fatalf("id %s: %v", r[0], err)
		}
		p := []string{r[0]}
		for _, y := range labels {
			v, _ := taxonomy.Binary(y, "one")
			p = append(p, strconv.Itoa(int(v)))
		}
		predictions = append(predictions, p)
	}
	w, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := csv.NewWriter(w).WriteAll(predictions); err != nil {
		t.Fatal(err)
	}
}
