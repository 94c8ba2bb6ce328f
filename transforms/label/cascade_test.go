package label

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"silverbeam/pkg/llm"
	"silverbeam/pkg/metrics"
	"silverbeam/pkg/phantom"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/student"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"
)

// told is a generated report and what its writer says of each finding: a code.
type told struct {
	text  string
	codes []string
}

// generated are n reports, half of them of a family of sentences that the rules were not tuned on.
func generated(t *testing.T, n int) []told {
	t.Helper()
	o := phantom.Options{Studies: n, Seed: 5, ValidFraction: 0.5}
	list, err := phantom.Draw(o)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]told, n)
	each(n, func(i int) {
		r, err := list[i].Report(o)
		if err != nil {
			t.Error(err)
		}
		all[i].text = r.Text()
		for _, s := range r.States {
			code := "B"
			if s != nil {
				code = map[int]string{1: "P", 0: "N", -1: "U"}[*s]
			}
			all[i].codes = append(all[i].codes, code)
		}
	})
	return all
}

func each(n int, do func(int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 8 * runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}

// reader is a model that knows what the reports' writers meant, but for a share of the findings: always the same ones.
type reader struct {
	wrong float64
	codes map[string][]string // by report
}

func (m *reader) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Messages []struct{ Content string }
		Format   struct {
			JSON struct {
				Schema struct{ Required []string }
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Messages) != 2 {
		http.Error(w, "{}", http.StatusBadRequest)
		return
	}
	lines := strings.Split(in.Messages[1].Content, "\n")
	report := strings.Join(lines[2:len(lines)-1], "\n")
	said := m.codes[report]
	if said == nil {
		http.Error(w, "{}", http.StatusBadRequest)
		return
	}
	var answer []string
	for _, k := range in.Format.JSON.Schema.Required {
		code := said[k[0]-'a']
		h := fnv.New64a()
		io.WriteString(h, report+k)
		if float64(h.Sum64()*0x9e3779b97f4a7c15>>11)/(1<<53) < m.wrong {
			code = map[string]string{"P": "N", "U": "N", "N": "P", "B": "P"}[code]
		}
		answer = append(answer, fmt.Sprintf("%q:%q", k, code))
	}
	tokens := (len(in.Messages[0].Content) + len(in.Messages[1].Content)) / 4
	fmt.Fprintf(w, `{"choices":[{"finish_reason":"stop","message":{"content":%q}}],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`,
		"{"+strings.Join(answer, ",")+"}", tokens, 4*len(answer)+2)
}

// doubting is a student that doubts more or less than its file says.
type doubting struct {
	studentLabeler
	from float64
}

func (d doubting) doubts(l taxonomy.Label) bool { return float64(min(l.P, 1-l.P)) >= d.from }

// counting notes how much of a labeler is asked for.
type counting struct {
	labeler
	calls, findings *atomic.Int64
}

func (c counting) label(ctx context.Context, batch string, s *schemas.Study, want []int) ([]taxonomy.Label, error) {
	answer, err := c.labeler.label(ctx, batch, s, want)
	c.calls.Add(1)
	if c.findings.Add(int64(len(want))); want == nil {
		c.findings.Add(int64(len(answer)))
	}
	return answer, err
}

// trials are ways of labelling the same reports, beside what their writers meant.
type trials struct {
	*testing.T
	tax     *taxonomy.Taxonomy
	reports []told
	server  *httptest.Server
}

// trial is what one way costs and gives.
type trial struct {
	findings float64 // share that the model was asked for
	f1       float64 // macro; uncertain counts as present
}

// run labels all reports, with a model, a ledger and a store of its own where the last labeler is nil, and prints a line.
func (x trials) run(name string, labelers ...labeler) (r trial) {
	run := schemas.Run{Dir: x.TempDir()}
	run.Store = filepath.Join(run.Dir, "results.db")
	var calls, findings, rejects atomic.Int64
	if last := len(labelers) - 1; labelers[last] == nil {
		client, err := batch.Client(Options{Endpoint: x.server.URL, Model: "gpt-4.1-mini"}.Client(run), x.tax, run)
		if err != nil {
			x.Fatal(err)
		}
		labelers[last] = counting{llmLabeler{Client: client, step: ReportsName}, &calls, &findings}
	}
	guess := make([][]int8, len(x.reports))
	each(len(x.reports), func(i int) {
		labels, _, err := cascade{labelers: labelers}.label(x.Context(), "b", &schemas.Study{ID: fmt.Sprint(i), Report: x.reports[i].text})
		if err != nil { // about another part of the body, say the rules of one in 100,000
			if rejects.Add(1) > int64(len(x.reports)/10_000) {
				x.Error(err)
			}
			return
		}
		for _, l := range labels {
			guess[i] = append(guess[i], metrics.Binary(l.State))
		}
	})
	var spent int64
	if calls.Load() > 0 {
		book, err := Book(run)
		if err != nil {
			x.Fatal(err)
		}
		cost, err := book.Cost()
		if err != nil {
			x.Fatal(err)
		}
		spent = cost.Spent
		if asked := int(cost.Calls); asked > int(calls.Load()) {
			x.Errorf("%d calls for %d reports", asked, calls.Load())
		}
	}
	if err := Close(); err != nil {
		x.Fatal(err)
	}
	r = trial{float64(findings.Load()) / float64(len(x.reports)*len(x.tax.Findings)), x.f1(guess)}
	x.Logf("%-20s %9.1f%% %9.2f%% %12.4f %8.4f", name, 100*float64(calls.Load())/float64(len(x.reports)), 100*r.findings,
		float64(spent)/1e12*1000/float64(len(x.reports)), r.f1)
	return r
}

func (x trials) f1(guess [][]int8) float64 {
	sum := 0.0
	for f := range x.tax.Findings {
		var c metrics.Confusion
		for i, r := range x.reports {
			if guess[i] != nil {
				c.Add(r.codes[f] == "P" || r.codes[f] == "U", guess[i][f] == 1)
			}
		}
		sum += *c.Rates().F1
	}
	return sum / float64(len(x.tax.Findings))
}

// Asking a model for the doubted findings alone gives the F1 of asking it for all: with findings that the rules know, whose
// doubts it settles; and with a site's own names for them, of which the rules know nothing, and a student learns from some
// reports that the model has labelled: from 1,000, not from 150. SILVERBEAM_CASCADE sets how many reports.
func TestACascadeAsksForFewFindings(t *testing.T) {
	n, toLearn, doubts := 150, 150, []float64{0.4, 0.1}
	if s := os.Getenv("SILVERBEAM_CASCADE"); s != "" {
		n, _ = strconv.Atoi(s)
		toLearn, doubts = min(n/2, 1000), []float64{0.4, 0.3, 0.2, 0.1, 0.05}
	}
	large := n >= 5000
	reports := generated(t, toLearn+n)
	model := &reader{wrong: 0.01, codes: map[string][]string{}}
	for _, r := range reports {
		model.codes[r.text] = r.codes
	}
	server := httptest.NewServer(model)
	defer server.Close()
	known, err := taxonomy.Load("")
	if err != nil {
		t.Fatal(err)
	}
	own := &taxonomy.Taxonomy{Name: "own"}
	for i, f := range known.Findings {
		own.Findings = append(own.Findings, taxonomy.Finding{Name: fmt.Sprint("Code Q", i), Definition: f.Name, Organ: f.Organ})
	}
	t.Logf("%d reports; the model errs on %g %% of the findings", n, 100*model.wrong)
	t.Logf("%-20s %10s %10s %12s %8s", "labelers", "reports", "findings", "$ per 1,000", "macro F1")
	x := trials{t, known, reports[toLearn:], server}
	l := x.openRules()
	x.run("rules", l)
	some, all := x.run("rules,llm", l, nil), x.run("llm", nil)
	if some.findings > 0.1 || some.f1 < all.f1-0.002 {
		t.Errorf("the rules' cascade: %+v, all: %+v", some, all)
	}
	x.tax = own
	l = x.openRules()
	s := x.learn(l, reports[:toLearn])
	x.run("own: rules", l)
	alone, best := x.run("own: student", s), trial{}
	for _, from := range doubts {
		if r := x.run(fmt.Sprintf("own: student %g,llm", from), doubting{s, from}, nil); r.findings <= 0.1 && r.f1 > best.f1 {
			best = r
		}
	}
	if all := x.run("own: llm", nil); large && best.f1 < all.f1-0.002 || best.f1 <= alone.f1 {
		t.Errorf("the student's cascade: %+v, alone %+v, all: %+v", best, alone, all)
	}
}

func (x trials) openRules() ruleLabeler {
	l, err := rules.New(x.tax, rules.Options{})
	if err != nil {
		x.Fatal(err)
	}
	return ruleLabeler{Labeler: l}
}

// learn fits a student to what the model says of some reports, errors included.
func (x trials) learn(l ruleLabeler, reports []told) studentLabeler {
	run := schemas.Run{Dir: x.TempDir()}
	run.Store = filepath.Join(run.Dir, "results.db")
	client, err := batch.Client(Options{Endpoint: x.server.URL, Model: "gpt-4.1-mini"}.Client(run), x.tax, run)
	if err != nil {
		x.Fatal(err)
	}
	labelled := make([]student.Report, len(reports))
	each(len(reports), func(i int) {
		labels, err := client.Label(x.Context(), llm.Call{Batch: "b", Step: ReportsName, Study: fmt.Sprint(i), Report: reports[i].text})
		if err != nil {
			x.Error(err)
			return
		}
		labelled[i] = student.Report{ID: fmt.Sprint(i), Text: reports[i].text}
		for _, y := range labels {
			labelled[i].Truth = append(labelled[i].Truth, metrics.Binary(y.State))
		}
	})
	if err := Close(); err != nil {
		x.Fatal(err)
	}
	s, _, err := student.Fit(x.tax, l.Labeler, labelled, student.Options{Folds: 3, Seed: 1})
	if err != nil {
		x.Fatal(err)
	}
	return studentLabeler{s}
}
