package llm

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
)

const (
	longestIdle = time.Minute
	maxHead     = 1 << 20  // bytes of an answer before its body
	maxDirect   = 64 << 10 // bytes of a request's body: more may not leave at once, and an answer that comes before must be seen
)

var errHead = errors.New("the head of the answer is too large")

// direct sends requests over HTTP/1.1 to servers that are reached without TLS and without a proxy, as models of one's own
// mostly are. net/http's transport has two goroutines for each connection, and handing a call from one to the next is a
// tenth of what a call to a quick server costs; here whoever asks writes and reads himself, in net/http's own notation.
// All other requests go through next.
type direct struct {
	next *http.Transport

	mu   sync.Mutex
	idle map[string][]*directConn // by host and port; the last was used last
}

// directConn is a connection with at most one request under way.
type directConn struct {
	net.Conn
	host   string
	socket syscall.RawConn // nil: of another kind
	peek   [1]byte
	in     *bufio.Reader
	room   int64        // bytes that may still be read
	out    bytes.Buffer // the request
	since  time.Time    // of one that is idle
}

// Read is in's, and bounds what a server can make it hold.
func (c *directConn) Read(p []byte) (int, error) {
	if c.room <= 0 {
		return 0, errHead
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.room)])
	c.room -= int64(n)
	return n, err
}

// gone says whether the other side has closed an idle connection, or spoken without being asked: its next answer would be taken
// for that of another request.
func (c *directConn) gone() bool {
	if c.socket == nil {
		return false
	}
	var look error
	err := c.socket.Control(func(fd uintptr) {
		_, _, look = syscall.Recvfrom(int(fd), c.peek[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err != nil || look != syscall.EAGAIN
}

// RoundTrip sends a request and reads the head of its answer. Like net/http's it sends a request anew, on another connection,
// only where nothing of it has left; its error is or wraps the context's where that ended.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Hostname()
	if proxy, err := d.next.Proxy(r); r.URL.Scheme != "http" || proxy != nil || err != nil || r.ContentLength < 0 || r.ContentLength > maxDirect || !ascii(host) {
		return d.next.RoundTrip(r)
	}
	ctx := r.Context()
	for {
		c, used, err := d.connect(ctx, net.JoinHostPort(host, cmp.Or(r.URL.Port(), "80")))
		if err != nil {
			if r.Body != nil {
				r.Body.Close()
			}
			return nil, err
		}
		b := &directBody{d: d, c: c, ctx: ctx, stop: context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })}
		resp, sent, err := c.ask(r)
		if err == nil {
			b.ReadCloser, b.keep = resp.Body, !resp.Close && !r.Close
			resp.Body = b
			return resp, nil
		}
		err = b.end(err)
		if sent || !used || ctx.Err() != nil || r.Body != nil && r.GetBody == nil {
			return nil, err
		}
		if r.Body != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

func ascii(host string) bool {
	return strings.IndexFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

// ask writes a request at once and reads the head of its answer. sent says whether anything of it has left.
func (c *directConn) ask(r *http.Request) (resp *http.Response, sent bool, err error) {
	c.out.Reset()
	if err := r.Write(&c.out); err != nil {
		return nil, false, err
	}
	n, failed := c.Write(c.out.Bytes())
	if n == 0 {
		return nil, false, failed
	}
	if t := httptrace.ContextClientTrace(r.Context()); t != nil && t.WroteHeaders != nil {
		t.WroteHeaders()
	}
	c.room = maxHead
	for { // what a server says before its answer is left out
		if resp, err = http.ReadResponse(c.in, r); err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	if err == nil {
		c.room = math.MaxInt64                   // whoever reads the body bounds it
		resp.Close = resp.Close || failed != nil // refused before all of it was there
	}
	return resp, true, err
}

// connect takes an idle connection, or makes one.
func (d *direct) connect(ctx context.Context, host string) (c *directConn, used bool, err error) {
	if err := ctx.Err(); err != nil { // to end it later would be too late for a request that is written at once
		return nil, false, err
	}
	for {
		d.mu.Lock()
		idle := d.idle[host]
		if len(idle) == 0 {
			d.mu.Unlock()
			break
		}
		c := idle[len(idle)-1]
		d.idle[host] = idle[:len(idle)-1]
		d.mu.Unlock()
		if time.Since(c.since) < longestIdle && !c.gone() {
			return c, true, nil
		}
		c.Close()
	}
	conn, err := d.next.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, false, err
	}
	c = &directConn{Conn: conn, host: host}
	c.in = bufio.NewReaderSize(c, 16<<10)
	if s, ok := conn.(syscall.Conn); ok {
		c.socket, err = s.SyscallConn()
	}
	return c, false, err
}

// keep has a connection wait for its next request.
func (d *direct) keep(c *directConn) {
	c.since = time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	idle := append(d.idle[c.host], c)
	for c.since.Sub(idle[0].since) > longestIdle {
		idle[0].Close()
		idle = idle[1:]
	}
	d.idle[c.host] = idle
}

// CloseIdleConnections closes those that wait for a request.
func (d *direct) CloseIdleConnections() {
	d.next.CloseIdleConnections()
	d.mu.Lock()
	defer d.mu.Unlock()
	for host, idle := range d.idle {
		for _, c := range idle {
			c.Close()
		}
		delete(d.idle, host)
	}
}

// directBody is an answer's body. At its end the connection is idle; one that is closed before is of no use any more.
type directBody struct {
	io.ReadCloser
	d    *direct
	c    *directConn
	ctx  context.Context
	stop func() bool
	keep bool
	over bool
}

func (b *directBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		err = b.end(err)
	}
	return n, err
}

func (b *directBody) Close() error {
	b.end(net.ErrClosed)
	return nil
}

// end gives up the connection or keeps it, and says why it was given up.
func (b *directBody) end(why error) error {
	if b.over {
		return why
	}
	b.over = true
	if b.stop() && why == io.EOF && b.keep && b.c.in.Buffered() == 0 {
		b.d.keep(b.c)
		return why
	}
	b.c.Close()
	if why != io.EOF && b.ctx.Err() != nil {
		return b.ctx.Err()
	}
	return why
}
