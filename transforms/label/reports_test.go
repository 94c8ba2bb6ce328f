package label

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/llm"
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
}

func (f fixed) label(context.Context, string, *schemas.Study) ([]taxonomy.Label, error) {
	*f.asked++
	return slices.Clone(f.labels), f.err
}

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
			got, err := cascade{labelers: []labeler{fixed{c.first, c.errs[0], &asked}, fixed{c.second, c.errs[1], &asked}}}.label(t.Context(), "b", &schemas.Study{})
			var no schemas.Refusal
			errors.As(err, &no)
			if !slices.Equal(got, c.want) || no.Class != c.class || asked != c.asked || c.err != nil && !errors.Is(err, c.err) || c.class == "" && c.err == nil && err != nil {
				t.Errorf("%v, %v, %d asked", got, err, asked)
			}
		})
	}
}
