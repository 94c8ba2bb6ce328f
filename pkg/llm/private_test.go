package llm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Words that stand for what must never leave: they are in the report, the key, and in whatever a server sends back.
const (
	secretReport = "Quokka Zyxwvut, effusion"
	secretAnswer = "Wombat reasoning, aloud"
	secretKey    = "sk-Numbat0123456789"
)

func secretIn(s string) string {
	for _, w := range []string{"Quokka", "Zyxwvut", "Wombat", "Numbat"} {
		if strings.Contains(s, w) {
			return w
		}
	}
	return ""
}

func TestNothingPrivateLeaves(t *testing.T) {
	t.Setenv("SILVERBEAM_TEST_KEY", secretKey)
	echo := secretReport + " " + secretAnswer + " " + secretKey
	message := fmt.Sprintf(`{"error":{"message":%q,"type":%q,"code":%q,"param":%q},"usage":{"prompt_tokens":1,"note":%q,%q:3}}`, echo, echo, echo, echo, echo, echo)
	head := "X-Request-Id: " + echo + "\nRetry-After: 0"
	answer := fmt.Sprintf(`{"model":%q,"system_fingerprint":%q,"choices":[{"finish_reason":%q,"message":{"content":%q,"refusal":%q}}],"usage":{"prompt_tokens":1,"x":{%q:1,"y":%q}}}`,
		echo, echo, echo, echo, "", echo, echo)
	declined := fmt.Sprintf(`{"choices":[{"message":{"refusal":%q}}]}`, echo)
	wrongKey := chat(fmt.Sprintf(`{%q:"P"}`, echo), "stop", "")
	for name, steps := range map[string][]step{
		"400":              {{400, head, message}},
		"401":              {{401, head, message}},
		"404":              {{404, head, message}},
		"500, no retry":    {{500, head + "\nX-Should-Retry: false", message}},
		"429, long":        {{429, "Retry-After: 99999", message}},
		"proxy's page":     {{400, head, "<html>" + echo}},
		"a bad answer":     {{200, head, answer}, {200, head, wrongKey}, {200, head, "[" + echo}, {200, head, answer}},
		"declined":         {{200, head, declined}},
		"elsewhere":        {{302, "Location: https://elsewhere.invalid/?q=" + strings.ReplaceAll(echo, " ", "+"), ""}},
		"learned, then no": {{400, head, `{"error":{"message":"response_format ` + echo + `"}}`}, {400, head, message}},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := play(t, Options{KeyEnv: "SILVERBEAM_TEST_KEY"}, steps...)
			_, err := b.Label(t.Context(), Call{"b", "label.Reports", "study-1", secretReport, nil})
			if err == nil {
				t.Error("no error")
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if w := secretIn(fmt.Sprintf("%v %+v %#v", e, e, e)); w != "" {
					t.Errorf("an error holds %s", w)
				}
			}
			if !strings.Contains(s.bodies[0], "Quokka") {
				t.Error("the test sends no report")
			}
			noSecretFiles(t, b.dir)
			b.shut(t)
			noSecretFiles(t, b.dir)
		})
	}
	t.Run("labels", func(t *testing.T) {
		b, _ := play(t, Options{KeyEnv: "SILVERBEAM_TEST_KEY"}, step{200, head, strings.Replace(good(newPrompt(ctRate(t), nil, "").keys), `"usage":{`, `"usage":{"note":"`+echo+`",`, 1)})
		if _, err := b.Label(t.Context(), Call{"b", "label.Reports", "study-1", secretReport, nil}); err != nil {
			t.Fatal(err)
		}
		noSecretFiles(t, b.dir)
	})
}

func noSecretFiles(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	found := false
	for _, f := range files {
		p, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if w := secretIn(string(p)); w != "" {
			t.Errorf("%s holds %s", filepath.Base(f), w)
		}
		found = found || bytes.Contains(p, []byte("study-1"))
		if info, err := os.Stat(f); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, %v", filepath.Base(f), info.Mode(), err)
		}
	}
	if !found {
		t.Error("the test reads files in which it would find nothing")
	}
}

func TestEndpointsAreNamedWithoutSecrets(t *testing.T) {
	for _, e := range []string{"https://user:Numbat@host/v1", "https://host/v1?key=Numbat", "ftp://Numbat", "https://ho st/Numbat", "fake://Numbat", "fake://rules?Numbat=1", "https:///Numbat"} {
		_, err := parseSite(e)
		if err == nil || strings.Contains(err.Error(), "user:") || strings.Contains(err.Error(), "key=N") {
			t.Errorf("%v", err)
		}
	}
	for in, want := range map[string]string{"http://h:1": "http://h:1/v1", "http://h/": "http://h/v1", "https://h/api/v1/": "https://h/api/v1", "https://h/v1/chat/completions": "https://h/v1"} {
		if s, err := parseSite(in); err != nil || s.base != want {
			t.Error(in, s.base, err)
		}
	}
}
