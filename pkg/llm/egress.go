package llm

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"silverbeam/pkg/ledger"
)

// egress notes what leaves this machine and what comes back: every request that passes, before it is sent, in a file that
// holds no text. A request that cannot be noted is not sent.
type egress struct {
	next  http.RoundTripper
	store *ledger.Store // its key makes digests that tell nothing to others
	file  *os.File
	n     atomic.Int64
}

// egressLine is one line of egress.jsonl. A request has two, with the same call: as it leaves, and what came of it.
type egressLine struct {
	Time    time.Time `json:"time"`
	Call    string    `json:"call"` // process and number
	Host    string    `json:"host"`
	Path    string    `json:"path,omitempty"`
	Out     int64     `json:"out,omitempty"`     // bytes of the body
	Body    string    `json:"body,omitempty"`    // its HMAC-SHA-256 under the site key; of a file of a batch, the ledger has the lines
	Removed Removed   `json:"removed,omitempty"` // from the report, by kind
	Status  int       `json:"status,omitempty"`  // of the answer; none: none came
	In      *int64    `json:"in,omitempty"`      // bytes of its body that were read
}

func openEgress(path string, next http.RoundTripper, store *ledger.Store) (*egress, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	return &egress{next: next, store: store, file: f}, err
}

func (e *egress) note(l egressLine) error {
	l.Time = time.Now().UTC()
	b, err := json.Marshal(l)
	if err == nil {
		_, err = e.file.Write(append(b, '\n')) // one write: lines of many goroutines do not mix
	}
	if err != nil {
		return fmt.Errorf("egress log: %w", err)
	}
	return nil
}

type removedKey struct{}

// RoundTrip notes a request, sends it, and notes its answer once its body was read or given up.
func (e *egress) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.GetBody != nil {
		again, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(again); err != nil {
			return nil, err
		}
	}
	removed, _ := r.Context().Value(removedKey{}).(Removed)
	l := egressLine{Call: fmt.Sprintf("%d-%d", os.Getpid(), e.n.Add(1)), Host: r.URL.Host, Path: r.URL.Path, Out: max(r.ContentLength, 0), Removed: removed}
	if body != nil {
		id := e.store.Identity("egress", string(body))
		l.Body = hex.EncodeToString(id[:])
	}
	if err := e.note(l); err != nil {
		return nil, err
	}
	resp, err := e.next.RoundTrip(r)
	if err != nil {
		return nil, errors.Join(err, e.note(egressLine{Call: l.Call, Host: l.Host}))
	}
	resp.Body = &counted{ReadCloser: resp.Body, done: func(n int64) error {
		return e.note(egressLine{Call: l.Call, Host: l.Host, Status: resp.StatusCode, In: &n})
	}}
	return resp, nil
}

// counted counts the bytes of a body, and tells their number once, at its end.
type counted struct {
	io.ReadCloser
	n    int64
	told bool
	done func(int64) error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) Close() error {
	err := c.ReadCloser.Close()
	if !c.told {
		c.told = true
		err = errors.Join(err, c.done(c.n))
	}
	return err
}
