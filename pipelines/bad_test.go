package pipelines

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestBadFiles pairs each testdata/NAME.bad.yaml with the exact messages in NAME.bad.txt.
func TestBadFiles(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.bad.yaml")
	if len(files) < 5 {
		t.Fatalf("found %d bad files", len(files))
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			began := time.Now()
			_, err := Load(f, nil)
			if err == nil {
				t.Fatal("no problem found")
			}
			if spent := time.Since(began); spent > time.Second {
				t.Errorf("took %v", spent)
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(f, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestShippedFilesAreGood(t *testing.T) {
	for _, name := range Shipped {
		p, err := Load(name, nil)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if err := p.Dry(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, _ := files.ReadDir(".")
	if len(all) != len(Shipped) {
		t.Errorf("%d files are embedded and %d are named", len(all), len(Shipped))
	}
}

func TestUnknownFileNamesTheNearest(t *testing.T) {
	_, err := Load("dmeo", nil)
	want := `dmeo: pipeline: no such file, and none of that name ships: ` + strings.Join(Shipped, ", ") + ` (did you mean "demo"?)`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// The catalog is the one list of step types; each name must be a folder's and a function's, as in label.Reports.
func TestCatalogIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Catalog {
		family, function, ok := strings.Cut(c.Type, ".")
		if _, err := os.Stat("../transforms/" + family); err != nil || !ok || function == "" || seen[c.Type] {
			t.Errorf("%s: no such folder, no function or twice", c.Type)
		}
		seen[c.Type] = true
		for _, o := range c.Describe() {
			if o.Doc == "" && o.Kind != "a mapping" {
				t.Errorf("%s: %s has no comment", c.Type, o.Key)
			}
		}
	}
}
