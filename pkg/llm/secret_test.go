package llm

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// doorman lets the keys in that it knows, and notes what it was shown.
type doorman struct {
	keys   []string // answers of the model
	takes  func(n int, key string) bool
	shown  []string
	header []string
	urls   []string
}

func (d *doorman) RoundTrip(r *http.Request) (*http.Response, error) {
	httptrace.ContextClientTrace(r.Context()).WroteHeaders()
	key, header := r.Header.Get("api-key"), "api-key"
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if key != "" {
			return nil, errors.New("two keys")
		}
		key, header = bearer, "bearer"
	}
	d.shown, d.header, d.urls = append(d.shown, key), append(d.header, header), append(d.urls, r.URL.String())
	if d.takes != nil && !d.takes(len(d.shown), key) {
		return respond(r, 401, `{"error":{"code":"401","message":"token expired"}}`), nil
	}
	return respond(r, 200, good(d.keys)), nil
}

func webToken(id string, ends time.Time) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256"}`) + "." + part(fmt.Sprintf(`{"jti":%q,"exp":%d}`, id, ends.Unix())) + "." + part("signature")
}

// turns is a command that prints one key after the other, the last one again and again; an empty one fails.
func turns(t *testing.T, keys ...string) string {
	dir := t.TempDir()
	for i, k := range keys {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("key", i)), []byte(k+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf(`cd %s; n=$(cat n 2>&1 || true); case $n in [0-9]*) ;; *) n=0 ;; esac; echo $((n+1)) > n
[ $n -lt %d ] || n=%d; k=$(cat key$n); [ -n "$k" ] || exit 3; echo "$k"`, dir, len(keys), len(keys)-1)
}

func TestKeysAreRenewed(t *testing.T) {
	later, soon := time.Now().Add(time.Hour), time.Now().Add(time.Minute)
	one, two, short := webToken("one", later), webToken("two", later), webToken("short", soon)
	for name, c := range map[string]struct {
		command []string
		takes   func(n int, key string) bool
		reports int
		shown   []string
		stops   bool
	}{
		"one key serves":                        {[]string{"k"}, nil, 3, []string{"k", "k", "k"}, false},
		"refused later, another one is fetched": {[]string{one, two}, func(n int, k string) bool { return n < 2 || k == two }, 3, []string{one, one, two, two}, false},
		"refused at once":                       {[]string{one, two}, func(int, string) bool { return false }, 1, []string{one}, true},
		"refused later, and the same again":     {[]string{one}, func(n int, _ string) bool { return n < 2 }, 2, []string{one, one}, true},
		"refused later, and the new one too":    {[]string{one, two, short}, func(n int, _ string) bool { return n < 2 }, 2, []string{one, one, two}, true},
		"refused later, and the command fails":  {[]string{one, ""}, func(n int, _ string) bool { return n < 2 }, 2, []string{one, one}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := &doorman{keys: newPrompt(ctRate(t), nil, "").keys, takes: c.takes}
			b := set(t, t.TempDir(), Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini", KeyCommand: turns(t, c.command...)}, d)
			var err error
			for i := 0; i < c.reports && err == nil; i++ {
				_, err = b.Label(t.Context(), Call{"b", "s", fmt.Sprint(i), report(i), nil})
			}
			if errors.Is(err, ErrProvider) != c.stops || err != nil && !c.stops || strings.Join(d.shown, " ") != strings.Join(c.shown, " ") {
				t.Errorf("%d keys shown, want %d: %v", len(d.shown), len(c.shown), err)
			}
			if cost := b.cost(t); cost.UnsettledMax != 0 || cost.Attempts != int64(len(c.shown)) {
				t.Errorf("%+v", cost)
			}
			if err != nil && strings.Contains(err.Error(), "eyJ") {
				t.Error("the error holds a key")
			}
		})
	}
}

// A token that is about to end is replaced before it is refused; one that always ends soon is not fetched for each call.
func TestTokensAreRenewedBeforeTheirEnd(t *testing.T) {
	now := time.Now()
	k := &secret{command: turns(t, webToken("a", now.Add(3*time.Minute)), webToken("b", now.Add(time.Minute)), webToken("c", now.Add(time.Hour)))}
	if err := k.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, err := k.get(t.Context())
	if again, _ := k.get(t.Context()); err != nil || again != first {
		t.Error("a token that lasts was replaced", err)
	}
	k.ends, k.ran = now.Add(keyEarly-time.Second), now.Add(-2*keyPause)
	second, err := k.get(t.Context())
	if err != nil || second == first {
		t.Error("a token near its end was kept", err)
	}
	if again, _ := k.get(t.Context()); again != second {
		t.Error("the command ran twice within its pause")
	}
	k.ran = now.Add(-2 * keyPause)
	if third, _ := k.get(t.Context()); third == second || tokenEnd(third).Unix() != now.Add(time.Hour).Unix() {
		t.Error("a token near its end was kept")
	}
}

func TestNoKeyIsTold(t *testing.T) {
	book, store := books(t, t.TempDir())
	for _, command := range []string{"echo", "echo half; exit 1"} {
		_, err := Open(Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini", KeyCommand: command}, ctRate(t), book, store)
		if !errors.Is(err, ErrProvider) || !strings.Contains(err.Error(), "key command") || strings.Contains(err.Error(), "half") {
			t.Error(err)
		}
	}
	c, err := Open(Options{Endpoint: "https://model.invalid", Model: "gpt-4.1-mini", KeyCommand: "exit 1", Replay: true}, ctRate(t), book, store)
	if err != nil {
		t.Fatal("a replay asked for a key: ", err)
	}
	c.Close()
}

// Azure's addresses and keys, as its reference has them (Azure OpenAI in Foundry Models REST API, 2024-10-21).
func TestAzure(t *testing.T) {
	entra := webToken("entra", time.Now().Add(time.Hour))
	for name, c := range map[string]struct{ endpoint, key, url, header, err string }{
		"a deployment":              {"https://x.openai.azure.com/openai/deployments/our-gpt?api-version=2024-10-21", "0123abcd", "https://x.openai.azure.com/openai/deployments/our-gpt/chat/completions?api-version=2024-10-21", "api-key", ""},
		"its full address":          {"https://x.openai.azure.com/openai/deployments/our-gpt/chat/completions?api-version=2024-10-21", "0123abcd", "https://x.openai.azure.com/openai/deployments/our-gpt/chat/completions?api-version=2024-10-21", "api-key", ""},
		"a token of Entra":          {"https://x.openai.azure.com/openai/deployments/our-gpt?api-version=2024-10-21", entra, "https://x.openai.azure.com/openai/deployments/our-gpt/chat/completions?api-version=2024-10-21", "bearer", ""},
		"the interface without one": {"https://x.openai.azure.com/openai/v1/", "0123abcd", "https://x.openai.azure.com/openai/v1/chat/completions", "api-key", ""},
		"behind one's own gateway":  {"https://gw.example.invalid/openai/deployments/d?api-version=2024-10-21", "0123abcd", "https://gw.example.invalid/openai/deployments/d/chat/completions?api-version=2024-10-21", "api-key", ""},
		"not Azure":                 {"https://llm.example.invalid/v1", "sk-1", "https://llm.example.invalid/v1/chat/completions", "bearer", ""},
		"no version":                {"https://x.openai.azure.com/openai/deployments/our-gpt", "k", "", "", "api-version"},
		"another query":             {"https://llm.example.invalid/v1?api-version=1&key=2", "k", "", "", "without user, fragment, or query"},
		"responses":                 {"https://llm.example.invalid/v1/responses", "k", "", "", "chat completions are spoken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SILVERBEAM_TEST_KEY", c.key)
			if c.err != "" {
				if _, err := parseSite(c.endpoint); err == nil || !strings.Contains(err.Error(), c.err) {
					t.Error(err)
				}
				return
			}
			d := &doorman{keys: newPrompt(ctRate(t), nil, "").keys}
			b := set(t, t.TempDir(), Options{Endpoint: c.endpoint, Model: "gpt-4.1-mini", KeyEnv: "SILVERBEAM_TEST_KEY"}, d)
			if _, err := b.Label(t.Context(), Call{"b", "s", "1", report(1), nil}); err != nil {
				t.Fatal(err)
			}
			if d.urls[0] != c.url || d.shown[0] != c.key || d.header[0] != c.header {
				t.Errorf("%s with %s", d.urls[0], d.header[0])
			}
		})
	}
}
