package flink

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Jars are fetched once, and only what the list names is taken for one of them. The list that meets other bytes names one jar: of two, the second's
// request is given up when the first has failed, and may reach the server at any time after.
func TestJarsAreFetchedOnceAndChecked(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var asked atomic.Int64
	var bad atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if bad.Load() {
			fmt.Fprint(w, "other")
			return
		}
		fmt.Fprint(w, "bytes")
	}))
	defer server.Close()
	one := fmt.Sprintf("# a list\n%s/\n%x 5 org/a/1/a-1.jar\n", server.URL, sha256.Sum256([]byte("bytes")))
	two := one + fmt.Sprintf("%x 5 org/b/1/b-1.jar\n", sha256.Sum256([]byte("bytes")))
	get := func(text string) (string, error) {
		l, err := readJars(text)
		if err != nil {
			t.Fatal(err)
		}
		return l.fetch(t.Context(), func(string) {})
	}
	bad.Store(true)
	if _, err := get(one); err == nil || !strings.Contains(err.Error(), "is not the file that the list names") {
		t.Fatalf("other bytes: %v", err)
	}
	bad.Store(false)
	for want, list := range map[int]string{1: one, 2: two} {
		asked.Store(0)
		for range 2 {
			dir, err := get(list)
			if err != nil {
				t.Fatal(err)
			}
			files, _ := os.ReadDir(dir)
			if b, err := os.ReadFile(filepath.Join(dir, "a-1.jar")); err != nil || string(b) != "bytes" || len(files) != want || asked.Load() != int64(want) {
				t.Errorf("a list of %d: %q, %v, %d files, %d requests", want, b, err, len(files), asked.Load())
			}
		}
	}
	server.Close()
	if _, err := get(strings.Replace(two, "a-1", "c-1", 1)); err == nil || !strings.Contains(err.Error(), "c-1.jar: ") && !strings.Contains(err.Error(), "b-1.jar: ") {
		t.Errorf("a repository that is not there: %v", err)
	}
}

func TestJarListsThatAreNone(t *testing.T) {
	for _, text := range []string{"", "https://r\n", "https://r\nabc 5 a.jar\n", "https://r\n" + strings.Repeat("0", 64) + " five a.jar\n"} {
		if _, err := readJars(text); err == nil {
			t.Errorf("%q is taken for a list", text)
		}
	}
	if l, err := openJars(""); err != nil || len(l.jars) < 100 || l.flink() != "1.19.3" {
		t.Errorf("our own: %d jars, Flink %s, %v", len(l.jars), l.flink(), err)
	}
	jar, file := strings.Repeat("0", 64)+" 5 ", filepath.Join(t.TempDir(), "jars.txt")
	for text, want := range map[string]string{"": "jars.txt: wants a repository's URL and jars", "https://r\n" + jar + "org/a/1/a-1.jar\n": "jars.txt: names no flink-runtime-VERSION.jar",
		"https://r\n" + jar + "\n": "line 2: wants SHA-256", "https://r\n" + jar + "org/apache/flink/flink-runtime/2.0.1/flink-runtime-2.0.1.jar\n": ""} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		l, err := openJars(file)
		if want == "" && (err != nil || l.flink() != "2.0.1") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: Flink %s, %v", text, l.flink(), err)
		}
	}
	if err := CheckJars(file + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestJavaVersion(t *testing.T) {
	for out, want := range map[string]int{`openjdk version "17.0.15" 2025-04-15`: 17, `java version "1.8.0_292"`: 8, `openjdk version "21" 2023-09-19`: 21, "none": 0} {
		if got := javaVersion(out); got != want {
			t.Errorf("%s: %d", out, got)
		}
	}
}

func TestRootCause(t *testing.T) {
	trace := "org.apache.flink.client.program.ProgramInvocationException: Job failed (JobID: 1)\n\tat a.b(c.java:5)\n" +
		"Caused by: org.apache.flink.runtime.JobException: Recovery is suppressed\n\tat x\nCaused by: java.util.concurrent.ExecutionException: java.lang.RuntimeException: Error received from SDK harness: no room\n\t... 3 more\n"
	if got := rootCause(trace); got != "java.lang.RuntimeException: Error received from SDK harness: no room" {
		t.Errorf("%q", got)
	}
	goError := "java.util.concurrent.ExecutionException: java.lang.RuntimeException: Error received from SDK harness for instruction 1: process bundle failed: while executing Process for Plan[2]:\n4: Discard\n\tcaused by:\nsource failed\n\tcaused by:\nno room\nfor it\n\tat java.base/x.y(z.java:1)\nCaused by: java.lang.RuntimeException: Error received from SDK harness for instruction 1: process bundle failed: while executing Process for Plan[2]:\n4: Discard\n\tcaused by:\nsource failed\n\tcaused by:\nno room\nfor it\n\tat java.base/x.y(z.java:1)\n\t... 3 more\n"
	if got := rootCause(goError); got != "no room for it" {
		t.Errorf("%q", got)
	}
	if got := rootCause("plain words\nmore"); got != "plain words" {
		t.Errorf("%q", got)
	}
}
