package llm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"

	openai "github.com/sashabaranov/go-openai"
)

// fakeBatches is the batch interface of a fake endpoint. Its faults are those of calls: p429 and p500 put a line into the
// error file, pcut lets it expire, pschema gives it a wrong answer. All of it ends with the process.
type fakeBatches struct {
	mu    sync.Mutex
	files map[string]*fakeFile
	jobs  map[string]*openai.Batch
	order []*openai.Batch // newest first
	polls map[string]int
}

type fakeFile struct {
	openai.File
	output, errors bytes.Buffer // of an input file: what its lines will bring. Their texts are not kept
	completed      int
	failed         int
}

// serveBatches answers one request to files or batches.
func (f *fake) serveBatches(r *http.Request) *http.Response {
	b := &f.batches
	b.mu.Lock()
	defer b.mu.Unlock()
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	if path = append(path, "", ""); path[0] == "files" {
		return f.serveFiles(r, path[1])
	}
	switch job := b.jobs[path[1]]; {
	case r.Method == http.MethodPost && path[1] == "":
		var in openai.CreateBatchRequest
		file := (*fakeFile)(nil)
		if json.NewDecoder(r.Body).Decode(&in) == nil {
			file = b.files[in.InputFileID]
		}
		if file == nil {
			return respond(r, http.StatusBadRequest, `{"error":{"message":"no such input file"}}`)
		}
		return answer(r, b.begin(in, file))
	case path[1] == "":
		return answer(r, map[string]any{"object": "list", "data": b.order, "has_more": false})
	case job == nil:
		return respond(r, http.StatusNotFound, `{"error":{"message":"no such batch"}}`)
	default:
		if b.polls[job.ID]++; b.polls[job.ID] > 1 { // once it is still at work
			b.finish(job)
		}
		return answer(r, job)
	}
}

func (b *fakeBatches) begin(in openai.CreateBatchRequest, f *fakeFile) *openai.Batch {
	job := &openai.Batch{ID: fmt.Sprint("batch_", len(b.jobs)+1), Object: "batch", Endpoint: in.Endpoint, InputFileID: in.InputFileID,
		CompletionWindow: in.CompletionWindow, Status: "in_progress", Metadata: in.Metadata}
	job.RequestCounts = openai.BatchRequestCounts{Total: f.completed + f.failed, Completed: f.completed / 2}
	b.jobs[job.ID] = job
	b.order = append([]*openai.Batch{job}, b.order...)
	return job
}

func (b *fakeBatches) finish(job *openai.Batch) {
	in := b.files[job.InputFileID]
	if job.Status == "completed" || in == nil {
		return
	}
	job.Status = "completed"
	job.RequestCounts.Completed, job.RequestCounts.Failed = in.completed, in.failed
	for _, out := range []struct {
		text *bytes.Buffer
		name **string
	}{{&in.output, &job.OutputFileID}, {&in.errors, &job.ErrorFileID}} {
		if out.text.Len() > 0 {
			id := fmt.Sprint("file_", len(b.files)+1)
			b.files[id] = &fakeFile{File: openai.File{ID: id, Purpose: "batch_output"}, output: *out.text}
			*out.name = &id
		}
	}
}

func (f *fake) serveFiles(r *http.Request, id string) *http.Response {
	b := &f.batches
	file := b.files[id]
	switch {
	case r.Method == http.MethodPost:
		file, err := f.receive(r)
		if err != nil {
			return respond(r, http.StatusBadRequest, `{"error":{"message":"not a file of lines"}}`)
		}
		file.ID = fmt.Sprint("file_", len(b.files)+1)
		b.files[file.ID] = file
		return answer(r, file.File)
	case id == "":
		data := []openai.File{}
		for _, f := range b.files {
			if f.Purpose == string(openai.PurposeBatch) {
				data = append(data, f.File)
			}
		}
		return answer(r, map[string]any{"object": "list", "data": data, "has_more": false})
	case file == nil || file.Status == "deleted":
		return respond(r, http.StatusNotFound, `{"error":{"message":"no such file"}}`)
	case r.Method == http.MethodDelete:
		b.files[id] = &fakeFile{File: openai.File{Status: "deleted"}} // its number stays taken
		return answer(r, map[string]any{"id": id, "deleted": true})
	}
	return respond(r, http.StatusOK, file.output.String())
}

// receive works on the lines of an upload as they come.
func (f *fake) receive(r *http.Request) (*fakeFile, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		p, err := form.NextPart()
		if err != nil {
			return nil, err
		}
		if p.FormName() == "file" {
			return f.work(p)
		}
	}
}

func (f *fake) work(p *multipart.Part) (*fakeFile, error) {
	out := &fakeFile{File: openai.File{FileName: p.FileName(), Object: "file", Purpose: string(openai.PurposeBatch)}}
	lines := bufio.NewReader(p)
	for {
		text, err := lines.ReadBytes('\n')
		out.Bytes += len(text)
		var line struct {
			ID   string      `json:"custom_id"`
			Body chatRequest `json:"body"`
		}
		if len(text) > 0 && (json.Unmarshal(text, &line) != nil || len(line.Body.Messages) != 2) {
			return nil, errNoObject
		}
		if len(text) > 0 {
			f.answerLine(out, line.ID, line.Body)
		}
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (f *fake) answerLine(out *fakeFile, id string, in chatRequest) {
	report := fenced(in.Messages[1].Content)
	line := func(to *bytes.Buffer, status int, body string) {
		fmt.Fprintf(to, `{"custom_id":%q,"response":{"status_code":%d,"request_id":"fake","body":%s},"error":null}`+"\n", id, status, body)
	}
	switch what := f.next(report); what {
	case tooMany:
		line(&out.errors, http.StatusTooManyRequests, `{"error":{"message":"slow down","code":"rate_limit_exceeded"}}`)
	case broken:
		line(&out.errors, http.StatusInternalServerError, `{"error":{"message":"something broke"}}`)
	case cut:
		fmt.Fprintf(&out.errors, `{"custom_id":%q,"response":null,"error":{"code":"batch_expired","message":"not in time"}}`+"\n", id)
	default:
		line(&out.output, http.StatusOK, f.complete(in, report, len(in.Messages[0].Content)+len(in.Messages[1].Content), what == wrong))
		out.completed++
		return
	}
	out.failed++
}

func answer(r *http.Request, v any) *http.Response {
	b, err := json.Marshal(v)
	if err != nil {
		panic("llm: " + err.Error()) // plain values always marshal
	}
	return respond(r, http.StatusOK, string(b))
}
