package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
)

// vendor is a server that answers every finding with B and bills each request when it comes, answered or not, at 2 dollars
// a million tokens in, half of which it had cached at 0.5, and 8 out.
type vendor struct {
	*httptest.Server
	seen chan struct{} // one signal a request
	hold chan struct{} // if not nil: all but the first are answered when it is closed
	turn int           // if not 0: from this request on every finding is P
	each time.Duration // how long an answer takes
	vary bool          // findings depend on the examination's number

	mu       sync.Mutex
	requests int
	pico     int64
	asked    map[int]int // examination → requests about it
}

const vendorPrices = "price_id,model,effective_from,currency,input,cached,cache_write,output,batch_input,batch_output,batch_cached,threshold_tokens,input_over,output_over,source,checked_on\nv,vendor-1,2026-01-01,USD,2,0.5,,8,,,,,,,test,2026-01-01\n"

func newVendor(t *testing.T) *vendor {
	v := &vendor{seen: make(chan struct{}, 1<<16), asked: map[int]int{}}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in struct {
		Format struct {
			Schema struct{ Schema struct{ Required []string } } `json:"json_schema"`
		} `json:"response_format"`
	}
	_ = json.Unmarshal(body, &in)
	code := map[bool]string{true: "P", false: "B"}[v.turned()]
	content := fmt.Sprintf(`{"%s":"%s"}`, strings.Join(in.Format.Schema.Schema.Required, `":"`+code+`","`), code)
	number := -1
	if n := examination.FindSubmatch(body); n != nil {
		number = atoi(string(n[1]))
	}
	if v.vary && number >= 0 {
		var findings []string
		for i, f := range in.Format.Schema.Schema.Required {
			findings = append(findings, fmt.Sprintf(`"%s":"%c"`, f, "PNUB"[(number>>(i%8)+i)%4]))
		}
		content = "{" + strings.Join(findings, ",") + "}"
	}
	prompt, out := int64(len(body)/8*2), int64(len(content))
	v.mu.Lock()
	v.requests++
	v.asked[number]++
	first := v.requests == 1
	v.pico += prompt/2*2_000_000 + prompt/2*500_000 + out*8_000_000
	v.mu.Unlock()
	v.seen <- struct{}{}
	time.Sleep(v.each)
	if v.hold != nil && !first {
		<-v.hold
	}
	fmt.Fprintf(w, `{"choices":[{"finish_reason":"stop","message":{"content":%q}}],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":{"cached_tokens":%d}}}`, content, prompt, out, prompt/2)
}

var examination = regexp.MustCompile(`Examination (\d+)`)

func (v *vendor) turned() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.turn > 0 && v.requests >= v.turn
}

func (v *vendor) bill() (requests int, pico int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.requests, v.pico
}

// asks writes a table of reports and gives the command line that labels them.
func (v *vendor) asks(p program, reports, inFlight int) string {
	p.write("prices.csv", vendorPrices)
	var b strings.Builder
	b.WriteString("id,report\n")
	for i := range reports {
		fmt.Fprintf(&b, "r%d,Examination %d. %s\n", i, i, strings.Repeat("The lungs are clear. ", 1+i%20))
	}
	p.write("reports.csv", b.String())
	return fmt.Sprintf("label reports reports.csv --out labels.csv --run run --store store.db --endpoint %s --model vendor-1 --prices prices.csv --in-flight %d", v.URL, inFlight)
}

// A run that is told to end takes the answers that are on their way, sends nothing more, and says so. Its end does not wait
// for more than 20 s, which SILVERBEAM_KILLS has tried.
func TestTermTakesWhatIsUnderWay(t *testing.T) {
	for _, hung := range []bool{false, true} {
		t.Run(fmt.Sprintf("hung %t", hung), func(t *testing.T) {
			if hung && os.Getenv("SILVERBEAM_KILLS") == "" {
				t.Skip("SILVERBEAM_KILLS is not set")
			}
			const inFlight = 8
			p, v := newProgram(t), newVendor(t)
			v.hold = make(chan struct{})
			release := sync.OnceFunc(func() { close(v.hold) })
			t.Cleanup(release) // before the server's end
			cmd := p.command(v.asks(p, 200, inFlight))
			errs, err := cmd.StderrPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 1 + inFlight {
				<-v.seen
			}
			told := time.Now()
			_ = cmd.Process.Signal(syscall.SIGTERM)
			for lines := bufio.NewScanner(errs); lines.Scan(); {
				if strings.Contains(lines.Text(), "waiting for calls under way") && !hung {
					release()
				}
			}
			err = cmd.Wait()
			took := time.Since(told)
			requests, pico := v.bill()
			c := p.cost("run")
			if cmd.ProcessState.ExitCode() != codeSignal+int(syscall.SIGTERM) || requests != 1+inFlight {
				t.Errorf("%v; %d requests, want %d", err, requests, 1+inFlight)
			}
			if !hung && (c.Spent != pico || c.UnsettledMax != 0) || hung && (c.UnsettledMax == 0 || took < 19*time.Second || took > 28*time.Second) {
				t.Errorf("after %s: spent %d of a bill of %d, unsettled %d", took, c.Spent, pico, c.UnsettledMax)
			}
		})
	}
}

// However often a run is killed, it never costs more than its cap; it ends with 4, and goes on with a higher one.
func TestBudgetHoldsThroughKills(t *testing.T) {
	kills := cmp.Or(atoi(os.Getenv("SILVERBEAM_KILLS"))/4, 3)
	p, v := newProgram(t), newVendor(t)
	command := v.asks(p, 100*kills, 64)
	const perReport = 12_000_000_000 // more than one costs
	capPico := int64(60*kills) * perReport / 4
	capped := command + " --max-cost " + ledger.USD(capPico)
	killed := 0
	for killed < kills {
		code := p.killAfter(capped, v, 1+rand.IntN(60))
		if _, pico := v.bill(); pico > capPico {
			t.Fatalf("after %d kills the server has billed %d, the cap is %d", killed, pico, capPico)
		}
		if code >= 0 {
			break
		}
		killed++
	}
	p.run(codeBudget, capped)
	before, pico := v.bill()
	c := p.cost("run")
	if pico > capPico || c.Spent+c.UnsettledMax > capPico || pico > c.Spent+c.UnsettledMax {
		t.Errorf("billed %d; spent %d, unsettled %d; the cap is %d", pico, c.Spent, c.UnsettledMax, capPico)
	}
	p.run(0, command+" --max-cost 1000")
	labels, err := os.ReadFile(p.path("labels.csv"))
	requests, bill := v.bill()
	if lost := requests - 100*kills; err != nil || bytes.Count(labels, []byte("\n")) != 1+100*kills || lost < 0 || lost > 64*killed {
		t.Errorf("%d rows, %d requests for %d reports: %v", bytes.Count(labels, []byte("\n"))-1, requests, 100*kills, err)
	}
	t.Logf("%d kills, %d requests until the cap (%d of %d pico-dollars), %d in all, bill %d", killed, before, pico, capPico, requests, bill)
}

// killAfter kills a command once the server has seen so many requests; -1: it was killed, else its exit code.
func (p program) killAfter(line string, v *vendor, requests int) int {
	p.Helper()
	cmd := p.command(line)
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for range requests {
		select {
		case <-v.seen:
		case <-ended:
			return cmd.ProcessState.ExitCode()
		}
	}
	_ = cmd.Process.Kill()
	<-ended
	return cmd.ProcessState.ExitCode()
}

// A plan says when the instructions are too short for a vendor's cache, and the cost how much was cached.
func TestCacheIsForetoldAndTold(t *testing.T) {
	p, v := newProgram(t), newVendor(t)
	command := v.asks(p, 3, 1)
	p.write("one.yaml", "name: one\nfindings:\n  - finding: Gallstone\n")
	set := " --set in=reports.csv --set model=vendor-1 --set prices=prices.csv --set endpoint=" + v.URL
	if out, _ := p.run(0, "plan label-reports"+set); strings.Contains(out, "note") {
		t.Errorf("the whole taxonomy: %s", out)
	}
	if out, _ := p.run(0, "plan label-reports --set findings=one.yaml"+set); !strings.Contains(out, "vendors cache from 1024 on") {
		t.Errorf("one finding: %s", out)
	}
	p.run(0, command)
	if out, _ := p.run(0, "cost run"); !strings.Contains(out, " in (50 % of them cached), ") {
		t.Errorf("cost: %s", out)
	}
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}
