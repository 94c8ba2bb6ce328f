package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// Canaries stand where nothing may come from: in the report's text, in the key, and in columns that no option names.
var canaries = []string{"Quokkatext", "Numbatkey", "Wallabyname", "Bilbyanswer"}

func canaryIn(p []byte) string {
	for _, c := range canaries {
		if bytes.Contains(bytes.ToLower(p), []byte(strings.ToLower(c))) {
			return c
		}
	}
	return ""
}

const canaryTable = "id,patient_name,report\n" +
	"S1,Wallabyname,\"FINDINGS: Pleural effusion, shaped like a quokkatext. Discussed with Dr. Quokkatext.\"\n" +
	"S2,Wallabyname,\"No effusion. Quokkatext.\"\n"

// TestCanaryIsFoundNowhere runs the program against another machine's endpoint, played by a proxy that sends back all it
// gets, and looks for the canaries in whatever the program leaves: stdout, stderr, every file but the input (run folder,
// page, ledger, egress log, results store, labels, evidence), the process list, and the trace of SIGQUIT and of an abort.
func TestCanaryIsFoundNowhere(t *testing.T) {
	good := `{"id":"x","model":"our-model","choices":[{"finish_reason":"stop","message":{"content":%q}}],"usage":{"prompt_tokens":9,"completion_tokens":9,"note":%q}}`
	for name, c := range map[string]struct {
		status int
		body   string // %[1]q is all that came with the request
		exits  int
		signal syscall.Signal // sent while a call is in flight; 0: none
	}{
		"labels":            {200, "", 0, 0},
		"killed by abort":   {200, "", -1, syscall.SIGABRT},
		"killed by quit":    {200, "", -1, syscall.SIGQUIT},
		"refused":           {200, `{"model":%[1]q,"choices":[{"finish_reason":"stop","message":{"content":"","refusal":%[1]q}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, 1, 0},
		"malformed":         {200, `{"model":%[1]q,"system_fingerprint":%[1]q,"choices":[{"finish_reason":"stop","message":{"content":%[1]q}}]}`, 1, 0},
		"no JSON":           {200, "<html>%[1]q", 1, 0},
		"400, echoing":      {400, `{"error":{"message":%[1]q,"type":%[1]q,"code":%[1]q,"param":%[1]q}}`, 1, 0},
		"401, with key":     {401, `{"error":{"message":"Incorrect API key provided: %[1]s","code":"invalid_api_key"}}`, 5, 0},
		"404, echoing":      {404, "%[1]q", 5, 0},
		"429, for too long": {429, `{"error":{"message":%[1]q}}`, 75, 0},
		"500, for good":     {500, `%[1]q`, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var seen atomic.Int64
			inFlight, release := make(chan bool, 99), make(chan bool)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.URL.Host != "llm.example" || !bytes.Contains(bytes.ToLower(body), []byte("quokkatext")) || !strings.Contains(r.Header.Get("Authorization"), "Numbatkey") {
					t.Errorf("%s: the canaries do not come with the request", r.URL.Host)
				}
				seen.Add(1)
				inFlight <- true
				<-release
				echo := string(body) + r.Header.Get("Authorization") + " Bilbyanswer"
				w.Header().Set("X-Request-Id", strings.Join(strings.Fields(echo), " "))
				w.Header().Set("Retry-After", "99999")
				w.Header().Set("X-Should-Retry", fmt.Sprint(c.status == 429))
				w.WriteHeader(c.status)
				if c.body == "" {
					fmt.Fprintf(w, good, allAbsent(t, body), echo)
					return
				}
				fmt.Fprintf(w, c.body, echo)
			}))
			defer server.Close()
			for name, text := range map[string]string{"in.csv": canaryTable, "prices.csv": strings.ReplaceAll(killPrices, "fake-rules", "our-model")} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("silverbeam", "label", "reports", "in.csv", "--out", "labels.csv", "--evidence", "evidence.jsonl", "--endpoint", "http://llm.example/v1",
				"--model", "our-model", "--key-env", "OUR_KEY", "--prices", "prices.csv", "--send", "whole", "--max-cost", "1")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "OUR_KEY=sk-Numbatkey0123456789", "HTTP_PROXY="+server.URL, "http_proxy="+server.URL, "NO_PROXY=", "no_proxy=",
				"XDG_STATE_HOME="+filepath.Join(dir, "state"), "GOTRACEBACK=all")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-inFlight:
			case err := <-ended:
				t.Fatalf("it ended without a call: %v\n%s", err, out.String())
			}
			if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid)); err == nil {
				if w := canaryIn(line); w != "" {
					t.Errorf("the process list shows %s", w)
				}
			}
			if c.signal != 0 {
				cmd.Process.Signal(c.signal)
			}
			close(release)
			<-ended
			if got := cmd.ProcessState.ExitCode(); got != c.exits && c.exits >= 0 || c.signal != 0 && !strings.Contains(out.String(), "goroutine ") {
				t.Errorf("exit code %d, want %d\n%s", got, c.exits, out.String())
			}
			if w := canaryIn(out.Bytes()); w != "" {
				t.Errorf("the output shows %s", w)
			}
			noCanaryFiles(t, dir, c.signal == 0)
			if seen.Load() == 0 {
				t.Error("nothing was sent")
			}
		})
	}
}

// noCanaryFiles reads every file but the input, and its name.
func noCanaryFiles(t *testing.T, dir string, ended bool) {
	read := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if w := canaryIn([]byte(strings.TrimPrefix(path, dir))); w != "" {
			t.Errorf("a file's name has %s", w)
		}
		if err != nil || e.IsDir() || e.Name() == "in.csv" {
			return err
		}
		text, err := os.ReadFile(path)
		if w := canaryIn(text); w != "" {
			t.Errorf("%s holds %s", strings.TrimPrefix(path, dir), w)
		}
		read[e.Name()] = true
		return err
	})
	if err != nil {
		t.Error(err)
	}
	want := []string{"ledger.db", "results.db", "results.db.key", "egress.jsonl", "run.json"}
	if ended {
		want = append(want, "rejects.jsonl")
	}
	for _, f := range want {
		if !read[f] {
			t.Errorf("no %s was read", f)
		}
	}
}

// allAbsent is the answer that says N to every key a request asks for.
func allAbsent(t *testing.T, body []byte) string {
	var in struct {
		F struct {
			J struct {
				S struct{ Required []string } `json:"schema"`
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		t.Error(err)
	}
	answer := map[string]string{}
	for _, k := range in.F.J.S.Required {
		answer[k] = "N"
	}
	p, _ := json.Marshal(answer)
	return string(p)
}
