package llm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// accepting is a server that does so with each connection, and closes it then.
func accepting(t *testing.T, serve func(c net.Conn, in *bufio.Reader)) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// answering is a server that reads a request and says what it is told to, whatever that is, on each connection once.
func answering(t *testing.T, say string) (address string) {
	return accepting(t, func(c net.Conn, in *bufio.Reader) {
		if r, err := http.ReadRequest(in); err == nil {
			io.Copy(io.Discard, r.Body)
			io.WriteString(c, say)
		}
	})
}

func post(ctx context.Context, rt http.RoundTripper, address, body string) (answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, "POST", address, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, resp.Header, string(b), resp.ContentLength), err
}

// Whatever a server says, net/http's own transport reads the same of it.
func TestDirectReadsAsNetHTTP(t *testing.T) {
	for name, say := range map[string]string{
		"length":           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-Id: a\r\n\r\n{}",
		"chunks":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\nX-End: 1\r\n\r\n",
		"to the end":       "HTTP/1.1 200 OK\r\n\r\n{}",
		"of HTTP/1.0":      "HTTP/1.0 429 Slow Down\r\nRetry-After: 1\r\n\r\n{}",
		"no content":       "HTTP/1.1 204 No Content\r\n\r\n",
		"hints before":     "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"more than told":   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}",
		"less than told":   "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
		"no last chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		"bad chunk":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"no head":          "HTTP/1.1 200 OK\r\nContent-Le",
		"no HTTP":          "SSH-2.0-OpenSSH_9.2\r\n",
		"nothing":          "",
		"another protocol": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"a head too long":  "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 12<<20) + "\r\nContent-Length: 0\r\n\r\n",
	} {
		d := transport(1)
		address := answering(t, say)
		got, err := post(t.Context(), d, address, "{}")
		want, wantErr := post(t.Context(), d.next, address, "{}")
		if got != want || (err == nil) != (wantErr == nil) {
			t.Errorf("%s: %.200s, %v; net/http has %.200s, %v", name, got, err, want, wantErr)
		}
		d.CloseIdleConnections()
	}
}

// A connection is used again after a whole answer, and one that its server has closed is not.
func TestDirectConnections(t *testing.T) {
	var accepted atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err != nil || len(b) != int(r.ContentLength) || r.UserAgent() == "" {
			t.Error(len(b), r.ContentLength, err)
		}
		switch r.URL.Path {
		case "/close":
			w.Header().Set("Connection", "close")
		case "/hang":
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		io.WriteString(w, r.Method)
	}))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			accepted.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	d := transport(4)
	defer d.CloseIdleConnections()
	ask := func(path, body string, connections int32) {
		t.Helper()
		if got, err := post(t.Context(), d, s.URL+path, body); err != nil || !strings.Contains(got, "POST") {
			t.Error(path, got, err)
		}
		if n := accepted.Load(); n != connections {
			t.Errorf("%s: %d connections, not %d", path, n, connections)
		}
	}
	ask("/", "{}", 1)
	ask("/", strings.Repeat("x", maxDirect), 1)
	s.CloseClientConnections()
	time.Sleep(20 * time.Millisecond)
	ask("/", "{}", 2)
	ask("/close", "{}", 2)
	ask("/", "{}", 3)
	d.idle[s.Listener.Addr().String()][0].since = time.Now().Add(-2 * longestIdle)
	ask("/", "{}", 4)
	ask("/", strings.Repeat("x", maxDirect+1), 5) // is not put together in memory

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := post(ctx, d, s.URL+"/hang", "{}"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error("in a body:", err)
	}
	ask("/", "{}", 6) // that of the body that did not end is not used again
	r, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL, nil)
	resp, err := d.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() // unread
	ask("/", "{}", 7)
	d.CloseIdleConnections()
	ask("/", "{}", 8)
}

// A server that closes without saying so costs no call, and what it says late is nobody's answer.
func TestDirectAgainstRudeServers(t *testing.T) {
	for name, rude := range map[string]func(c net.Conn) (closes bool){
		"closes": func(net.Conn) bool { return true },
		"speaks": func(c net.Conn) bool {
			io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 13\r\n\r\nanswer to 999")
			return false
		},
	} {
		address := accepting(t, func(c net.Conn, in *bufio.Reader) {
			for n := 1; ; n++ {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				body, _ := io.ReadAll(r.Body)
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nanswer to %s", body)
				if n%3 == 0 && rude(c) {
					return
				}
			}
		})
		d := transport(1)
		defer d.CloseIdleConnections()
		for i := range 60 {
			body := fmt.Sprint(100 + i)
			if got, err := post(t.Context(), d, address, body); err != nil || !strings.Contains(got, "answer to "+body) {
				t.Errorf("a server that %s, request %d: %s, %v", name, i, got, err)
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
}

// It is told what has left: of a request that nothing of has, nothing is owed.
func TestDirectTellsWhatLeft(t *testing.T) {
	mute := answering(t, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for address, want := range map[string]bool{mute: true, "http://" + l.Addr().String(): false} {
		left := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteHeaders: func() { left = true }})
		if got, err := post(ctx, transport(1), address, "{}"); err == nil || left != want {
			t.Errorf("%s, %v, left %v", got, err, left)
		}
	}
	silent := newPipes() // accepts and never answers
	go func() {
		c, err := silent.Accept()
		if err == nil {
			io.Copy(io.Discard, c)
		}
	}()
	defer silent.Close()
	d := transport(1)
	d.next.DialContext = func(context.Context, string, string) (net.Conn, error) { return silent.dial() }
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := post(ctx, d, "http://a.invalid", "{}"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	// One whose context has ended does not go out on a connection that is there.
	var requests atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer s.Close()
	d = transport(1)
	defer d.CloseIdleConnections()
	if _, err := post(t.Context(), d, s.URL, "{}"); err != nil {
		t.Fatal(err)
	}
	if _, err := post(ctx, d, s.URL, "{}"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// What goes through a proxy, by TLS, to a host in other letters, or may be refused before all of it has left, is net/http's.
func TestDirectLeavesTheRest(t *testing.T) {
	d := transport(1)
	asked := ""
	d.next.DialContext = func(_ context.Context, _, address string) (net.Conn, error) {
		asked = address
		return nil, io.EOF
	}
	if _, err := post(t.Context(), d, "http://bücher.example/v1", "{}"); err == nil || asked != "xn--bcher-kva.example:80" {
		t.Error(asked, err)
	}
	early := accepting(t, func(c net.Conn, in *bufio.Reader) {
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		http.ReadRequest(in) // its head
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
		<-t.Context().Done()
	})
	if got, err := post(t.Context(), transport(1), early, strings.Repeat("x", 8<<20)); err != nil || !strings.Contains(got, "413") {
		t.Error(got, err)
	}

	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "by the proxy to "+r.Host) }))
	defer proxy.Close()
	d = transport(1)
	defer d.CloseIdleConnections()
	d.next.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	if got, err := post(t.Context(), d, "http://model.invalid/v1", "{}"); err != nil || !strings.Contains(got, "by the proxy to model.invalid") {
		t.Error(got, err)
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	defer s.Close()
	d = transport(1)
	defer d.CloseIdleConnections()
	d.next.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
	if got, err := post(t.Context(), d, s.URL, "{}"); err != nil || !strings.Contains(got, "HTTP/") {
		t.Error(got, err)
	}
}
