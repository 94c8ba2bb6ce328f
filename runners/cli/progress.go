package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"silverbeam/runners/local"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// pulse tells how long a run has stood still.
type pulse struct {
	mu    sync.Mutex
	state string // what was last seen of the run that changes while it goes on
	since time.Time
}

func (p *pulse) see(s local.State) {
	now := fmt.Sprint(s.Step, s.Done, s.Steps, s.Rejects, s.SpentUSD, s.Detail)
	p.mu.Lock()
	defer p.mu.Unlock()
	if now != p.state || p.since.IsZero() {
		p.state, p.since = now, time.Now()
	}
}

// idle is 0 before anything was seen.
func (p *pulse) idle() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		return 0
	}
	return time.Since(p.since)
}

// watcher shows how a run goes on: a bar on a terminal, else a plain line every ten seconds.
type watcher struct {
	w       io.Writer
	every   time.Duration
	last    time.Time
	started time.Time
	bars    *mpb.Progress // nil: plain lines
	bar     *mpb.Bar
	state   chan local.State // the newest, for the bar's own goroutine
	shown   local.State
	noted   []string // notes that were told
}

func newWatcher(w io.Writer) *watcher {
	x := &watcher{w: w, every: 10 * time.Second, started: time.Now(), last: time.Now(), state: make(chan local.State, 1)}
	f, ok := w.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) || os.Getenv("TERM") == "dumb" {
		return x
	}
	x.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(72), mpb.WithRefreshRate(250*time.Millisecond))
	x.bar = x.bars.New(0, mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"), mpb.BarRemoveOnComplete(),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			select {
			case x.shown = <-x.state:
			default:
			}
			return describe(x.shown)
		})))
	return x
}

// see takes the run's newest state.
func (x *watcher) see(s local.State) {
	x.note(s.Notes)
	if x.bars == nil {
		if now := time.Now(); now.Sub(x.last) >= x.every {
			x.last = now
			fmt.Fprintf(x.w, "%s %s\n", now.Sub(x.started).Round(time.Second), describe(s))
		}
		return
	}
	select {
	case <-x.state:
	default:
	}
	x.state <- s
	x.bar.SetTotal(s.Total, false)
	x.bar.SetCurrent(s.Done)
}

// note tells notes that are new, above the bar.
func (x *watcher) note(notes []string) {
	w := x.w
	if x.bars != nil {
		w = x.bars
	}
	for _, n := range notes {
		if !slices.Contains(x.noted, n) {
			x.noted = append(x.noted, n)
			printNotes(w, []string{n})
		}
	}
}

// close takes the bar away.
func (x *watcher) close() {
	if x.bars != nil {
		x.bar.Abort(true)
		x.bars.Wait()
		x.bars = nil
	}
}
