package llm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// batchServer is a provider with files and batches. It checks what it is given as the vendor's documentation says, keeps
// its own bill, and fails as it is told to.
type batchServer struct {
	keys                []string
	maxLines            int           // of a file; 0: 50,000
	maxBytes            int           // of a file; 0: 200 MB
	maxWaiting          int           // bytes of the lines in jobs under way; 0: any
	takes               time.Duration // a job
	holds               bool          // none ends before one has failed
	lineFaults          bool          // lines fail, expire, do not validate or are declined, the first time
	cutUploads, cutJobs int           // of so many requests one does its work and cuts the connection; 0: none
	refuse              string        // a code of validation with which every job fails

	mu       sync.Mutex
	files    map[string]*servedFile
	jobs     map[string]*servedJob
	order    []string // of jobs
	n        int
	uploads  int
	creates  int
	faults   []string            // what a client must not do
	asked    map[string]int      // lines, by report
	answered map[string]int      // lines and calls with a valid answer, by report
	calls    int                 // outside batches
	bill     bill                // of lines at batch prices and calls at whole ones
	whole    int64               // of lines, at whole prices
	live     map[string]struct{} // reports in jobs under way
	seen     chan struct{}       // not nil: one signal a request
}

type servedFile struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Bytes    int    `json:"bytes"`
	Filename string `json:"filename"`
	Purpose  string `json:"purpose"`
	body     []byte
}

type servedJob struct {
	ID       string         `json:"id"`
	Object   string         `json:"object"`
	Status   string         `json:"status"`
	Input    string         `json:"input_file_id"`
	Output   *string        `json:"output_file_id"`
	Error    *string        `json:"error_file_id"`
	Errors   any            `json:"errors"`
	Counts   map[string]int `json:"request_counts"`
	Created  int64          `json:"created_at"`
	Metadata map[string]any `json:"metadata"`
	lines    []servedLine
	begun    time.Time
}

type servedLine struct {
	ID     string      `json:"custom_id"`
	Method string      `json:"method"`
	URL    string      `json:"url"`
	Body   chatRequest `json:"body"`
	size   int
}

func newBatchServer(keys []string) *batchServer {
	return &batchServer{keys: keys, maxLines: 50_000, maxBytes: 200_000_000, takes: 20 * time.Millisecond, files: map[string]*servedFile{},
		jobs: map[string]*servedJob{}, asked: map[string]int{}, answered: map[string]int{}, live: map[string]struct{}{}}
}

func (s *batchServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if s.seen != nil {
		s.seen <- struct{}{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance()
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	path = append(path, "", "")
	give := func(status int, v any) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(v)
	}
	no := func(status int, code string) { give(status, map[string]any{"error": map[string]any{"code": code}}) }
	switch key := r.Method + " " + path[0]; {
	case key == "POST chat":
		s.serveCall(w, body)
	case key == "POST files":
		r.Body = io.NopCloser(bytes.NewReader(body))
		f, h, err := r.FormFile("file")
		if err != nil || r.FormValue("purpose") != "batch" {
			no(400, "bad_form")
			return
		}
		text, _ := io.ReadAll(f)
		if len(text) > s.maxBytes {
			s.faults = append(s.faults, fmt.Sprint("a file of ", len(text), " bytes"))
			no(413, "too_large")
			return
		}
		file := s.keep(h.Filename, "batch", text)
		if s.uploads++; s.cutUploads > 0 && s.uploads%s.cutUploads == 0 {
			panic(http.ErrAbortHandler)
		}
		give(200, file)
	case key == "GET files" && path[1] == "":
		var all []*servedFile
		for _, id := range slices.Sorted(maps.Keys(s.files)) {
			if r.FormValue("purpose") == s.files[id].Purpose {
				all = append(all, s.files[id])
			}
		}
		give(200, page(all, r, func(f *servedFile) string { return f.ID }))
	case path[0] == "files" && s.files[path[1]] == nil:
		no(404, "")
	case key == "GET files":
		w.Write(s.files[path[1]].body)
	case key == "DELETE files":
		delete(s.files, path[1])
		give(200, map[string]any{"id": path[1], "deleted": true})
	case key == "POST batches" && path[1] == "":
		s.serveCreate(body, give, no)
	case key == "GET batches" && path[1] == "":
		var all []*servedJob
		for _, id := range s.order {
			all = append([]*servedJob{s.jobs[id]}, all...)
		}
		give(200, page(all, r, func(j *servedJob) string { return j.ID }))
	case path[0] == "batches" && s.jobs[path[1]] == nil:
		no(404, "")
	case key == "GET batches":
		give(200, s.jobs[path[1]])
	default:
		s.faults = append(s.faults, key)
		no(405, "")
	}
}

// page gives at most three entries, so that clients must turn pages.
func page[T any](all []T, r *http.Request, id func(T) string) any {
	if after := r.FormValue("after"); after != "" {
		for i, v := range all {
			if id(v) == after {
				all = all[i+1:]
				break
			}
		}
	}
	n := min(3, len(all))
	return map[string]any{"object": "list", "data": all[:n], "has_more": n < len(all)}
}

func (s *batchServer) keep(name, purpose string, body []byte) *servedFile {
	s.n++
	f := &servedFile{ID: fmt.Sprintf("file-%05d", s.n), Object: "file", Bytes: len(body), Filename: name, Purpose: purpose, body: body}
	s.files[f.ID] = f
	return f
}

func (s *batchServer) serveCreate(body []byte, give func(int, any), no func(int, string)) {
	var in struct {
		Input    string         `json:"input_file_id"`
		Endpoint string         `json:"endpoint"`
		Window   string         `json:"completion_window"`
		Metadata map[string]any `json:"metadata"`
	}
	if json.Unmarshal(body, &in) != nil || in.Endpoint != "/v1/chat/completions" || in.Window != "24h" || s.files[in.Input] == nil {
		s.faults = append(s.faults, "a job that cannot be: "+string(body))
		no(400, "bad_job")
		return
	}
	s.n++
	j := &servedJob{ID: fmt.Sprintf("batch-%05d", s.n), Object: "batch", Status: "validating", Input: in.Input, Metadata: in.Metadata,
		Created: time.Now().Unix(), begun: time.Now(), Counts: map[string]int{}}
	s.jobs[j.ID], s.order = j, append(s.order, j.ID)
	if code := s.validate(j); code != "" {
		j.Status = "will fail"
		j.Errors = map[string]any{"object": "list", "data": []any{map[string]any{"code": code, "message": "no", "line": 1}}}
	} else {
		for _, l := range j.lines {
			report := fenced(l.Body.Messages[1].Content)
			if _, dup := s.live[report]; dup {
				s.faults = append(s.faults, "a report in two jobs at once")
			}
			s.live[report] = struct{}{}
		}
	}
	if s.creates++; s.cutJobs > 0 && s.creates%s.cutJobs == 0 {
		panic(http.ErrAbortHandler)
	}
	show := *j
	show.Status = "validating"
	give(200, show)
}

// validate reads a job's input file. A job whose tokens are too many fails for that alone, after the rest.
func (s *batchServer) validate(j *servedJob) (code string) {
	ids := map[string]bool{}
	waiting := 0
	for _, other := range s.jobs {
		if other != j && (other.Status == "validating" || other.Status == "in_progress") {
			for _, l := range other.lines {
				waiting += l.size
			}
		}
	}
	lines := bufio.NewScanner(bytes.NewReader(s.files[j.Input].body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l servedLine
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		if d.Decode(&l) != nil || l.Method != "POST" || l.URL != "/v1/chat/completions" || l.Body.Model == "" || len(l.Body.Messages) != 2 {
			s.faults = append(s.faults, "a line that is no request")
			return "invalid_json_line"
		}
		if ids[l.ID] || l.ID == "" || len(l.ID) > 64 {
			s.faults = append(s.faults, "custom_id")
			return "duplicate_custom_id"
		}
		ids[l.ID] = true
		l.size = len(lines.Bytes())
		waiting += l.size
		j.lines = append(j.lines, l)
	}
	switch {
	case len(j.lines) == 0 || len(j.lines) > s.maxLines:
		s.faults = append(s.faults, fmt.Sprint(len(j.lines), " lines"))
		return "too_many_tasks"
	case s.refuse != "":
		return s.refuse
	case s.maxWaiting > 0 && waiting > s.maxWaiting:
		j.lines = nil
		return "token_limit_exceeded"
	}
	return ""
}

// advance lets time work on the jobs.
func (s *batchServer) advance() {
	for _, id := range s.order {
		j := s.jobs[id]
		age := time.Since(j.begun)
		switch {
		case j.Status == "will fail" && age > s.takes/4:
			j.Status, s.holds = "failed", false
		case j.Status == "validating" && age > s.takes/4:
			j.Status = "in_progress"
			j.Counts = map[string]int{"total": len(j.lines), "completed": len(j.lines) / 2}
		case j.Status == "in_progress" && age > s.takes && !s.holds:
			s.finish(j)
		}
	}
}

// finish answers a job's lines, the last first.
func (s *batchServer) finish(j *servedJob) {
	var output, errors bytes.Buffer
	j.Status = "completed"
	for _, l := range slices.Backward(j.lines) {
		report := fenced(l.Body.Messages[1].Content)
		delete(s.live, report)
		s.asked[report]++
		what := 9
		if s.lineFaults && s.asked[report] == 1 {
			h := fnv.New32a()
			io.WriteString(h, report)
			what = int(h.Sum32() % 13)
		}
		line := func(to *bytes.Buffer, status int, body any) {
			json.NewEncoder(to).Encode(map[string]any{"id": "x", "custom_id": l.ID, "error": nil,
				"response": map[string]any{"status_code": status, "request_id": "r", "body": body}})
		}
		switch what {
		case 0:
			line(&errors, 500, map[string]any{"error": map[string]any{"message": "no"}})
		case 1:
			j.Status = "expired"
			json.NewEncoder(&errors).Encode(map[string]any{"custom_id": l.ID, "response": nil, "error": map[string]any{"code": "batch_expired", "message": "late"}})
		case 2: // named in no file
			j.Status = "expired"
		case 3:
			line(&output, 200, s.completion(report, l.Body, "", `{"zz":"P"}`, true))
		case 5: // right, but for the most part not there
			line(&output, 200, s.completion(report, l.Body, "", servedAnswer(l.Body.Format.JSON.Schema.Required[:1], report), true))
		case 4:
			line(&output, 200, s.completion(report, l.Body, "no", "", true))
		default:
			s.answered[report]++
			line(&output, 200, s.completion(report, l.Body, "", servedAnswer(l.Body.Format.JSON.Schema.Required, report), true))
		}
	}
	for _, out := range []struct {
		b  *bytes.Buffer
		id **string
	}{{&output, &j.Output}, {&errors, &j.Error}} {
		if out.b.Len() > 0 {
			id := s.keep(j.ID+"_output.jsonl", "batch_output", out.b.Bytes()).ID
			*out.id = &id
		}
	}
}

func servedAnswer(keys []string, report string) string {
	answer := map[string]string{}
	for _, k := range keys {
		for code, l := range codes {
			if l.State == servedState(report) {
				answer[k] = code
			}
		}
	}
	b, _ := json.Marshal(answer)
	return string(b)
}

// completion is a good answer's body; it goes on the bill.
func (s *batchServer) completion(report string, in chatRequest, refusal, content string, batch bool) any {
	input, cached, output := int64(1000+len(report)), int64(len(report)%3), int64(len(content)+5)
	whole := (input-cached)*400_000 + cached*100_000 + output*1_600_000
	pico := whole
	if batch {
		pico = input*200_000 + output*800_000
		s.whole += whole
	}
	s.bill = bill{s.bill.requests + 1, s.bill.input + input, s.bill.cached + cached, s.bill.output + output, s.bill.pico + pico}
	message := map[string]any{"role": "assistant", "content": content}
	if refusal != "" {
		message["refusal"] = refusal
	}
	return map[string]any{"object": "chat.completion", "model": in.Model, "choices": []any{map[string]any{"finish_reason": "stop", "message": message}},
		"usage": map[string]any{"prompt_tokens": input, "completion_tokens": output, "prompt_tokens_details": map[string]any{"cached_tokens": cached}}}
}

func (s *batchServer) serveCall(w http.ResponseWriter, body []byte) {
	var in chatRequest
	if json.Unmarshal(body, &in) != nil || len(in.Messages) != 2 {
		w.WriteHeader(400)
		return
	}
	report := fenced(in.Messages[1].Content)
	s.calls++
	s.answered[report]++
	if _, live := s.live[report]; live {
		s.faults = append(s.faults, "a call about a report in a job")
	}
	json.NewEncoder(w).Encode(s.completion(report, in, "", servedAnswer(in.Format.JSON.Schema.Required, report), false))
}
