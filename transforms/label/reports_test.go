package label

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/llm"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/student"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
)

func TestAnEndpointIsNeverIgnored(t *testing.T) {
	const url = "http://127.0.0.1:1/v1"
	for name, c := range map[string]struct {
		labelers []string
		endpoint string
		want     string
	}{
		"neither":                      {nil, "", "rules"},
		"rules alone":                  {[]string{"rules"}, "", "rules"},
		"an endpoint alone":            {nil, url, "llm"},
		"rules, and an endpoint":       {[]string{"rules"}, url, "rules llm"},
		"both named":                   {[]string{"rules", "llm"}, url, "rules llm"},
		"llm first":                    {[]string{"llm", "rules"}, url, "llm rules"},
		"llm, and nobody to be called": {[]string{"llm"}, "", "llm"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Labelers: c.labelers, Endpoint: c.endpoint, Model: "m"}
			if got := strings.Join(o.Cascade(), " "); got != c.want {
				t.Errorf("asked: %s, want %s", got, c.want)
			}
			if err := o.Validate(); (err != nil) != (c.want == "llm" && c.endpoint == "") {
				t.Error(err)
			}
		})
	}
	if err := (Options{Labelers: []string{"rules"}, Endpoint: url}).Validate(); err == nil || !strings.Contains(err.Error(), "model") {
		t.Errorf("an endpoint without a model: %v", err)
	}
	labelers := make([]string, 1, 2)
	labelers[0] = "rules"
	_ = Options{Labelers: labelers, Endpoint: url}.Cascade()
	if labelers[:2][1] != "" {
		t.Error("the caller's list was written into")
	}
}

// A shard that was made with a stand-in's answers is not taken for one of the model's.
func TestStandInsHaveShardsOfTheirOwn(t *testing.T) {
	seen := map[string]string{}
	for _, endpoint := range []string{"", "https://llm.example/v1", "http://127.0.0.1:1/v1", "fake://rules?seed=1", "fake://rules?seed=2"} {
		id, err := Options{Endpoint: endpoint, Model: "m", Labelers: []string{"rules"}}.Identity()
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[id]; twice {
			t.Errorf("%q and %q have the same identity", endpoint, other)
		}
		seen[id] = endpoint
	}
	for _, o := range []Options{{Endpoint: "https://a.example"}, {Endpoint: "https://a.example", KeyEnv: "KEY", InFlight: 3, RPM: 7}} {
		o.Model, o.Labelers = "m", []string{"rules"}
		if id, _ := o.Identity(); seen[id] == "" {
			t.Errorf("%+v: another real address, key or pace made other shards", o)
		}
	}
}

type fixed struct {
	labels []taxonomy.Label
	err    error
	asked  *int
	want   *[]int // nil: not noted
}

func (f fixed) label(_ context.Context, _ string, _ *schemas.Study, want []int) ([]taxonomy.Label, error) {
	*f.asked++
	if f.want != nil {
		*f.want = slices.Clone(want)
	}
	return slices.Clone(f.labels), f.err
}

func (fixed) doubts(l taxonomy.Label) bool { return l.State == taxonomy.Uncertain }

func TestCascade(t *testing.T) {
	present, doubt, absent := taxonomy.Label{State: taxonomy.Present}, taxonomy.Label{State: taxonomy.Uncertain}, taxonomy.Label{State: taxonomy.Absent}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		first, second []taxonomy.Label
		errs          [2]error
		want          []taxonomy.Label
		class         string // of the reject
		err           error
		asked         int
	}{
		"sure: nobody else is asked":                {first: []taxonomy.Label{present, absent}, want: []taxonomy.Label{present, absent}, asked: 1},
		"doubts are settled, and only they":         {first: []taxonomy.Label{absent, doubt}, second: []taxonomy.Label{present, present}, want: []taxonomy.Label{absent, present}, asked: 2},
		"a model that declines leaves the doubt":    {first: []taxonomy.Label{absent, doubt}, errs: [2]error{nil, llm.Refusal{Class: "refusal"}}, want: []taxonomy.Label{absent, doubt}, asked: 2},
		"not assessable, says the first":            {errs: [2]error{taxonomy.NotAssessable{Class: "empty"}}, class: "empty", asked: 1},
		"declined, and nobody had answered":         {errs: [2]error{llm.Refusal{Class: "schema"}}, class: "schema", asked: 1},
		"a broken world stops the run, doubt or no": {first: []taxonomy.Label{doubt}, errs: [2]error{nil, broken}, err: broken, asked: 2},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			got, _, err := cascade{labelers: []labeler{fixed{c.first, c.errs[0], &asked, nil}, fixed{c.second, c.errs[1], &asked, nil}}}.label(t.Context(), "b", &schemas.Study{})
			var no schemas.Refusal
			errors.As(err, &no)
			if !slices.Equal(got, c.want) || no.Class != c.class || asked != c.asked || c.err != nil && !errors.Is(err, c.err) || c.class == "" && c.err == nil && err != nil {
				t.Errorf("%v, %v, %d asked", got, err, asked)
			}
		})
	}
}

// grader is a labeler that doubts its own answers from a probability of one half on.
type grader struct{ fixed }

func (grader) doubts(l taxonomy.Label) bool { return l.P >= 0.5 }

// Each labeler hands on what it doubts itself, of what the one before handed to it.
func TestCascadeHandsOnlyDoubtsOn(t *testing.T) {
	of := func(source string, p ...float32) (labels []taxonomy.Label) {
		for i, x := range p {
			labels = append(labels, taxonomy.Label{State: taxonomy.State(i%2) - 1, P: x, Source: source}) // uncertain, absent, uncertain ...
		}
		return labels
	}
	for name, c := range map[string]struct {
		middle []float32
		want   string
		asked  int // of the last
	}{
		"the middle one is sure of all that it was asked":       {[]float32{0.1, 0.9, 0.2, 0.9}, "middle first middle first", 0},
		"it doubts one of them, and hands that one alone on":    {[]float32{0.1, 0.9, 0.7, 0.9}, "middle first last first", 1},
		"it doubts both, but not what the first was sure of":    {[]float32{0.6, 0.9, 0.7, 0.9}, "last first last first", 1},
		"an uncertain state is no doubt where it says it isn't": {[]float32{0, 0, 0, 0}, "middle first middle first", 0},
	} {
		t.Run(name, func(t *testing.T) {
			asked, last, want := 0, 0, []int(nil)
			got, _, err := cascade{labelers: []labeler{fixed{labels: of("first", 0, 0, 0, 0), asked: &asked},
				grader{fixed{labels: of("middle", c.middle...), asked: &asked}}, fixed{labels: of("last", 0, 0, 0, 0), asked: &last, want: &want}}}.label(t.Context(), "b", &schemas.Study{})
			var sources []string
			for _, l := range got {
				sources = append(sources, l.Source)
			}
			for i, source := range sources {
				if slices.Contains(want, i) != (source == "last") {
					t.Errorf("the last one was asked for %v", want)
				}
			}
			if s := strings.Join(sources, " "); s != c.want || err != nil || asked != 2 || last != c.asked {
				t.Errorf("%s, %v, the last asked %d times; want %s", s, err, last, c.want)
			}
		})
	}
}

// A student is known by its content: another one in the same place makes other shards, the same one elsewhere does not.
func TestStudentsAreKnownByTheirContent(t *testing.T) {
	tax, err := taxonomy.Load("")
	if err != nil {
		t.Fatal(err)
	}
	l, err := rules.New(tax, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	write := func(path string, seed int64) string {
		var reports []student.Report
		for i := range 60 {
			r := student.Report{ID: fmt.Sprint(i), Text: fmt.Sprintf("Chest CT w%dx of w%dy and w%dz. No pleural effusion. The heart is normal in size.", i, i, i), Truth: make([]int8, 18)}
			r.Truth[0] = int8(i % 2)
			reports = append(reports, r)
		}
		s, _, err := student.Fit(tax, l, reports, student.Options{Folds: 3, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := errors.Join(s.Write(&b), os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
			t.Fatal(err)
		}
		o := Options{Labelers: []string{"rules", "student:" + path}}
		if err := errors.Join(o.Validate(), o.Suits(tax)); err != nil {
			t.Error(err)
		}
		id, err := o.Identity()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	a, b := filepath.Join(t.TempDir(), "a.json"), filepath.Join(t.TempDir(), "b.json")
	one := write(a, 1)
	if write(b, 1) != one {
		t.Error("another path makes another identity")
	}
	if write(a, 2) == one {
		t.Error("another student makes the same identity")
	}
	for name, o := range map[string]Options{"missing": {Labelers: []string{"student:" + a + ".none"}}, "of another convention": {Labelers: []string{"student:" + a}, Convention: "clinical"}} {
		if err := o.Suits(tax); err == nil || !strings.HasPrefix(err.Error(), "labelers: student: ") || !strings.Contains(err.Error(), a) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"student:", "student", "pupil:" + a} {
		if err := (Options{Labelers: []string{bad}}).Validate(); err == nil || !strings.Contains(err.Error(), "one of rules, student:FILE, llm") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
