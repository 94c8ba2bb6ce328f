package llm

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
)

// pipes is a listener without a network, so that a real server and a real transport meet on the clock of a bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (p *pipes) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// storm is a server on its worst day. It notes what it did for whom, and bills what it did whether or not anybody learnt
// of it.
type storm struct {
	keys  []string
	clock time.Duration // how far its clock is ahead of ours
	unit  time.Duration // of the waits it asks for

	mu    sync.Mutex
	rng   *rand.Rand
	n     int
	did   map[string]work      // by request id
	until map[string]time.Time // by report: it asked to be left alone so long
	early []string
	faced map[string]int
}

// work is what one request came to.
type work struct {
	report    string
	input, to int64 // tokens
	delivered bool
}

func (w work) pico() int64 { return w.input*400_000 + w.to*1_600_000 }

func newStorm(keys []string, unit time.Duration) *storm {
	return &storm{keys: keys, unit: unit, clock: -90 * time.Second, rng: rand.New(rand.NewPCG(30, 5)), did: map[string]work{}, until: map[string]time.Time{}, faced: map[string]int{}}
}

// fates are drawn in this order; what is left is a good answer.
var fates = []struct {
	name  string
	share float64
}{{"429", 0.30}, {"500", 0.02}, {"502", 0.02}, {"529", 0.01}, {"hung", 0.02}, {"cut", 0.02}, {"malformed", 0.01}, {"wrong", 0.01}}

// draw books a request and decides its fate.
func (s *storm) draw(report string) (id, fate string, w work, dice int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	id = fmt.Sprint("r", s.n)
	if at := s.until[report]; time.Now().Before(at) {
		s.early = append(s.early, fmt.Sprintf("%s came %s early", id, time.Until(at)))
	}
	x := s.rng.Float64()
	fate, dice = "good", s.rng.IntN(1<<20)
	for _, f := range fates {
		if x -= f.share; x < 0 {
			fate = f.name
			break
		}
	}
	s.faced[fate]++
	w = work{report: report, input: int64(len(report)), to: int64(dice % 80), delivered: true}
	switch {
	case fate == "429", fate == "500", fate == "529":
		w.input, w.to = 0, 0
	case fate == "502", fate == "hung", fate == "cut", fate == "malformed": // of a gateway nobody knows
		w.delivered = false
		if fate == "502" && dice%2 == 0 {
			w.input, w.to = 0, 0
		}
	}
	s.did[id] = w
	return id, fate, w, dice
}

// leaveMe sets one form of Retry-After, or none, and notes what was asked for.
func (s *storm) leaveMe(h http.Header, report string, dice int) {
	wait, now := time.Duration(1+dice%3)*s.unit, time.Now()
	h.Set("Date", now.Add(s.clock).UTC().Format(http.TimeFormat))
	switch form := dice / 3 % 9; form {
	case 0:
		h.Set("Retry-After-Ms", fmt.Sprint(wait.Milliseconds()))
	case 1:
		wait = (wait + time.Second - 1).Truncate(time.Second)
		h.Set("Retry-After", fmt.Sprint(int(wait.Seconds())))
	case 2:
		h.Set("Retry-After", fmt.Sprint(wait.Seconds()))
	case 3:
		at := now.Add(s.clock + wait).Truncate(time.Second).Add(time.Second)
		h.Set("Retry-After", at.UTC().Format(http.TimeFormat))
		wait = at.Sub(now.Add(s.clock))
	default:
		wait = 0
		if text := []string{"", "-5", "", "soon", "Thu, 32 Foo 2026"}[form-4]; form > 4 {
			h.Set("Retry-After", text)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until[report] = now.Add(wait)
}

func (s *storm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in chatRequest
	if json.NewDecoder(r.Body).Decode(&in) != nil || len(in.Messages) != 2 {
		http.Error(w, "{}", http.StatusBadRequest)
		return
	}
	report := fenced(in.Messages[1].Content)
	id, fate, did, dice := s.draw(report)
	w.Header().Set("X-Request-Id", id)
	w.Header().Set("Content-Type", "application/json")
	switch fate {
	case "429", "500", "502", "529":
		if fate == "429" || dice%4 == 0 {
			s.leaveMe(w.Header(), report, dice)
		}
		w.WriteHeader(atoi(fate))
		io.WriteString(w, `{"error":{"message":"not now"}}`)
		return
	case "hung":
		<-r.Context().Done()
		return
	}
	body := s.answer(report, fate == "wrong", did)
	switch {
	case fate == "malformed":
		body = body[:len(body)/2]
	case fate == "cut" && dice%3 > 0: // after the header, or in the middle
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		io.WriteString(w, body[:len(body)/3*(dice%3-1)])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case fate == "cut":
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
		return
	}
	io.WriteString(w, body)
}

// fateOf is what the model makes of a report: some are declined or filtered, whenever they are asked.
func fateOf(report string) string {
	switch sum := len(report) + strings.Count(report, "7")*13; {
	case sum%31 == 0:
		return "refusal"
	case sum%37 == 0:
		return "content-filter"
	}
	return ""
}

func (s *storm) answer(report string, wrong bool, did work) string {
	codeOf := map[bool]string{true: "X"}[wrong]
	for code, l := range codes {
		if !wrong && l.State == servedState(report) {
			codeOf = code
		}
	}
	content := fmt.Sprintf(`{"%s":%q}`, strings.Join(s.keys, fmt.Sprintf(`":%q,"`, codeOf)), codeOf)
	finish, message := "stop", map[string]any{"content": content}
	switch fateOf(report) {
	case "refusal":
		message = map[string]any{"content": "", "refusal": "no"}
	case "content-filter":
		finish = "content_filter"
	}
	b, _ := json.Marshal(map[string]any{"choices": []any{map[string]any{"finish_reason": finish, "message": message}},
		"usage": map[string]any{"prompt_tokens": did.input, "completion_tokens": did.to}})
	return string(b)
}

// Whatever the server does, every report ends once: labelled, or refused with its class. What the server billed is what
// the ledger has spent, to the pico-dollar, for all that was delivered; the rest is inside the stated bound. No report was
// sent again before its Retry-After. SILVERBEAM_STORM sets how many reports.
func TestStorm(t *testing.T) {
	reports := cmp.Or(atoi(os.Getenv("SILVERBEAM_STORM")), 600)
	bubble(t, func(t *testing.T) {
		s, p := newStorm(newPrompt(ctRate(t), nil, "").keys, 700*time.Millisecond), newPipes()
		server := &httptest.Server{Listener: p, Config: &http.Server{Handler: s}}
		server.Start()
		defer server.Close()
		weather(t, s, server.URL, p, reports, 0)
	})
}

// The same over the loopback network and on the real clock, which takes a while.
func TestStormOverTCP(t *testing.T) {
	reports := atoi(os.Getenv("SILVERBEAM_STORM"))
	if reports == 0 {
		t.Skip("SILVERBEAM_STORM is not set")
	}
	s := newStorm(newPrompt(ctRate(t), nil, "").keys, 10*time.Millisecond)
	server := httptest.NewServer(s)
	defer server.Close()
	weather(t, s, server.URL, nil, min(reports, 2000), 2*time.Second)
}

func weather(t *testing.T, s *storm, url string, p *pipes, reports int, timeout time.Duration) {
	rt := transport(64)
	if p != nil {
		rt.next.DialContext = func(context.Context, string, string) (net.Conn, error) { return p.dial() }
	}
	b := set(t, t.TempDir(), Options{Endpoint: url, Model: "gpt-4.1-mini", Timeout: timeout, Deadline: time.Hour}, rt)
	began := time.Now()
	answers, errs := b.labelAll(t, 64, reports, 1)
	took := time.Since(began)
	classes := map[string]int{}
	for i, err := range errs {
		var no Refusal
		want := fateOf(normalise(report(i)))
		switch {
		case err == nil && want == "" && answers[i][0].State == servedState(normalise(report(i))):
			classes["labelled"]++
		case errors.As(err, &no) && (no.Class == want || no.Class == "schema"):
			classes[no.Class]++
		default:
			t.Errorf("report %d, to be %q: %v", i, want, err)
		}
	}
	if classes["schema"]*100 > reports {
		t.Errorf("%v", classes)
	}
	for _, e := range s.early {
		t.Error(e)
	}
	s.compare(t, b, p == nil)
	t.Logf("%d reports in %s of the server's time: %v; %d requests: %v", reports, took.Round(time.Second), classes, s.n, s.faced)
}

// compare holds the server's bill against the ledger, request by request. Over TCP a server cannot know what a client that
// had waited long enough still took: there such answers are within the ledger's bound, not in its sum.
func (s *storm) compare(t *testing.T, b bench, tcp bool) {
	c := b.cost(t) // and with it all is in the tables
	db, err := sql.Open("sqlite", filepath.Join(b.dir, "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT study, coalesce(request_id,''), coalesce(cost,-1), outcome FROM attempts`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	attempts, last := 0, map[string]int{}
	for rows.Next() {
		var study, id, outcome string
		var cost int64
		if err := rows.Scan(&study, &id, &cost, &outcome); err != nil {
			t.Fatal(err)
		}
		attempts++
		if w, known := s.did[id]; id != "" && (!known || w.delivered && cost != w.pico() || !w.delivered && cost >= 0) {
			t.Errorf("%s of %s: booked as %s at %d, the server has %+v", id, study, outcome, cost, w)
		}
		if outcome == ledger.Answered {
			last[study]++
		}
	}
	for study, n := range last {
		if n != 1 {
			t.Errorf("%s has %d answers", study, n)
		}
	}
	var bill, lost int64
	for _, w := range s.did {
		if w.delivered {
			bill += w.pico()
		} else {
			lost += w.pico()
		}
	}
	if tcp && c.Spent <= bill {
		bill, lost = c.Spent, lost+bill-c.Spent
	}
	if attempts != s.n || c.Attempts != int64(s.n) || c.Spent != bill || c.UnsettledMax < lost || lost == 0 {
		t.Errorf("%d attempts, %d requests; spent %d of a bill of %d; lost %d, bounded by %d", attempts, s.n, c.Spent, bill, lost, c.UnsettledMax)
	}
	t.Logf("the server's bill %s USD, the ledger's %s; not delivered %s, bounded by %s", ledger.USD(bill), ledger.USD(c.Spent), ledger.USD(lost), ledger.USD(c.UnsettledMax))
}
