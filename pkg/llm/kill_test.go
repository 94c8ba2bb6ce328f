package llm

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/taxonomy"
)

// SILVERBEAM_KILLS sets how often the child is killed.
var (
	killed      = cmp.Or(atoi(os.Getenv("SILVERBEAM_KILLS")), 10)
	killReports = 16 * killed
)

const killInFlight = 8

// atoi is 0 for what is no number.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// child labels the reports against the endpoint that its parent names, and is killed while it does.
func child() bool {
	dir, endpoint := os.Getenv("SILVERBEAM_KILL_DIR"), os.Getenv("SILVERBEAM_KILL_ENDPOINT")
	if dir == "" {
		return false
	}
	c, closed := openChild(dir, Options{Endpoint: endpoint, Model: "gpt-4.1-mini", InFlight: killInFlight})
	var wg sync.WaitGroup
	turn := make(chan int)
	for range killInFlight {
		wg.Go(func() {
			for i := range turn {
				labels, err := c.Label(context.Background(), Call{Batch: fmt.Sprint("b", i/40), Step: "label.Reports", Study: fmt.Sprint("s", i), Report: report(i)})
				must(err)
				if labels[0].State != servedState(report(i)) {
					must(fmt.Errorf("report %d has the labels of another", i))
				}
			}
		})
	}
	for i := range killReports {
		turn <- i
	}
	close(turn)
	wg.Wait()
	closed()
	os.Exit(0)
	return true
}

// must ends a child that failed.
func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// openChild opens a child's client on the ledger and the store of a folder, and says how it is closed.
func openChild(dir string, o Options) (c *Client, closed func()) {
	book, err := ledger.OpenBook(filepath.Join(dir, "ledger.db"))
	must(err)
	store, err := ledger.OpenStore(filepath.Join(dir, "results.db"))
	must(err)
	tax, err := taxonomy.Load("ctrate-18")
	must(err)
	c, err = Open(o, tax, book, store)
	must(err)
	return c, func() {
		must(c.Close())
		must(store.Close())
		must(book.Close())
	}
}

// servedState is what the server says of the first finding.
func servedState(report string) taxonomy.State {
	return []taxonomy.State{taxonomy.Present, taxonomy.Absent, taxonomy.Uncertain, taxonomy.NotMentioned}[len(report)%4]
}

// counter is a server that keeps its own accounts, by request id.
type counter struct {
	keys []string
	mu   sync.Mutex
	n    int
	got  map[string]served // by request id
	seen chan struct{}     // one signal a request
}

type served struct {
	report     string
	generation int // of the child that sent it: what a killed one has sent may be read when the next one runs
	status     int
	input, out int64
}

func (s *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in chatRequest
	body, _ := io.ReadAll(r.Body)
	if json.Unmarshal(body, &in) != nil || len(in.Messages) != 2 {
		http.Error(w, "{}", http.StatusBadRequest)
		return
	}
	report, generation := fenced(in.Messages[1].Content), atoi(strings.Split(r.URL.Path, "/")[1])
	s.mu.Lock()
	s.n++
	id, n := fmt.Sprint("r", s.n), s.n
	a := served{report: report, generation: generation, status: 200, input: int64(len(report)), out: int64(n % 7)}
	switch {
	case n%19 == 0:
		a = served{report: report, generation: generation, status: 429}
	case n%23 == 0:
		a = served{report: report, generation: generation, status: 500}
	}
	s.got[id] = a
	s.mu.Unlock()
	s.seen <- struct{}{}
	time.Sleep(time.Duration(2+n%13) * time.Millisecond)
	w.Header().Set("X-Request-Id", id)
	if a.status != 200 {
		w.Header().Set("Retry-After-Ms", "5")
		w.WriteHeader(a.status)
		io.WriteString(w, `{"error":{"message":"no"}}`)
		return
	}
	answer := map[string]string{}
	for _, k := range s.keys {
		for code, l := range codes {
			if l.State == servedState(report) {
				answer[k] = code
			}
		}
	}
	content, _ := json.Marshal(answer)
	json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"finish_reason": "stop", "message": map[string]any{"content": string(content)}}},
		"usage": map[string]any{"prompt_tokens": a.input, "completion_tokens": a.out}})
}

// A process is killed with SIGKILL while it labels, again and again. In the end every report is answered, nothing that
// was booked was paid twice, and what was lost is no more than what was in flight at each kill.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	s := &counter{keys: newPrompt(ctRate(t), nil, "").keys, got: map[string]served{}, seen: make(chan struct{}, 1<<16)}
	server := httptest.NewServer(s)
	defer server.Close()
	rng := rand.New(rand.NewPCG(7, 7))
	kills := 0
	for {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "SILVERBEAM_KILL_DIR="+dir, fmt.Sprintf("SILVERBEAM_KILL_ENDPOINT=%s/%d/v1", server.URL, kills))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		after := 1 + rng.IntN(32)
		if kills == killed {
			after = 1 << 30
		}
		var err error
		alive := true
		for range after {
			select {
			case <-s.seen:
				continue
			case err = <-ended:
				alive = false
			}
			break
		}
		if !alive {
			if err != nil {
				t.Fatal("the child failed: ", err)
			}
			break
		}
		time.Sleep(time.Duration(rng.IntN(10_000)) * time.Microsecond)
		cmd.Process.Kill()
		if err := <-ended; err == nil {
			break // it was done before the signal came
		}
		kills++
	}
	if kills < killed/3 {
		t.Fatalf("only %d kills", kills)
	}
	checkKilled(t, dir, s, kills)
}

func checkKilled(t *testing.T, dir string, s *counter, kills int) {
	db, err := sql.Open("sqlite", filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT study, coalesce(outcome,''), coalesce(request_id,''), coalesce(input,0), coalesce(output,0), coalesce(cost,0), reserved FROM attempts`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	booked, answered, open := map[string]bool{}, map[string]int{}, map[string]int{}
	var spent int64
	for rows.Next() {
		var study, outcome, id string
		var in, out, cost, reserved int64
		if err := rows.Scan(&study, &outcome, &id, &in, &out, &cost, &reserved); err != nil {
			t.Fatal(err)
		}
		switch outcome {
		case "":
			open[study]++
			continue
		case ledger.Answered:
			answered[study]++
		}
		a, known := s.got[id]
		if !known || booked[id] || a.input != in || a.out != out || cost != in*400_000+out*1_600_000 || cost > reserved {
			t.Errorf("study %s: booked %s %d %d at %d, the server has %+v", study, id, in, out, cost, a)
		}
		booked[id] = true
		spent += cost
	}
	lost, lostCost := map[int]int{}, int64(0)
	for id, a := range s.got {
		if booked[id] {
			continue
		}
		lost[a.generation]++
		lostCost += a.input*400_000 + a.out*1_600_000
		study := "?"
		for i := range killReports {
			if report(i) == a.report {
				study = fmt.Sprint("s", i)
			}
		}
		if open[study]--; open[study] < 0 {
			t.Errorf("the server saw %s for %s, the ledger has no such attempt", id, study)
		}
	}
	for g, n := range lost {
		if n > killInFlight || g >= kills {
			t.Errorf("%d answers were lost at kill %d, with %d calls in flight", n, g, killInFlight)
		}
	}
	for i := range killReports {
		if n := answered[fmt.Sprint("s", i)]; n != 1 {
			t.Errorf("report %d was paid and booked %d times", i, n)
		}
	}
	c, err := ledger.ReadCost(filepath.Join(dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	var batches int64
	for _, b := range c.Batches {
		batches += b.Spent
	}
	if c.Spent != spent || batches != spent || c.UnsettledMax < lostCost || c.Reports != int64(killReports) || c.Calls != int64(killReports) {
		t.Errorf("spent %d, rows sum to %d, batches to %d; unsettled %d, lost %d; reports %d, calls %d", c.Spent, spent, batches, c.UnsettledMax, lostCost, c.Reports, c.Calls)
	}
	t.Logf("%d kills, %d requests, %d booked, %d lost in flight (%v), unsettled at most %s USD, truly %s", kills, len(s.got), len(booked), len(s.got)-len(booked), lost,
		ledger.USD(c.UnsettledMax), ledger.USD(lostCost))
}
