package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/taxonomy"
)

// byName is a server that judges a finding by its name, whatever its key, and notes which ones each request asks for.
type byName struct {
	mu    sync.Mutex
	asked []string // by request: the names, joined
}

func (s *byName) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	var in chatRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	answer, names := map[string]string{}, []string{}
	_, list, _ := strings.Cut(in.Messages[0].Content, "Findings:\n")
	for _, line := range strings.Split(list, "\n") {
		if k, rest, ok := strings.Cut(line, "  "); ok {
			name, _, _ := strings.Cut(rest, ":")
			answer[k] = codeOf(name)
			names = append(names, name)
		}
	}
	if len(in.Format.JSON.Schema.Required) != len(names) {
		return nil, errors.New("prompt and schema differ")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, strings.Join(names, ","))
	content, err := json.Marshal(answer)
	return respond(r, 200, chat(string(content), "stop", "")), err
}

func codeOf(name string) string { return "PNUB"[len(name)%4:][:1] }

// What was said of a finding holds until the finding changes: an added one asks for itself alone, on as many calls as there
// are reports; order and removal ask for nothing; a new definition asks for that finding. The book says what it saved.
func TestAFindingAsksForItself(t *testing.T) {
	const reports = 10
	finding := func(name string) taxonomy.Finding {
		return taxonomy.Finding{Name: name, Definition: "About " + name + ".", Synonyms: []string{name + "s"}}
	}
	a, b, c, d := finding("a"), finding("bb"), finding("ccc"), finding("dddd")
	changed := b
	changed.Exclusions = []string{"b"}
	dir, s := t.TempDir(), &byName{}
	o := Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini"}
	var spent int64 // of runs before
	for n, x := range []struct {
		name     string
		findings []taxonomy.Finding
		asks     string // of every report; "": nothing
		saved    int64  // in answers of the price of one
	}{
		{"first", []taxonomy.Finding{a, b, c}, "a,bb,ccc", 0},
		{"again", []taxonomy.Finding{a, b, c}, "", 1},
		{"another order", []taxonomy.Finding{c, a, b}, "", 1},
		{"one added, in front", []taxonomy.Finding{d, a, b, c}, "dddd", 1},
		{"all four", []taxonomy.Finding{a, b, c, d}, "", 2},
		{"only the added one", []taxonomy.Finding{d}, "", 1},
		{"another definition", []taxonomy.Finding{a, changed, c, d}, "bb", 0}, // by hand below: two thirds, and one
		{"the old one again", []taxonomy.Finding{a, b, c, d}, "", 2},
	} {
		tax := &taxonomy.Taxonomy{Name: "own", Findings: x.findings}
		os.Remove(filepath.Join(dir, "ledger.db")) // a run of its own
		bench := setOf(t, dir, tax, o, s)
		f, err := Foresee(o, tax, bench.store)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := f.Call(report(0), bench.asks.all)
		if want := strings.FieldsFunc(x.asks, func(r rune) bool { return r == ',' }); err != nil || plan.Findings != len(want) || (plan.Instructions > 0) != (len(want) > 0) {
			t.Errorf("%s: planned %+v, %v", x.name, plan, err)
		}
		s.asked = nil
		answers, errs := bench.labelAll(t, 16, 2*reports, 2) // each of them twice
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for _, labels := range answers {
			for i, l := range labels {
				if want := codes[codeOf(x.findings[i].Name)]; l.State != want.State || l.Source != "llm:gpt-4.1-mini" {
					t.Fatalf("%s: %s is %v", x.name, x.findings[i].Name, l)
				}
			}
		}
		calls := 0
		if x.asks != "" {
			calls = reports
		}
		if len(s.asked) != calls || slices.ContainsFunc(s.asked, func(a string) bool { return a != x.asks }) {
			t.Errorf("%s: asked %q", x.name, s.asked)
		}
		saved := x.saved * perAnswer
		if x.name == "another definition" {
			saved = perAnswer/3*2 + perAnswer%3*2/3 + perAnswer
		}
		cost := bench.cost(t)
		if cost.Calls != int64(calls) || cost.Spent != int64(calls)*perAnswer || cost.Saved.Store != reports*saved || cost.Reports != 2*reports || cost.UnsettledMax != 0 {
			t.Errorf("%s: %+v", x.name, cost)
		}
		if whole := saved + perAnswer*int64(min(calls, 1)); cost.Saved.Dedupe != reports*whole {
			t.Errorf("%s: equal reports saved %d, want %d", x.name, cost.Saved.Dedupe, reports*whole)
		}
		if n == 0 {
			first, _ := f.Call(report(0), bench.asks.all)
			if first.Findings != 0 {
				t.Errorf("after the run %+v is planned", first)
			}
		}
		spent += cost.Spent
		bench.shut(t)
	}
	if spent != 3*reports*perAnswer {
		t.Errorf("spent %d", spent)
	}
}

// A call asks for the wanted findings that have no answer, and so it is planned. What others want of an equal report at the
// same time is asked for once.
func TestACallAsksForWhatIsWanted(t *testing.T) {
	s := &byName{}
	tax := &taxonomy.Taxonomy{Findings: []taxonomy.Finding{{Name: "a"}, {Name: "bb"}, {Name: "ccc"}, {Name: "dddd"}}}
	b := setOf(t, t.TempDir(), tax, Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini"}, s)
	f, err := Foresee(b.o, tax, b.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		want []int
		asks string
	}{{[]int{1, 3}, "bb,dddd"}, {[]int{1, 3}, ""}, {[]int{2, 3}, "ccc"}, {nil, "a"}, {[]int{0}, ""}} {
		before := len(s.asked)
		all := x.want
		if all == nil {
			all = []int{0, 1, 2, 3}
		}
		plan, err := f.Call(report(1), all)
		if n := len(strings.FieldsFunc(x.asks, func(r rune) bool { return r == ',' })); err != nil || plan.Findings != n {
			t.Errorf("%v: planned %+v, %v", x.want, plan, err)
		}
		labels, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), x.want})
		if err != nil || strings.Join(s.asked[before:], "|") != x.asks {
			t.Errorf("%v: asked %q, %v", x.want, s.asked[before:], err)
		}
		for i, l := range labels {
			if wanted := slices.Contains(all, i); wanted != (l.Source != "") || wanted && l.State != codes[codeOf(tax.Findings[i].Name)].State {
				t.Errorf("%v: label %d is %+v", x.want, i, l)
			}
		}
	}
	s.asked = nil
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			want := []int{i % 4, 3}[:1+i%4%3%2]
			if labels, err := b.Label(t.Context(), Call{"b", "s", "2", report(2 + i%5), want}); err != nil || labels[want[0]].Source == "" {
				t.Error(labels, err)
			}
		})
	}
	wg.Wait()
	if names := strings.Split(strings.Join(s.asked, ","), ","); len(names) != 5*4 {
		t.Errorf("%d findings asked for, 4 of 5 reports were wanted: %q", len(names), s.asked)
	}
}

// A run that goes on with one finding more asks for that alone, though the store is lost: its own book has the others.
func TestAddedFindingAfterALostStore(t *testing.T) {
	dir, s := t.TempDir(), &byName{}
	o := Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini"}
	tax := &taxonomy.Taxonomy{Findings: []taxonomy.Finding{{Name: "a"}, {Name: "bb"}}}
	for range 3 {
		b := setOf(t, dir, tax, o, s)
		labels, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil})
		if err != nil || len(labels) != len(tax.Findings) {
			t.Fatal(labels, err)
		}
		if c := b.cost(t); c.Calls != 1 || c.Attempts != int64(len(s.asked)) || c.Spent != c.Attempts*perAnswer || c.Saved != (ledger.Saved{}) {
			t.Errorf("%+v", c)
		}
		b.shut(t)
		os.Remove(filepath.Join(dir, "results.db")) // the key stays
		if len(tax.Findings) == 2 {
			tax = &taxonomy.Taxonomy{Findings: append([]taxonomy.Finding{{Name: "ccc"}}, tax.Findings...)}
		}
	}
	if fmt.Sprint(s.asked) != "[a,bb ccc]" {
		t.Errorf("asked %q", s.asked)
	}
}

// A call for few findings teaches nothing about the size of one for many.
func TestBoundsAreOfThePrompt(t *testing.T) {
	all := newPrompt(ctRate(t), nil, "m")
	one := newPrompt(ctRate(t), []int{3}, "m")
	if one.keys[0] != "d" || one.maxTokens >= all.maxTokens || one.bytes[strictSchema] >= all.bytes[strictSchema]/2 || !strings.Contains(one.system[strictSchema], "Pericardial effusion") {
		t.Errorf("%+v", one)
	}
	var m meter
	m.learn(one, strictSchema, one.bytes[strictSchema]+100, 300)
	if got, want := m.bound(all, strictSchema, all.bytes[strictSchema]+100, 100), int64(all.bytes[strictSchema]+100+overhead); got != want {
		t.Errorf("bound %d, want %d", got, want)
	}
	if got := m.bound(one, strictSchema, one.bytes[strictSchema]+100, 100); got != 300+100+overhead {
		t.Errorf("bound %d", got)
	}
}

// Of an answer that is right but for some findings the others are kept, and those alone are asked for again: each attempt
// is paid once and none is wasted. Where the model never gets one right the report is refused, and a further run asks for
// that one alone.
func TestOnlyFailingFindingsAreAskedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string // codes of the taxonomy's findings, in order, - for a missing one; the last one repeats
		asks    string   // keys, by request
		class   string
		again   string // keys that a second run asks for
		wasted  int64
	}{
		"all are right":                {[]string{"PNUB"}, "abcd", "", "", 0},
		"one has a wrong code":         {[]string{"PXUB", "PNUB"}, "abcd b", "", "", 0},
		"one is missing":               {[]string{"PN-B", "PNUB"}, "abcd c", "", "", 0},
		"two, then one":                {[]string{"XNUX", "PNUx", "PNUB"}, "abcd ad d", "", "", 0},
		"none is right, then all":      {[]string{"xxxx", "PNUB"}, "abcd abcd", "", "", 1},
		"one never gets a right code":  {[]string{"PNU?"}, "abcd d d d", "schema", "d", 3},
		"one stands twice":             {[]string{"PN+B", "PNUB"}, "abcd c", "", "", 0},
		"a key that nobody has wanted": {[]string{"PNUBN", "PNUB"}, "abcd abcd", "", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			tax := &taxonomy.Taxonomy{Findings: []taxonomy.Finding{{Name: "a"}, {Name: "bb"}, {Name: "ccc"}, {Name: "dddd"}}}
			s := &byTurn{answers: c.answers}
			dir, o := t.TempDir(), Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini"}
			b := setOf(t, dir, tax, o, s)
			labels, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil})
			var no Refusal
			if errors.As(err, &no); no.Class != c.class || c.class == "" && err != nil || strings.Join(s.asked, " ") != c.asks {
				t.Errorf("asked for %q, %v", s.asked, err)
			}
			for i, l := range labels {
				if l.State != codes["PNUB"[i:i+1]].State {
					t.Errorf("finding %d is %v", i, l)
				}
			}
			n := int64(len(s.asked))
			if got := b.cost(t); got.Attempts != n || got.Spent != n*perAnswer || got.Wasted != c.wasted*perAnswer || got.UnsettledMax != 0 {
				t.Errorf("%+v", got)
			}
			b.shut(t)
			os.Remove(filepath.Join(dir, "ledger.db")) // another run
			s = &byTurn{answers: []string{"PNUB"}}
			b = setOf(t, dir, tax, o, s)
			labels, err = b.Label(t.Context(), Call{"b", "s", "1", report(1), nil})
			if err != nil || labels[0].State != taxonomy.Present || labels[3].State != taxonomy.NotMentioned || strings.Join(s.asked, " ") != c.again {
				t.Errorf("again: asked for %q, %v", s.asked, err)
			}
			if got := b.cost(t); got.Saved.Store != min(1, n-c.wasted)*perAnswer && c.again != "" || got.Spent != int64(len(c.again))*perAnswer {
				t.Errorf("again: %+v", got)
			}
		})
	}
}

// byTurn answers what it is asked for by its next answer, and notes the keys.
type byTurn struct {
	answers, asked []string
}

func (s *byTurn) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	var in chatRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	keys := in.Format.JSON.Schema.Required
	codes := s.answers[min(len(s.asked), len(s.answers)-1)]
	s.asked = append(s.asked, strings.Join(keys, ""))
	var pairs []string
	if len(codes) > 4 {
		pairs = append(pairs, `"zz":"N"`)
	}
	for _, k := range keys {
		switch code := codes[k[0]-'a']; code {
		case '-':
		case '+':
			pairs = append(pairs, fmt.Sprintf("%q:%q", k, "P"), fmt.Sprintf("%q:%q", k, "N"))
		default:
			pairs = append(pairs, fmt.Sprintf("%q:%q", k, string(code)))
		}
	}
	return respond(r, 200, chat("{"+strings.Join(pairs, ",")+"}", "stop", "")), nil
}

// Whoever asks may use his list of findings for something else afterwards.
func TestAListOfFindingsIsTheCallers(t *testing.T) {
	tax := &taxonomy.Taxonomy{Findings: []taxonomy.Finding{{Name: "a"}, {Name: "bb"}, {Name: "ccc"}, {Name: "dddd"}}}
	b := setOf(t, t.TempDir(), tax, Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini"}, &byName{})
	for i := range 3 {
		list := []int{2}
		labels, err := b.Label(t.Context(), Call{Batch: "b", Step: "s", Study: fmt.Sprint(i), Report: report(i), Findings: list})
		if err != nil || labels[2].State != codes[codeOf("ccc")].State || labels[2].Source == "" {
			t.Fatalf("report %d: %+v, %v", i, labels, err)
		}
		list[0] = 0
	}
}
