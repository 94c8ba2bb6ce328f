package llm

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
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
	b.Run("loop", func(b *testing.B) {
		p := newPrompt(ctRate(b), nil, "")
		perCall(b, func() {
			if err := plainLoop(url+"/v1", p.system[strictSchema], p.schema, b.N, 64, func(int, string, openai.Usage) {}); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("ours", func(b *testing.B) {
		c := set(b, b.TempDir(), Options{Endpoint: url, Model: "gpt-4.1-mini"}, nil)
		perCall(b, func() {
			var wg sync.WaitGroup
			turn := make(chan int)
			for range 96 { // as label.Reports: half as many again as may be in flight
				wg.Go(func() {
					for i := range turn {
						if _, err := c.Label(b.Context(), Call{"b" + fmt.Sprint(i/5000), "label.Reports", strconv.Itoa(i), peerReport(i), nil}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := range b.N {
				turn <- i
			}
			close(turn)
			wg.Wait()
		})
	})
}

// perCall adds the CPU time of one of b.N calls to a benchmark's figures.
func perCall(b *testing.B, f func()) {
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	b.ResetTimer()
	before := cpu()
	f()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}
