package evaluate

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"silverbeam/pkg/taxonomy"
)

var two = []string{"Cardiomegaly", "Rib fracture"}

func TestTruth(t *testing.T) {
	for name, c := range map[string]struct{ file, text string }{
		"a table":                       {"t.csv", "id,Cardiomegaly,Rib fracture,reader\ns1,1,,A. B.\ns2,0,-1,\n"},
		"columns in any order":          {"t.csv", "id,Rib fracture,Cardiomegaly\ns1,,1.0\ns2,-1,0.0\n"},
		"volumes as CT-RATE names them": {"t.csv", "VolumeName,Cardiomegaly,Rib fracture\ns1_1.nii.gz,1,\ns1_2.nii.gz,1,\ns2_1.nii.gz,0,-1\n"},
		"lines":                         {"t.jsonl", `{"study":"s1","findings":{"Cardiomegaly":1,"Ascites":1}}` + "\n" + `{"study":"s2","findings":{"Cardiomegaly":0,"Rib fracture":-1}}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readTruth(write(t, c.file, c.text), two, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range []struct {
				finding, study string
				want           taxonomy.State
				known          bool
			}{{two[0], "s1", taxonomy.Present, true}, {two[0], "s2", taxonomy.Absent, true}, {two[1], "s1", 0, false}, {two[1], "s2", taxonomy.Uncertain, true}, {two[0], "s3", 0, false}} {
				if s, ok := got.state(q.finding, q.study, q.study+"_1"); s != q.want || ok != q.known {
					t.Errorf("%s of %s: %v, known %v; want %v, %v", q.finding, q.study, s, ok, q.want, q.known)
				}
			}
			if !got.knows("s1", "s1_1") || got.knows("s3", "s3_1") {
				t.Error("it knows s1 and s2")
			}
		})
	}
}

// RAD-ChestCT's own table: a finding is present where it is at one location.
func TestTruthByLocation(t *testing.T) {
	path := write(t, "t.csv", "NoteAcc_DEID,calcification*aorta,calcification*heart,nodule*lung,nodulegr1cm*lung,mass*lung\ntrn1,0,1,0,0,1\ntrn2,0,0,0,1,0\ntrn3,,0,0,0,0\n")
	got, err := readTruth(path, []string{"Lung nodule", "Calcification"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][2]any{"trn1": {taxonomy.Absent, taxonomy.Present}, "trn2": {taxonomy.Present, taxonomy.Absent}, "trn3": {taxonomy.Absent, nil}} {
		for i, finding := range []string{"Lung nodule", "Calcification"} {
			if s, known := got.state(finding, id); known != (want[i] != nil) || known && s != want[i] {
				t.Errorf("%s of %s: %v, known %v; want %v", finding, id, s, known, want[i])
			}
		}
	}
	for finding, want := range map[string]string{"Emphysema": `no column "emphysema*"`, "Rib fracture": `has no "Rib fracture"`} {
		if _, err := readTruth(path, []string{finding}, false); !errors.Is(err, ErrTruth) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", finding, err, want)
		}
	}
}

// What people have reviewed: some findings, each row for as many as it stands for.
func TestReviewed(t *testing.T) {
	got, err := readReviewed(write(t, "t.csv", "id,stratum,weight,Cardiomegaly\ns1,a,2.5,1\ns2,b,1,-2\ns3,b,1,\n"), two)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int8{"s1": 1, "s2": 0, "s3": -1, "s4": -1} {
		if y := binary(got.state(two[0], id, id+"_1")); y != want {
			t.Errorf("%s: %d, want %d", id, y, want)
		}
	}
	if w1, w2, w4 := got.weightOf("s1", "s1_1"), got.weightOf("s2"), got.weightOf("s4"); w1 != 2.5 || w2 != 1 || w4 != 1 {
		t.Errorf("weights %v, %v, %v", w1, w2, w4)
	}
	if _, known := got.state(two[1], "s1"); known {
		t.Error("a finding that the sheet does not have is known")
	}
	for name, c := range map[string]struct{ text, want string }{
		"no finding":      {"id,weight,Ascites\ns1,1,1\n", "t.csv:1: no column has the name of a finding"},
		"a weight below":  {"id,weight,Cardiomegaly\ns1,1,1\ns2,0.5,1\n", "t.csv:3: weight: not a number of 1 or more"},
		"a weight's lack": {"id,weight,Cardiomegaly\ns1,,1\n", "t.csv:2: weight: not a number"},
	} {
		if _, err := readReviewed(write(t, "t.csv", c.text), two); !errors.Is(err, ErrTruth) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// Every fault is bad input: one line that names the file, and the line or column where there is one.
func TestBadTruth(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"a column misspelt":      {"t.csv", "id,Cardiomegally,Rib fracture\ns1,1,0\n", `t.csv:1: no column "Cardiomegaly"; the nearest is "Cardiomegally"`},
		"a finding left out":     {"t.csv", "id,Cardiomegaly\ns1,1\n", `t.csv:1: no column "Rib fracture"`},
		"not a state":            {"t.csv", "id,Cardiomegaly,Rib fracture\ns1,1,0\ns2,yes,0\n", "t.csv:3: Cardiomegaly: neither 1, 0, -1, -2 nor empty"},
		"a row that breaks":      {"t.csv", "id,Cardiomegaly,Rib fracture\ns1,1,0\ns2,1\n", "t.csv:3: 2 fields, the header has 3"},
		"a study twice":          {"t.csv", "id,Cardiomegaly,Rib fracture\ns1,1,0\ns1,0,0\n", `t.csv:3: "s1" for the second time`},
		"nothing in it":          {"t.csv", "", "t.csv: the file is empty"},
		"no such kind of file":   {"t.txt", "x", "t.txt: neither .jsonl nor .csv"},
		"lines that are none":    {"t.jsonl", "{\"study\":\"s1\",\"findings\":{}}\n{\"study\":\"s2\",", "t.jsonl:2: not an object with a study and its findings"},
		"no lines":               {"t.jsonl", "", "t.jsonl: no studies in it"},
		"a study twice in lines": {"t.jsonl", "{\"study\":\"s1\",\"findings\":{}}\n{\"study\":\"s1\",\"findings\":{}}\n", `t.jsonl:2: "s1" for the second time`},
		"a state beyond":         {"t.jsonl", `{"study":"s1","findings":{"Cardiomegaly":7}}`, "t.jsonl:1: Cardiomegaly: neither 1, 0, -1 nor null"},
		"a line without end":     {"t.jsonl", `{"study":"` + strings.Repeat("x", 17<<20), "t.jsonl:1: a line over 16 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readTruth(write(t, c.file, c.text), two, true)
			if !errors.Is(err, ErrTruth) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want a line with %s", err, c.want)
			}
		})
	}
	if _, err := readTruth(filepath.Join(t.TempDir(), "none.csv"), two, true); !errors.Is(err, ErrTruth) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
