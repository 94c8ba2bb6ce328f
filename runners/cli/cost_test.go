package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"silverbeam/pkg/html"
	"silverbeam/pkg/ledger"
)

// program runs the command in a folder of its own: the stripped one that SILVERBEAM_BIN names, else this test's.
type program struct {
	*testing.T
	bin, dir string
	env      []string
}

func newProgram(t *testing.T) program {
	t.Helper()
	p := program{t, os.Getenv("SILVERBEAM_BIN"), t.TempDir(), nil}
	p.env = append(os.Environ(), "XDG_STATE_HOME="+p.dir+"/state")
	if p.bin == "" {
		self, err := os.Executable()
		if err == nil {
			p.bin = filepath.Join(t.TempDir(), "silverbeam")
			err = os.Symlink(self, p.bin)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// run runs one command line, whose words have no blanks, and holds it to its exit code.
func (p program) run(want int, line string) (stdout, stderr string) {
	p.Helper()
	cmd := p.command(line)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
		p.Fatalf("silverbeam %s: %v, want exit code %d\n%s", line, err, want, errs.String())
	}
	return out.String(), errs.String()
}

func (p program) command(line string) *exec.Cmd {
	cmd := exec.Command(p.bin, strings.Fields(line)...)
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}

func (p program) path(name string) string { return filepath.Join(p.dir, name) }

func (p program) write(name, text string) {
	p.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
		p.Fatal(err)
	}
}

// contract is the object of `silverbeam cost RUN --json` as contracts/labels.md has it, n and x being numbers.
const contract = `{"currency":"USD","unit":"pico","calls":n,"attempts":n,"reports":n,"distinct_reports":n,
 "spent":n,"spent_usd":"0.123456789012","wasted":n,"unsettled_max":n,"saved":{"store":n,"dedupe":n,"rules":n,"batch_mode":n},
 "tokens":{"input":n,"cached":n,"cache_write":n,"output":n,"reasoning":n},"compute":{"cpu_seconds":x,"gpu_seconds":x},
 "by_model":[{"model":"..","calls":n,"spent":n}],"by_step":[{"step":"..","calls":n,"spent":n}],
 "batches":[{"id":"..","reports":n,"calls":n,"attempts":n,"spent":n,"wasted":n,
  "tokens":{"input":n,"cached":n,"cache_write":n,"output":n,"reasoning":n},"cpu_seconds":x}],
 "estimate":{"low":n,"expected":n,"high":n},"price_file":"sha256:.."}`

// cost reads `cost RUN --json`, and holds it to its contract: every key with its type, whole numbers, and sums that agree.
func (p program) cost(run string) *ledger.Cost {
	p.Helper()
	out, _ := p.run(0, "cost "+run+" --json")
	var want, got any
	for text, into := range map[string]any{strings.NewReplacer(":n", ":1", ":x", ":0.5").Replace(contract): &want, out: &got} {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(into); err != nil {
			p.Fatal(err)
		}
	}
	c := new(ledger.Cost)
	if err := json.Unmarshal([]byte(out), c); err != nil {
		p.Fatal(err)
	}
	if m, ok := got.(map[string]any); ok && m["distinct_reports"] == nil && c.Attempts == 0 {
		m["distinct_reports"] = json.Number("0") // null: nobody counted, as no model was to be asked
	}
	p.shaped("", want, got)
	var sum ledger.BatchCost
	for _, b := range c.Batches {
		sum.Reports, sum.Calls, sum.Attempts, sum.Spent, sum.Wasted = sum.Reports+b.Reports, sum.Calls+b.Calls, sum.Attempts+b.Attempts, sum.Spent+b.Spent, sum.Wasted+b.Wasted
		sum.UnsettledMax, sum.CPUSeconds, sum.GPUSeconds = sum.UnsettledMax+b.UnsettledMax, sum.CPUSeconds+b.CPUSeconds, sum.GPUSeconds+b.GPUSeconds
		t, s := b.Tokens, &sum.Tokens
		*s = ledger.Tokens{Input: s.Input + t.Input, Cached: s.Cached + t.Cached, CacheWrite: s.CacheWrite + t.CacheWrite, Output: s.Output + t.Output, Reasoning: s.Reasoning + t.Reasoning}
	}
	total := ledger.BatchCost{Reports: c.Reports, Calls: c.Calls, Attempts: c.Attempts, Spent: c.Spent, Wasted: c.Wasted, UnsettledMax: c.UnsettledMax, Tokens: c.Tokens,
		CPUSeconds: c.Compute.CPUSeconds, GPUSeconds: c.Compute.GPUSeconds}
	var models, steps int64
	for _, m := range c.ByModel {
		models += m.Spent
	}
	for _, s := range c.ByStep {
		steps += s.Spent
	}
	if sum != total || models != c.Spent || steps != c.Spent || c.SpentUSD != fmt.Sprintf("%d.%012d", c.Spent/1e12, c.Spent%1e12) {
		p.Errorf("%s: the parts do not sum to the whole:\n%s", run, out)
	}
	return c
}

// shaped says which keys of want are missing in got, or of another kind.
func (p program) shaped(at string, want, got any) {
	p.Helper()
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			p.Errorf("cost --json: %s is %v", at, got)
		}
		for k, v := range want {
			p.shaped(at+"."+k, v, m[k])
		}
	case []any:
		list, ok := got.([]any)
		for i, v := range list {
			p.shaped(fmt.Sprint(at, i), want[0], v)
		}
		if !ok {
			p.Errorf("cost --json: %s is no list", at)
		}
	case json.Number:
		n, ok := got.(json.Number)
		if whole := want.String() == "1"; !ok || whole && strings.ContainsAny(n.String(), ".eE") {
			p.Errorf("cost --json: %s is %v, want a number like %v", at, got, want)
		}
	case string:
		s, ok := got.(string)
		if fixed := !strings.ContainsAny(want, ".:"); !ok || fixed && s != want {
			p.Errorf("cost --json: %s is %v, want %q", at, got, want)
		}
	}
}

const twoReports = "id,report\n1,No pleural effusion. Cardiomegaly.\n2,Emphysema in both lungs.\n3,Emphysema in both lungs.\n"

func TestCostKeepsItsContract(t *testing.T) {
	p := newProgram(t)
	p.write("reports.csv", twoReports)
	p.write("prices.csv", ledger.PriceHeader+"\nown,tiny,2026-01-01,USD,0.40,0.10,,1.60,,,,,,,me,2026-01-01\n")
	p.run(0, "label reports reports.csv --out a.csv --run out/rules")
	if c := p.cost("out/rules"); c.Spent != 0 || c.Attempts != 0 || c.Reports != 3 {
		t.Errorf("%+v", c)
	}
	paid := "label reports reports.csv --out b.csv --endpoint fake://rules?seed=3&p429=0.3&pschema=0.3 --model tiny --prices prices.csv --batch-rows 1 --run out/"
	p.run(0, paid+"first")
	first := p.cost("out/first")
	if first.Calls != 2 || first.Reports != 3 || *first.DistinctReports != 2 || len(first.Batches) != 3 || first.Spent == 0 ||
		first.Spent != first.Tokens.Input*400_000+first.Tokens.Output*1_600_000 || first.Saved.Dedupe == 0 {
		t.Errorf("%+v", first)
	}
	if e := first.Estimate; e == nil || e.Low > first.Spent-first.Wasted || e.High < first.Spent-first.Wasted {
		t.Errorf("spent %d, wasted %d, planned %+v", first.Spent, first.Wasted, e)
	}
	_, said := p.run(0, paid+"second")
	second := p.cost("out/second")
	if second.Spent != 0 || second.Attempts != 0 || second.Saved.Store != first.Spent-first.Wasted || second.Saved.Dedupe != first.Saved.Dedupe {
		t.Errorf("the second run: %+v, the first: %+v", second, first)
	}
	if !strings.Contains(said, "saved by stored answers") {
		t.Error(said)
	}
}

// What is imported prices a run to the digit; what is left out stops one.
func TestImportedPricesPriceARun(t *testing.T) {
	p := newProgram(t)
	p.write("reports.csv", twoReports)
	p.write("list.json", `{"one/tiny": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 4e-07, "output_cost_per_token": 1.6e-06},
		"two/tiny": {"mode": "chat", "litellm_provider": "two", "input_cost_per_token": 5e-07, "output_cost_per_token": 1.6e-06},
		"one/free": {"mode": "chat", "litellm_provider": "one", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0}}`)
	prices, said := p.run(0, "cost --import-prices list.json --provider one")
	if said != "1 model with a price, 1 without:\n  1: a price of zero: one/free\n" {
		t.Error(said)
	}
	p.write("prices.csv", prices)
	line := "label reports reports.csv --out a.csv --endpoint fake://rules --prices prices.csv --run out/a --model "
	p.run(0, line+"tiny")
	if c := p.cost("out/a"); c.Spent == 0 || c.Spent != c.Tokens.Input*400_000+c.Tokens.Output*1_600_000 {
		t.Errorf("%+v", c)
	}
	p.run(3, "cost --import-prices list.json --provider three")
	p.run(3, "cost --import-prices prices.csv")
	p.run(2, "cost --import-prices list.json out/a")
}

// Two programs at once, each with reports of its own and then the same ones, one store in Postgres and a ledger there: each
// report is asked once. The server answers nobody before it has heard both.
func TestTwoProgramsShareAStore(t *testing.T) {
	server := os.Getenv("SILVERBEAM_POSTGRES")
	if server == "" {
		t.Skip("SILVERBEAM_POSTGRES names no server (make test-postgres)")
	}
	const own, shared = 40, 100 // more of its own than a program has under way
	var met [2]sync.Once
	var both sync.WaitGroup
	both.Add(2)
	v := &vendor{seen: make(chan struct{}, 1<<16), asked: map[int]int{}}
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for i := range met {
			if bytes.Contains(body, fmt.Appendf(nil, "of program %d ", i)) {
				met[i].Do(both.Done)
			}
		}
		both.Wait()
		r.Body = io.NopCloser(bytes.NewReader(body))
		v.ServeHTTP(w, r)
	}))
	t.Cleanup(gate.Close)
	p := newProgram(t)
	p.env = append(p.env, "XDG_STATE_HOME="+p.dir)
	p.write("prices.csv", vendorPrices)
	var programs [2]*exec.Cmd
	var said [2]strings.Builder
	for i := range programs {
		var b strings.Builder
		b.WriteString("id,report\n")
		for n := range own {
			fmt.Fprintf(&b, "own%d,Nodule of program %d and %d mm.\n", n, i, n+1)
		}
		for n := range shared {
			fmt.Fprintf(&b, "%d,No pleural effusion. A nodule of %d mm.\n", n, n+1)
		}
		p.write(fmt.Sprintf("reports%d.csv", i), b.String())
		programs[i] = p.command(fmt.Sprintf("label reports reports%d.csv --endpoint %s --in-flight 8 --model vendor-1 --prices prices.csv --store %s?schema=test_%d --out labels%d.csv --run out/%d",
			i, gate.URL, server, os.Getpid(), i, i))
		programs[i].Stderr = &said[i]
		if err := programs[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range programs {
		if err := c.Wait(); err != nil {
			t.Fatal(err, said[i].String())
		}
	}
	a, z := p.cost("out/0"), p.cost("out/1")
	requests, pico := v.bill()
	if requests != 2*own+shared || a.Calls+z.Calls != int64(requests) || a.Calls < own || z.Calls < own || a.Spent+z.Spent != pico || a.UnsettledMax+z.UnsettledMax != 0 {
		t.Errorf("%d requests, calls %d and %d, spent %d and %d, billed %d", requests, a.Calls, z.Calls, a.Spent, z.Spent, pico)
	}
	var labels [2][]string // of the shared reports
	for i := range labels {
		text, err := os.ReadFile(p.path(fmt.Sprintf("labels%d.csv", i)))
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if err != nil || len(lines) != 1+own+shared {
			t.Fatal(len(lines), err)
		}
		labels[i] = lines[1+own:]
	}
	if !slices.Equal(labels[0], labels[1]) {
		t.Error("their labels differ")
	}
	if _, err := os.Stat(p.path("out/0/ledger.db")); err == nil {
		t.Error("the ledger is a file")
	}
}

// The views of one run say the same: CSV, JSON, and a provider's export made from the CSV.
func TestViewsOfACost(t *testing.T) {
	p := newProgram(t)
	p.write("reports.csv", twoReports)
	p.write("prices.csv", ledger.PriceHeader+"\nown,tiny,2026-01-01,USD,0.40,0.10,,1.60,,,,,,,me,2026-01-01\n")
	p.run(0, "label reports reports.csv --out b.csv --endpoint fake://rules?seed=3&p429=0.3&pschema=0.3 --model tiny --prices prices.csv --batch-rows 1 --max-cost 0.5 --run out/a")
	c := p.cost("out/a")
	out, _ := p.run(0, "cost out/a --csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatal(out, err)
	}
	var spent, wasted, labels int64
	export := "day,model,input,output,cost\n"
	for _, r := range rows[1:] {
		a, err1 := ledger.ParseUSD(r[7])
		b, err2 := ledger.ParseUSD(r[8])
		n, err3 := strconv.ParseInt(r[6], 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		spent, wasted, labels = spent+a, wasted+b, labels+n
		export += strings.Join([]string{r[0], "fake-rules", r[10], r[13], r[7]}, ",") + "\n"
	}
	if spent != c.Spent || wasted != c.Wasted || labels != 2*18 {
		t.Errorf("spent %d and %d, wasted %d and %d, %d labels", spent, c.Spent, wasted, c.Wasted, labels)
	}
	text, _ := p.run(0, "cost out/a")
	left := html.Money(500_000_000_000 - c.Spent)
	for _, want := range []string{"budget     $0.50 = " + html.Money(c.Spent-c.Wasted) + " for labels + " + html.Money(c.Wasted) + " wasted + $0.00 reserved + " + left + " left\n", " per 1,000 reports, ", " per label\n", ", missed by "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	seen := "tiny"
	if _, said := p.run(0, "cost out/a --csv"); said != "" {
		t.Error(said)
	}
	p.write("usage.csv", strings.ReplaceAll(export, "fake-rules", seen))
	if _, said := p.run(0, "cost out/a --reconcile usage.csv"); said != "1 agree, 0 differences\n" {
		t.Error(said)
	}
	p.write("usage.csv", strings.Replace(strings.ReplaceAll(export, "fake-rules", seen), rows[1][7], "1", 1))
	if out, said := p.run(1, "cost out/a --reconcile usage.csv"); !strings.Contains(out, "tiny: cost: the export has $1.") || !strings.Contains(said, "0 agree, 1 difference\n") {
		t.Error(out, said)
	}
}

func TestPartsOfACost(t *testing.T) {
	for want, got := range map[string]string{"$0.50": per(1e12, 1, 2), "≈ $0.3333": per(1e12, 1, 3), "≈ $666.70": per(2e12, 1000, 3), "$0.00": per(0, 1, 3), "≈ $0.00": per(1, 1, 3), "≈ $0.00000001235": per(123456, 1, 10)} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
