package cli

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"silverbeam/pipelines"
	"silverbeam/pkg/ledger"
)

// These tests run the program against OpenAI-compatible servers that nobody here wrote, at the addresses in
// SILVERBEAM_AIMOCK and so on: `make test-servers` starts them. aimock's answers are written down beforehand and name all
// findings, so a cascade, which asks for some, is tried on llmock alone. What the ledger says is held against the
// servers' own records, and against a bill that a proxy between writes from the answers alone.

const secretKey = "sk-Numbat0123456789"

func server(t *testing.T, variable string) string {
	t.Helper()
	at := os.Getenv(variable)
	if at == "" {
		t.Skip(variable + " names no server")
	}
	return at
}

// studies writes phantoms, and gives the report tables that are in them.
func (p program) studies(n int) []string {
	p.Helper()
	p.run(0, fmt.Sprintf("phantom --studies %d --seed 5 --size 32 --out data", n))
	tables, err := filepath.Glob(p.path("data/dataset/radiology_text_reports/*.csv"))
	if err != nil || len(tables) != 2 {
		p.Fatal(tables, err)
	}
	return tables
}

// reports gives the texts of a table, in its order, and how many differ.
func (p program) reports(table string) (texts []string, distinct int) {
	p.Helper()
	seen := map[string]bool{}
	for _, r := range p.csv(table)[1:] {
		text := words(strings.ReplaceAll(r[3]+" "+r[4], "Not given.", ""))
		texts, seen[text] = append(texts, text), true
	}
	return texts, len(seen)
}

func (p program) csv(path string) [][]string {
	p.Helper()
	f, err := os.Open(path)
	if err != nil {
		p.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		p.Fatal(err)
	}
	return rows
}

// ledger opens a run's: its file, or the schema of a Postgres that a note in its place names.
func (p program) ledger(run string) *sql.DB {
	p.Helper()
	driver, at := "sqlite", "file:"+p.path(run+"/ledger.db")+"?mode=ro"
	if note, err := os.ReadFile(p.path(run + "/ledger.db.url")); err == nil {
		driver, at = "pgx", strings.Replace(strings.TrimSpace(string(note)), "schema=", "search_path=", 1)
	}
	db, err := sql.Open(driver, at)
	if err != nil {
		p.Fatal(err)
	}
	return db
}

// ask gives the one row of a question to a run's ledger.
func (p program) ask(run, query string, into ...any) {
	p.Helper()
	db := p.ledger(run)
	defer db.Close()
	if err := db.QueryRow(query).Scan(into...); err != nil {
		p.Fatal(err)
	}
}

// rows is what the ledger's rows sum to.
func (p program) rows(run string) (b bill) {
	p.Helper()
	p.ask(run, `SELECT count(*), sum(input), total(cached), sum(output), total(reasoning), sum(cost) FROM attempts WHERE outcome<>'unsent'`,
		&b.requests, &b.input, &b.cached, &b.output, &b.reasoning, &b.pico)
	return b
}

// served labels some 200 reports through a server, again and again, and compares the books.
func (p program) served(w *witness, seen func() int64) {
	table := p.studies(250)[0]
	texts, distinct := p.reports(table)
	line := func(run string) string {
		return "label reports " + table + " --id-column VolumeName --text-columns Findings_EN,Impressions_EN --batch-rows 100 --in-flight 12 --deadline 1m --key-env SERVED_KEY" +
			" --endpoint " + w.URL + "/v1 --model gpt-4.1-mini --store store.db --out " + run + ".csv --run " + run
	}
	_, said := p.run(0, line("first"))
	c, sent := p.cost("first"), w.sum()
	p.Logf("%d reports, %d distinct: %+v, wasted %d, unsettled %d, planned %+v\n%s", len(texts), distinct, billed(c), c.Wasted, c.UnsettledMax, *c.Estimate, said)
	if billed(c) != sent || seen() != sent.requests {
		p.Errorf("ledger %+v, witness %+v, the server saw %d requests", billed(c), sent, seen())
	}
	if rows := p.rows("first"); rows != sent {
		p.Errorf("rows sum to %+v, witness %+v", rows, sent)
	}
	if c.Calls != int64(distinct) || c.Reports != int64(len(texts)) || *c.DistinctReports != int64(distinct) || c.Attempts <= c.Calls || len(c.Batches) != (len(texts)+99)/100 {
		p.Errorf("calls %d, reports %d, attempts %d, %d batches", c.Calls, c.Reports, c.Attempts, len(c.Batches))
	}
	if c.Spent < c.Estimate.Low || c.Spent > c.Estimate.High || !strings.Contains(said, "planned $") {
		p.Errorf("spent %d, planned %+v", c.Spent, *c.Estimate)
	}
	if w.most > 12 || len(w.keys) != 1 || !w.keys["Bearer "+secretKey] {
		p.Errorf("%d calls at once, the key was sent in %d ways", w.most, len(w.keys))
	}
	p.labelled("first.csv", texts, w.answers)

	for _, again := range []string{"first", "second"} { // the same folder, and one that knows nothing
		p.run(0, line(again))
	}
	p.run(0, line("replay")+" --replay")
	p.run(4, strings.Replace(line("replay"), "store.db", "empty.db", 1)+"2 --replay")
	if w.sum() != sent || seen() != sent.requests {
		p.Errorf("second runs sent %d requests", w.sum().requests-sent.requests)
	}
	if s := p.cost("second"); s.Attempts != 0 || s.Spent != 0 || s.Saved.Store != c.Spent-c.Wasted || s.Saved.Dedupe != c.Saved.Dedupe {
		p.Errorf("saved %+v by a second run, the first spent %d, %d of it wasted, and saved %+v", s.Saved, c.Spent, c.Wasted, c.Saved)
	}
	for _, copy := range []string{"second.csv", "replay.csv"} {
		if a, b := p.csv(p.path("first.csv")), p.csv(p.path(copy)); fmt.Sprint(a) != fmt.Sprint(b) {
			p.Errorf("%s is not what the first run wrote", copy)
		}
	}
	p.capped(strings.Replace(line("capped"), "store.db", "own.db", 1), w, c.Spent)
	if seen() != w.sum().requests {
		p.Errorf("the server saw %d requests, the witness %d", seen(), w.sum().requests)
	}
	p.private(said, texts)
}

// capped runs into a budget twice, and then to the end.
func (p program) capped(line string, w *witness, price int64) {
	p.Helper()
	before := w.sum().pico
	for _, part := range []int64{3, 2} {
		_, said := p.run(4, line+" --max-cost "+ledger.USD(price/part))
		c, sent := p.cost("capped"), w.sum().pico-before
		if c.Spent != sent || c.Spent+c.UnsettledMax > price/part || c.Spent == 0 || !strings.Contains(said, "budget reached") || !strings.Contains(said, "next: ") {
			p.Errorf("cap %d: spent %d, unsettled %d, billed %d\n%s", price/part, c.Spent, c.UnsettledMax, sent, said)
		}
		time.Sleep(2 * time.Second) // a Retry-After that it was told outlives the process
	}
	p.run(0, line+" --max-cost 100")
	if c := p.cost("capped"); c.Spent != w.sum().pico-before || c.Spent < c.Estimate.Low || c.Spent > c.Estimate.High {
		p.Errorf("spent %d, billed %d, planned %+v", c.Spent, w.sum().pico-before, *c.Estimate)
	}
}

// labelled holds a table of labels to the answers that the server gave.
func (p program) labelled(table string, texts []string, answers map[string]string) {
	p.Helper()
	rows := p.csv(p.path(table))
	if len(rows) != len(texts)+1 {
		p.Fatalf("%s has %d rows for %d reports", table, len(rows)-1, len(texts))
	}
	cell := map[string]string{"P": "1", "N": "0", "U": "-1", "B": ""}
	for i, row := range rows[1:] {
		var codes map[string]string
		if err := json.Unmarshal([]byte(answers[texts[i]]), &codes); err != nil || len(codes) != len(row)-1 {
			p.Fatalf("row %d: its answer has %d codes: %v", i, len(codes), err)
		}
		for k, got := range row[1:] {
			if want := cell[codes[string(rune('a'+k))]]; got != want {
				p.Fatalf("row %d, finding %d: %q, the server said %q", i, k, got, want)
			}
		}
	}
}

// private looks for the key and for report text in all that the runs wrote, except the tables that were to hold none.
func (p program) private(said string, texts []string) {
	p.Helper()
	files := 0
	err := filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, p.path("data")) {
			return err
		}
		text, err := os.ReadFile(path)
		files++
		if bytes.Contains(text, []byte("Numbat")) {
			p.Errorf("%s holds the key", path)
		}
		for _, r := range texts {
			if bytes.Contains(text, []byte(r[:40])) {
				p.Errorf("%s holds report text", path)
				break
			}
		}
		return err
	})
	if err != nil || files < 10 || strings.Contains(said, "Numbat") {
		p.Errorf("%d files: %v", files, err)
	}
}

// chain runs the demo's own file, without its trainings: the rules first, the model where they doubt. The process is
// killed on its way.
func (p program) chain(w *witness, seen func() int64) {
	source, err := pipelines.Source("demo")
	if err != nil {
		p.Fatal(err)
	}
	var kept []string
	for l := range strings.Lines(string(source)) {
		if model := strings.Contains(l, "train.") || strings.Contains(l, "evaluate.") && !strings.Contains(l, "evaluate.Labels"); !model {
			kept = append(kept, l)
		}
	}
	p.write("demo.yaml", strings.Join(kept, ""))
	doubted := p.doubted()
	set := " --set data=data --set endpoint=" + w.URL + "/v1 --set model=gpt-4.1-mini --set key_env=SERVED_KEY --store chain.db"
	var plan struct {
		Calls  int64
		Tokens struct{ Input, Output pipelines.Guess }
	}
	for _, file := range []string{"demo", "demo.yaml"} {
		out, _ := p.run(0, "plan "+file+set+" --json")
		if err := json.Unmarshal([]byte(out), &plan); err != nil || plan.Calls != doubted || doubted == 0 {
			p.Fatalf("%s: %d calls are planned, the rules doubt %d reports: %v", file, plan.Calls, doubted, err)
		}
	}
	before, seenBefore := w.sum(), seen()
	cmd := p.command("run demo.yaml" + set + " --run chain")
	w.mu.Lock()
	w.arrived = func() {
		if w.bill.requests == before.requests+40 {
			cmd.Process.Kill()
		}
	}
	w.mu.Unlock()
	if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != -1 {
		p.Fatalf("the run was to be killed: %v", err)
	}
	time.Sleep(2 * time.Second) // a Retry-After that it was told outlives the process
	_, said := p.run(0, "run demo.yaml"+set+" --run chain")
	c, after, saw := p.cost("chain"), w.sum(), seen()-seenBefore
	sent, cost := after.requests-before.requests, after.pico-before.pico
	p.Logf("%d reports doubted: %+v, %d requests at %d, %d seen, unsettled %d, saved %+v\n%s", doubted, billed(c), sent, cost, saw, c.UnsettledMax, c.Saved, said)
	// What was in flight at the kill may not have been sent, or not have been passed on.
	if c.Calls != doubted || sent > c.Attempts || sent < c.Attempts-32 || saw > sent || saw < sent-32 || c.Spent > cost || c.Spent+c.UnsettledMax < cost || c.Saved.Rules == 0 {
		p.Errorf("calls %d, attempts %d, spent %d, unsettled %d", c.Calls, c.Attempts, c.Spent, c.UnsettledMax)
	}
	var n, twice, in, out int64
	p.ask("chain", `SELECT count(*), count(*)-count(DISTINCT identity), sum(input), sum(output) FROM attempts WHERE outcome='answered'`, &n, &twice, &in, &out)
	plan.Tokens.Output.Low /= 2 // it takes four letters for a token: an answer of one code is fewer than a model's tokenizer makes of it
	within := func(n int64, g pipelines.Guess) bool { return g.Low <= float64(n) && float64(n) <= g.High }
	if n != doubted || twice != 0 || !within(in, plan.Tokens.Input) || !within(out, plan.Tokens.Output) {
		p.Errorf("%d answers of %d and %d tokens, %d of them twice; the plan said %+v", n, in, out, twice, plan)
	}
	p.run(0, "run demo.yaml"+set+" --run chain")
	p.run(0, "run demo.yaml"+set+" --run again")
	if w.sum() != after || seen()-seenBefore != saw {
		p.Errorf("second runs sent something: %+v after %+v", w.sum(), after)
	}
	if a, b := p.digest("chain"), p.digest("again"); a != b || len(a) != 64 {
		p.Errorf("manifest digests %q and %q", a, b)
	}
}

// doubted counts the reports of which the rules leave a finding uncertain.
func (p program) doubted() int64 {
	p.Helper()
	seen := map[string]bool{}
	tables, _ := filepath.Glob(p.path("data/dataset/radiology_text_reports/*.csv"))
	for _, table := range tables {
		texts, _ := p.reports(table)
		p.run(0, "label reports "+table+" --id-column VolumeName --text-columns Findings_EN,Impressions_EN --out rules.csv --run rules")
		for i, row := range p.csv(p.path("rules.csv"))[1:] {
			if slices.Contains(row, "-1") {
				seen[texts[i]] = true
			}
		}
	}
	return int64(len(seen))
}

func (p program) digest(run string) string {
	var m struct{ Digest string }
	if text, err := os.ReadFile(p.path(run + "/dataset/manifest.json")); err != nil || json.Unmarshal(text, &m) != nil {
		p.Fatal(run, err)
	}
	return m.Digest
}

func TestProgramAgainstAIMock(t *testing.T) {
	s := aimock{server(t, "SILVERBEAM_AIMOCK")}
	t.Parallel()
	answers, err := os.ReadFile("../../pkg/llm/testdata/aimock.json")
	if err != nil {
		t.Fatal(err)
	}
	s.ready(t, string(answers), `{"rateLimitRate":0.05,"dropRate":0.04,"malformedRate":0.03,"disconnectRate":0.03}`)
	p, w := newProgram(t), newWitness(t, s.url+"/api") // the path under which it tells cached tokens
	p.env = append(p.env, "SERVED_KEY="+secretKey)
	p.served(w, func() int64 { return s.seen(t) })
	if b := s.bill(t); b != w.sum() {
		t.Errorf("aimock's journal %+v, witness %+v", b, w.sum())
	}

	// A server that knows no answer formats is asked for one line of codes.
	refusal := `{"match":{"responseFormat":"json_%s"},"response":{"error":{"message":"response_format is not supported","type":"invalid_request_error"},"status":400}}`
	s.ready(t, fmt.Sprintf(`{"fixtures":[`+refusal+`,`+refusal+`,{"match":{"userMessage":"Report"},"response":{"content":%q}}]}`, "schema", "object",
		"a=P b=N c=U d=B e=P f=N g=U h=B i=P j=N k=U l=B m=P n=N o=U p=B q=P r=N"), `{}`)
	p.write("two.csv", twoReports)
	p.run(0, "label reports two.csv --out two.out.csv --run two --in-flight 1 --model gpt-4.1-mini --endpoint "+s.url+"/v1")
	if got := fmt.Sprint(p.csv(p.path("two.out.csv"))[2]); got != "[2 1 0 -1  1 0 -1  1 0 -1  1 0 -1  1 0]" {
		t.Error(got)
	}
	if c := p.cost("two"); c.Calls != 2 || c.Attempts != 4 || s.seen(t) != 4 || c.Spent == 0 || c.Wasted != 0 {
		t.Errorf("%+v", c)
	}
}

func TestProgramAgainstLLMock(t *testing.T) {
	s := llmock{server(t, "SILVERBEAM_LLMOCK")}
	t.Parallel()
	s.ready(t)
	p, w := newProgram(t), newWitness(t, s.url)
	p.env = append(p.env, "SERVED_KEY="+secretKey)
	p.served(w, func() int64 { return s.seen(t) })
	s.verdict(t)
	s.ready(t)
	w = newWitness(t, s.url)
	p.chain(w, func() int64 { return s.seen(t) })
	s.verdict(t)

	// A wrong key, and an empty account: one request, and the same command goes on.
	s.ready(t)
	p.write("two.csv", twoReports)
	line := "label reports two.csv --out two.out.csv --run two --in-flight 1 --model gpt-4.1-mini --endpoint " + s.url + "/v1 --key-env SERVED_KEY"
	for i, refusal := range []string{`{"type":"fail","status":401}`, `{"type":"fail","status":429,"code":"insufficient_quota","retry_after":1}`} {
		var ignored any
		call(t, "POST", s.url+"/_llmock/scenario", `{"behaviors":[`+refusal+`]}`, &ignored)
		_, said := p.run(5, line)
		if s.seen(t) != int64(i+1) || !strings.Contains(said, "the provider refuses the call: 127.0.0.1") || !strings.Contains(said, "next: ") {
			t.Errorf("%d requests\n%s", s.seen(t), said)
		}
	}
	p.run(0, line)
	if c := p.cost("two"); c.Calls != 2 || c.Attempts != s.seen(t) {
		t.Errorf("%+v", c)
	}
}

const threeFindings = `name: three
findings:
  - {finding: Cardiomegaly, definition: The heart is enlarged.}
  - {finding: Pleural effusion, definition: Fluid in the pleural space.}
  - {finding: Lung nodule, definition: A nodule in a lung.}
`

// A real model, behind llama.cpp, which makes it keep to our schema. It is too small to read reports, and says so in
// tokens: what it said of each report is the label, and its own tokenizer counts the prompts as our ledger does.
func TestProgramAgainstLlama(t *testing.T) {
	at := server(t, "SILVERBEAM_LLAMA")
	t.Parallel()
	p, w := newProgram(t), newWitness(t, at)
	p.write("three.yaml", threeFindings)
	texts := []string{"The heart is enlarged.", "No pleural effusion.", "Nodule of 5 mm in the left upper lobe.", "The heart is enlarged.", "Normal chest."}
	var table strings.Builder
	table.WriteString("id,report\n")
	for i, text := range texts {
		fmt.Fprintf(&table, "%d,%s\n", i, text)
	}
	p.write("in.csv", table.String())
	line := "label reports in.csv --findings three.yaml --in-flight 2 --timeout 4m --model gpt-4.1-mini --store store.db --endpoint " + w.URL + " --out "
	p.run(0, line+"out.csv --run first")
	c, sent := p.cost("first"), w.sum()
	t.Logf("%+v", sent)
	if billed(c) != sent || c.Calls != 4 || c.Attempts != 4 || sent.cached == 0 || sent.output < 4*7 {
		t.Errorf("ledger %+v, witness %+v", billed(c), sent)
	}
	p.labelled("out.csv", texts, w.answers)
	tokens := 0
	for text, body := range w.bodies {
		tokens += len(tokensOf(t, at, body))
		p.weighed(line, at, text, body, w.said[text])
	}
	if int64(tokens) != c.Tokens.Input {
		t.Errorf("its tokenizer makes %d tokens of the prompts, the ledger has %d", tokens, c.Tokens.Input)
	}
	p.run(0, line+"again.csv --run second")
	if w.sum() != sent {
		t.Error("a second run sent something")
	}
	if a, b := p.csv(p.path("out.csv")), p.csv(p.path("again.csv")); fmt.Sprint(a) != fmt.Sprint(b) {
		t.Error("a second run has other labels")
	}
}

// weighed holds the probabilities of one report's labels to those of the model's next token, of llama.cpp's own completions
// without any schema, where the answer stops before each code.
func (p program) weighed(line, at, text string, body, reply []byte) {
	p.Helper()
	var said struct {
		Choices []struct {
			Message  struct{ Content string }
			LogProbs struct {
				Content []struct {
					ID    int
					Token string
				}
			}
		}
	}
	if err := json.Unmarshal(reply, &said); err != nil {
		p.Fatal(err)
	}
	answer, all := said.Choices[0].Message.Content, ""
	var ids, ends []int // of its tokens
	for _, t := range said.Choices[0].LogProbs.Content {
		all += t.Token
		ids, ends = append(ids, t.ID), append(ends, len(all))
	}
	p.write("one.csv", "id,report\n1,"+text+"\n")
	p.run(0, strings.Replace(line, "in.csv", "one.csv", 1)+"p.csv --as probability --replay --run replay-"+fmt.Sprint(len(text)))
	cells := p.csv(p.path("p.csv"))[1][1:]
	prompt := tokensOf(p.T, at, body)
	for i, cell := range cells {
		key := string(rune('a' + i))
		before := answer[:strings.Index(answer, `"`+key+`"`)+3]
		before += answer[len(before) : len(before)+strings.Index(answer[len(before):], `"`)+1]
		first, exactly := slices.BinarySearch(ends, strings.Index(all, answer)+len(before)) // the code's token, after that one
		if !exactly {
			p.Fatalf("a code does not begin a token in %q", all)
		}
		ask, err := json.Marshal(map[string]any{"prompt": slices.Concat(prompt, ids[:first+1]), "n_predict": 1, "n_probs": 5000, "temperature": 0})
		if err != nil {
			p.Fatal(err)
		}
		var got struct {
			Tokens []struct {
				Top []struct {
					Token   string
					LogProb float64
				} `json:"top_logprobs"`
			} `json:"completion_probabilities"`
		}
		call(p.T, "POST", at+"/completion", string(ask), &got)
		mass, fifth := map[string]float64{}, math.Exp(got.Tokens[0].Top[4].LogProb)
		for _, a := range got.Tokens[0].Top {
			mass[a.Token] = math.Exp(a.LogProb)
		}
		low, high := 1.0, 0.0
		own := mass[answer[len(before):len(before)+1]]
		for way := range 81 { // each other code that may be beyond the five: as it is, nothing, or half a bound
			sum, present, n := 0.0, 0.0, way
			for _, code := range []string{"P", "N", "U", "B"} {
				m := mass[code]
				if n%3 > 0 && m < 2*fifth && code != answer[len(before):len(before)+1] {
					m = float64(n%3-1) * min(fifth, own) / 2
				}
				n /= 3
				sum += m
				present += m * map[string]float64{"P": 1, "U": 0.5}[code]
			}
			low, high = min(low, present/sum), max(high, present/sum)
		}
		n, err := strconv.ParseFloat(cell, 64)
		const drift = 0.1 // of one prompt read at once, and read and written token by token, by a model of four bits
		if err != nil || n < low-drift || n > high+drift {
			p.Errorf("%s of %q: %s, by the model's own tokens %.3f to %.3f", key, answer, cell, low, high)
		}
	}
}

// tokensOf is what llama.cpp makes of a request's messages.
func tokensOf(t *testing.T, at string, body []byte) []int {
	t.Helper()
	var prompt struct {
		Prompt  string `json:"prompt"`
		Content string `json:"content"` // where tokenize expects it
		Special bool   `json:"add_special"`
	}
	call(t, "POST", at+"/apply-template", string(body), &prompt)
	prompt.Content, prompt.Special = prompt.Prompt, true
	text, err := json.Marshal(prompt)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Tokens []int }
	call(t, "POST", at+"/tokenize", string(text), &got)
	return got.Tokens
}
