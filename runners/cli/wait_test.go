package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// breaker is a wire to a server that can be cut.
type breaker struct {
	net.Listener
	to string

	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newBreaker(t *testing.T, to string) *breaker {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &breaker{Listener: l, to: to}
	t.Cleanup(func() { b.set(true); l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.join(c)
		}
	}()
	return b
}

func (b *breaker) join(c net.Conn) {
	far, err := net.Dial("tcp", b.to)
	if err != nil {
		c.Close()
		return
	}
	b.mu.Lock()
	b.conns = append(b.conns, c, far)
	cut := b.cut
	b.mu.Unlock()
	if cut {
		c.Close()
		far.Close()
		return
	}
	go func() { _, _ = io.Copy(far, c); far.Close() }()
	_, _ = io.Copy(c, far)
	c.Close()
}

// set cuts the wire, what passes over it included, or mends it.
func (b *breaker) set(cut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut = cut; cut {
		for _, c := range b.conns {
			c.Close()
		}
		b.conns = nil
	}
}

// calls counts those that a run's ledger has; 0 where there is none yet.
func (p program) calls(run string) int {
	var c struct{ Calls int }
	out, err := p.command("cost " + run + " --json").Output()
	if err != nil || json.Unmarshal(out, &c) != nil {
		return 0
	}
	return c.Calls
}

// A run whose database goes away in the middle ends with exit code 75, or waits as long as it was told and goes on: each
// report is answered once, and nothing is lost.
func TestPostgresIsWaitedFor(t *testing.T) {
	server := os.Getenv("SILVERBEAM_POSTGRES")
	if server == "" {
		t.Skip("SILVERBEAM_POSTGRES names no server (make test-postgres)")
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	b := newBreaker(t, u.Host)
	u.Host = b.Addr().String()
	p := newProgram(t)
	p.env = append(p.env, "XDG_STATE_HOME="+p.dir)
	var reports strings.Builder
	reports.WriteString("id,report\n")
	for n := range 400 {
		fmt.Fprintf(&reports, "%d,No pleural effusion. A nodule of %d mm.\n", n, n+1)
	}
	p.write("reports.csv", reports.String())
	for name, more := range map[string]string{"waits": " --wait 2m", "ends": ""} {
		t.Run(name, func(t *testing.T) {
			c := p.command(fmt.Sprintf("run label-reports --set in=reports.csv --set labelers=llm --set endpoint=fake://rules?latency_ms=200 --set in_flight=8 --set batch_rows=40 --store %s?schema=%s_%d --run out/%s%s",
				u, name, os.Getpid(), name, more))
			var said strings.Builder
			c.Stderr = &said
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- c.Wait() }()
			for attempts := 0; attempts < 50; attempts = p.calls("out/" + name) {
				select {
				case err := <-ended:
					t.Fatalf("before the cut: %v\n%s", err, said.String())
				case <-time.After(200 * time.Millisecond):
				}
			}
			b.set(true)
			go func() {
				time.Sleep(8 * time.Second) // once in vain
				b.set(false)
			}()
			select {
			case err = <-ended:
			case <-time.After(3 * time.Minute):
				_ = c.Process.Signal(syscall.SIGKILL)
				t.Fatalf("it hangs\n%s", said.String())
			}
			if more == "" {
				if c.ProcessState.ExitCode() != codeTemporary {
					t.Fatalf("%v, want %d\n%s", err, codeTemporary, said.String())
				}
				time.Sleep(8 * time.Second)
				p.run(0, strings.Join(c.Args[1:], " "))
			} else if err != nil || !strings.Contains(said.String(), "the run goes on in 5s") {
				t.Fatalf("%v\n%s", err, said.String())
			}
			if n := p.calls("out/" + name); n < 400 || n > 400+8 {
				t.Errorf("%d calls for 400 reports, 8 at once", n)
			}
			table, _ := os.ReadFile(p.path("out/" + name + "/dataset/labels.csv"))
			if lines := strings.Count(string(table), "\n"); lines != 401 {
				t.Errorf("%d lines of labels", lines)
			}
		})
	}
}
