package llm

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"time"

	openai "github.com/sashabaranov/go-openai"
)

// remote is the files and batches of an endpoint. Its types are go-openai's; its requests are not, as those hold whole
// files in memory and lose what a refusal says of waiting.
type remote struct {
	*Client
	*endpoint
}

// uncertainError says of a request that it may have done its work all the same.
type uncertainError struct{ error }

func (e uncertainError) Unwrap() error { return e.error }

// retryError says that a request did nothing, or can do no harm, and may be sent again after a while.
type retryError struct {
	error
	wait time.Duration // what the server asks for at least
}

// errGone says that the provider knows no such thing, or no such request.
var errGone = errors.New("the provider knows it no longer")

const (
	transferRate = 100_000 // bytes a second: a slower transfer is given up
	listed       = 100     // entries a page
)

// send makes one request and hands the answer's body on. An error of its own kind says what can follow; every other one
// stops the run.
func (r remote) send(ctx context.Context, method, path, contentType string, body io.Reader, size int64, take func(io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := time.AfterFunc(r.o.Timeout+time.Duration(size/transferRate)*time.Second, cancel)
	defer watch.Stop()
	req, err := http.NewRequestWithContext(ctx, method, r.site.base+path, body)
	if err != nil {
		return errors.New("llm: batches: no request can be made of the endpoint")
	}
	req.ContentLength = size
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	key, err := r.key.get(ctx)
	if err != nil {
		return err
	}
	r.site.sign(req.Header, key)
	resp, err := r.http.RoundTrip(req)
	if err != nil {
		if why := hopeless(err); why != "" && !r.met.Load() {
			return fmt.Errorf("%w: %s: %s", ErrProvider, r.site.host, why)
		}
		return uncertainError{errors.New("no answer from " + r.site.host)}
	}
	defer resp.Body.Close()
	r.met.Store(true)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return r.refusal(ctx, resp, key)
	}
	r.key.took(key)
	if err := take(&watched{resp.Body, watch, r.o.Timeout}); err != nil {
		return uncertainError{errors.New("no whole answer from " + r.site.host)}
	}
	return nil
}

// watched puts the end of a silent connection off with every read.
type watched struct {
	io.Reader
	timer *time.Timer
	limit time.Duration
}

func (w *watched) Read(b []byte) (int, error) {
	w.timer.Reset(w.limit)
	return w.Reader.Read(b)
}

// refusal reads an HTTP error. A key that has ended is no error where there is another one.
func (r remote) refusal(ctx context.Context, resp *http.Response, key string) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	e := readError(body)
	code := plain(fmt.Sprint(orEmpty(e.Code)))
	s := resp.StatusCode
	at := fmt.Errorf("%s: status %d %s", r.site.host, s, code)
	wait := retryAfter(resp.Header, time.Now())
	if s == 401 {
		renewed, err := r.key.renew(ctx, key)
		if err != nil {
			return err
		}
		if renewed {
			return retryError{at, wait}
		}
	}
	switch {
	case s == 404 || s == 405 || s == 410:
		return fmt.Errorf("%w: %w", errGone, at)
	case s == 429 && code != "insufficient_quota" && code != "billing_hard_limit_reached":
		return retryError{at, wait}
	case s == 408 || s == 409 || s == 425 || s >= 500:
		return uncertainError{retryError{at, wait}}
	}
	return fmt.Errorf("%w: %w", ErrProvider, at)
}

// insist sends a request that may be sent any number of times, until it is answered or for as long as a report may take.
func (r remote) insist(ctx context.Context, method, path string, take func(io.Reader) error) error {
	deadline := time.Now().Add(r.o.Deadline)
	for failures := 1; ; failures++ {
		err := r.send(ctx, method, path, "", nil, 0, take)
		var unsure uncertainError
		var later retryError
		if err == nil || ctx.Err() != nil || !errors.As(err, &unsure) && !errors.As(err, &later) {
			return errors.Join(err, ctx.Err())
		}
		if err := r.pause(ctx, later.wait, failures, deadline, err); err != nil {
			return err
		}
	}
}

// pause waits before a request is sent again, as calls do; files and batches have no part in their limits.
func (r remote) pause(ctx context.Context, asked time.Duration, failures int, deadline time.Time, why error) error {
	wait := asked + r.jitter(min(longestWait, firstWait<<min(failures-1, 10)))
	if time.Now().Add(wait).After(deadline) {
		return fmt.Errorf("%w: %w after %d tries in %s", ErrTemporary, why, failures, r.o.Deadline)
	}
	return sleep(ctx, wait)
}

func decode(into any) func(io.Reader) error {
	return func(b io.Reader) error { return json.NewDecoder(b).Decode(into) }
}

// upload sends a job's file. Whoever is not sure that it arrived looks for its name.
func (r remote) upload(ctx context.Context, name string, f *os.File, size int64) (file openai.File, err error) {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	err = form.WriteField("purpose", string(openai.PurposeBatch))
	if err == nil {
		_, err = form.CreateFormFile("file", name)
	}
	if err != nil {
		return file, err
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	body := io.MultiReader(&head, io.NewSectionReader(f, 0, size), bytes.NewReader([]byte(tail)))
	total := int64(head.Len()) + size + int64(len(tail))
	err = r.send(ctx, http.MethodPost, "/files", form.FormDataContentType(), body, total, decode(&file))
	if err == nil && file.ID == "" {
		err = uncertainError{errors.New("the answer to an upload names no file")}
	}
	return file, err
}

// files gives the files of batches, page by page, until f says that it has seen enough.
func (r remote) files(ctx context.Context, enough func(openai.File) bool) error {
	after := ""
	for {
		var page struct {
			Data    []openai.File `json:"data"`
			HasMore bool          `json:"has_more"`
		}
		path := fmt.Sprintf("/files?purpose=batch&limit=%d%s", listed, after)
		err := r.insist(ctx, http.MethodGet, path, decode(&page))
		if errors.Is(err, errGone) {
			return nil // it has no list: a file that arrived without a word stays there, unused
		}
		if err != nil {
			return err
		}
		for _, f := range page.Data {
			if enough(f) {
				return nil
			}
		}
		if !page.HasMore || len(page.Data) == 0 {
			return nil
		}
		after = "&after=" + url.QueryEscape(page.Data[len(page.Data)-1].ID)
	}
}

// batches gives the jobs of the account, as files does; the newest come first.
func (r remote) batches(ctx context.Context, enough func(openai.Batch) bool) error {
	after := ""
	for {
		var page openai.ListBatchResponse
		if err := r.insist(ctx, http.MethodGet, fmt.Sprintf("/batches?limit=%d%s", listed, after), decode(&page)); err != nil {
			return err
		}
		for _, b := range page.Data {
			if enough(b) {
				return nil
			}
		}
		if !page.HasMore || len(page.Data) == 0 {
			return nil
		}
		after = "&after=" + url.QueryEscape(page.Data[len(page.Data)-1].ID)
	}
}

// create begins a job: what is paid for. It is sent once; an uncertainError says that it may have begun.
func (r remote) create(ctx context.Context, file string, metadata map[string]any) (b openai.Batch, err error) {
	body, err := json.Marshal(openai.CreateBatchRequest{InputFileID: file, Endpoint: openai.BatchEndpointChatCompletions, CompletionWindow: "24h", Metadata: metadata})
	if err != nil {
		return b, err
	}
	err = r.send(ctx, http.MethodPost, "/batches", "application/json", bytes.NewReader(body), int64(len(body)), decode(&b))
	if err == nil && b.ID == "" {
		err = uncertainError{errors.New("the answer to a new batch names none")}
	}
	return b, err
}

func (r remote) retrieve(ctx context.Context, id string) (b openai.Batch, err error) {
	err = r.insist(ctx, http.MethodGet, "/batches/"+url.PathEscape(id), decode(&b))
	return b, err
}

// lines reads a file line by line. After a cut it begins again from the first: line must bear that.
func (r remote) lines(ctx context.Context, file string, line func([]byte) error) error {
	var failed error // of line: no reason to read again
	err := r.insist(ctx, http.MethodGet, "/files/"+url.PathEscape(file)+"/content", func(b io.Reader) error {
		s := bufio.NewScanner(b)
		s.Buffer(make([]byte, 1<<16), maxBody)
		for s.Scan() {
			if failed = line(s.Bytes()); failed != nil {
				return nil
			}
		}
		return s.Err()
	})
	return errors.Join(failed, err)
}

// remove deletes a file at the provider; one that is gone is fine.
func (r remote) remove(ctx context.Context, file string) error {
	err := r.insist(ctx, http.MethodDelete, "/files/"+url.PathEscape(file), func(b io.Reader) error {
		_, err := io.Copy(io.Discard, b)
		return err
	})
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}
