package llm

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"
)

// BenchmarkCall is what a call costs this process, ledger and store on the disk included, beside a plain go-openai loop.
// The server is a process of its own.
func BenchmarkCall(b *testing.B) {
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), "SILVERBEAM_PEER=server")
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	defer server.Process.Kill()
	line, err := bufio.NewReader(out).ReadString('\n')
	url := strings.TrimSpace(line)
	if err == nil {
		_, err = http.Post(url+"/reset?seed=1&latency_ms=50", "", nil)
	}
	if err != nil {
		b.Fatal(err)
	}
	p, c := newPrompt(ctRate(b), nil, ""), set(b, b.TempDir(), Options{Endpoint: url, Model: "gpt-4.1-mini"}, nil)
	var loop, ours []float64 // CPU µs a call, of blocks in turns: whatever else the machine does meets both
	var took [2]time.Duration
	for n := 0; n < b.N; n += block {
		began := time.Now()
		loop = append(loop, perCall(b, func() {
			if err := plainLoop(url+"/v1", p.system[strictSchema], p.schema, block, 64, func(int, string, openai.Usage) {}); err != nil {
				b.Fatal(err)
			}
		}))
		took[0] += time.Since(began)
		began = time.Now()
		ours = append(ours, perCall(b, func() { c.labelBlock(b, n) }))
		took[1] += time.Since(began)
	}
	slices.Sort(loop)
	slices.Sort(ours)
	mid := len(loop) / 2
	b.ReportMetric(loop[mid], "loop-cpu-µs")
	b.ReportMetric(ours[mid], "ours-cpu-µs")
	b.ReportMetric(ours[mid]/loop[mid], "cpu-ratio")
	b.ReportMetric(float64(took[0])/float64(took[1]), "rate-ratio")
}

const block = 2000 // calls

func (c bench) labelBlock(b *testing.B, first int) {
	var wg sync.WaitGroup
	turn := make(chan int)
	for range 4*64 - 1 { // as label.Reports
		wg.Go(func() {
			for i := range turn {
				if _, err := c.Label(b.Context(), Call{"b" + fmt.Sprint(i/5000), "label.Reports", strconv.Itoa(i), peerReport(i), nil}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range block {
		turn <- first + i
	}
	close(turn)
	wg.Wait()
}

// perCall is the CPU time that a block took of this process, for each call.
func perCall(b *testing.B, f func()) (micros float64) {
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := cpu()
	f()
	return float64((cpu() - before).Microseconds()) / block
}
