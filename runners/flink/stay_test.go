package flink

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A cluster that stays is found by its socket, starting or started, and told to end by it; the socket of one that was killed
// is nobody's.
func TestStandingCluster(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	if _, err := Standing(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("none: %v", err)
	}
	dir, err := stayDir()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	path := filepath.Join(dir, socketName)
	if err == nil {
		err = os.WriteFile(path, nil, 0o600) // as a killed one leaves it
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Standing(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a killed one: %v", err)
	}
	var stands atomic.Pointer[Cluster]
	ended := make(chan bool, 1)
	socket, err := answer(path, &stands, func() { ended <- true })
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if _, err := Standing(); !errors.Is(err, errNotYet) {
		t.Errorf("starting: %v", err)
	}
	if _, err := answer(path, &stands, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
	stands.Store(&Cluster{Master: "127.0.0.1:1", Slots: 3})
	if c, err := Standing(); err != nil || c.Master != "127.0.0.1:1" || c.Slots != 3 {
		t.Errorf("%+v, %v", c, err)
	}
	select {
	case <-ended:
		t.Error("who asks ends it")
	default:
	}
	go func() { _, _ = End() }() // it waits for the process, which is this one
	<-ended
}

// A cluster on which the job would fail or wait for ever is refused, with what to do.
func TestUnfitClusters(t *testing.T) {
	says := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(says)) }))
	defer server.Close()
	o := Options{Master: server.Listener.Addr().String(), Parallelism: 4}
	for text, want := range map[string]string{
		`{"flink-version":"1.19.3","taskmanagers":2,"slots-total":4}`: "",
		`{"flink-version":"1.17.2","taskmanagers":2,"slots-total":4}`: "is Flink 1.17.2",
		`{"flink-version":"1.19.3","taskmanagers":0,"slots-total":0}`: "has no TaskManager",
		`{"flink-version":"1.19.3","taskmanagers":2,"slots-total":2}`: "--parallelism 2, or a cluster with more (silverbeam flink up --slots 4)",
	} {
		says = text
		if err := fits(t.Context(), o, "1.19.3"); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
	server.Close()
	if err := fits(t.Context(), o, "1.19.3"); !isLost(err) {
		t.Errorf("nobody there: %v", err)
	}
}

// A JobManager that has just started says for a moment that it cannot serve: whoever asks it hears of the cluster all the same.
func TestABusyJobManager(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%2 == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte(`{"flink-version":"1.19.3","taskmanagers":2,"slots-total":4}`))
	}))
	defer server.Close()
	c := Cluster{Master: server.Listener.Addr().String()}
	if err := c.Ask(t.Context()); err != nil || c.TaskManagers != 2 || asked.Load() != 4 {
		t.Errorf("%+v, %v, %d requests", c, err, asked.Load())
	}
	if err := fits(t.Context(), Options{Master: c.Master, Parallelism: 4}, "1.19.3"); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for option, want := range map[string]string{"object_reuse=true": "", "max_parallelism=128": "", "execution_mode_for_batch=BATCH_FORCED": "",
		"object_reuse=yes": "one of true, false", "max_parallelism=0": "1 or more", "streaming=true": "runs as a batch job",
		"parallelism=2": "--parallelism", "objectreuse=true": "no option"} {
		name, value, _ := strings.Cut(option, "=")
		if err := CheckOption(name, value); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", option, err)
		}
	}
}

// A job is given up when nothing has gone on for long, and not before, nor while something does.
func TestWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		last := time.Now()
		go watchdog(ctx, cancel, func() time.Duration { return time.Since(last) })
		for range 5 {
			time.Sleep(stallAfter / 2)
			last = time.Now()
		}
		time.Sleep(stallAfter * 9 / 10)
		if ctx.Err() != nil {
			t.Fatal("too early")
		}
		time.Sleep(stallAfter / 5)
		if cause := context.Cause(ctx); !errors.Is(cause, errStalled) || !isLost(cause) {
			t.Errorf("%v", cause)
		}
		// What stood before the job is not its fault.
		young, cancel := context.WithCancelCause(t.Context())
		go watchdog(young, cancel, func() time.Duration { return 10 * stallAfter })
		time.Sleep(stallAfter / 2)
		if young.Err() != nil {
			t.Error("the job has just begun")
		}
		cancel(nil)
	})
}

// What is no Java, or too old a one, is told with what to install.
func TestJavaThatIsNone(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("JAVA_HOME", "")
	t.Setenv("PATH", bin)
	for _, x := range [][2]string{{"", "no Java"}, {"#!/bin/sh\necho 'java version \"1.8.0_292\"' >&2\n", "is Java 8"}, {"#!/bin/sh\nexit 1\n", "exit status 1"}} {
		script, want := x[0], x[1]
		if script != "" {
			if err := os.WriteFile(filepath.Join(bin, "java"), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := findJava(t.Context()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "openjdk-17") {
			t.Errorf("%q: %v", script, err)
		}
	}
}
