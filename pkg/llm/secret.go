package llm

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	keyEarly   = 2 * time.Minute // before a token ends, another one is fetched
	keyPause   = time.Minute     // between two runs of a command whose tokens end too soon
	keyTimeout = time.Minute     // of the command
)

// secret is an endpoint's key. What a command prints lives in this process's memory alone; the command is run again when a
// token is about to end, and when the endpoint no longer takes what it has taken before.
type secret struct {
	command string // "": the value stays

	mu    sync.Mutex
	value string
	ends  time.Time // of a token that says so
	ran   time.Time
	taken bool // the endpoint has taken the value
}

// openKey reads the key or runs its command; a client that makes no calls needs none.
func openKey(o Options) (*secret, error) {
	k := &secret{command: o.KeyCommand}
	switch {
	case o.Replay:
	case o.KeyCommand != "":
		return k, k.fetch(context.Background())
	case o.KeyEnv != "":
		if k.value = os.Getenv(o.KeyEnv); k.value == "" {
			return nil, fmt.Errorf("llm: environment variable %s holds no key: export it, or name another", o.KeyEnv)
		}
	}
	return k, nil
}

// get is the key to send.
func (k *secret) get(ctx context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.command != "" && !k.ends.IsZero() && time.Until(k.ends) < keyEarly && time.Since(k.ran) > keyPause {
		if err := k.fetch(ctx); err != nil {
			return "", err
		}
	}
	return k.value, nil
}

// took notes that the endpoint takes a key.
func (k *secret) took(value string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.taken = k.taken || k.value == value
}

// renew is told that a key was refused, and says whether there is another one to try: once for each that had been taken.
func (k *secret) renew(ctx context.Context, refused string) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.value != refused:
		return true, nil // another call has renewed it since
	case k.command == "" || !k.taken:
		return false, nil
	}
	err := k.fetch(ctx)
	return err == nil && k.value != refused, err
}

func (k *secret) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", "-c", k.command).Output()
	value := strings.TrimSpace(string(out))
	if err != nil || value == "" {
		return fmt.Errorf("%w: the key command printed no key (%v): run it by hand", ErrProvider, err)
	}
	k.taken = k.taken && value == k.value
	k.value, k.ends, k.ran = value, tokenEnd(value), time.Now()
	return nil
}

// isToken tells a JSON web token, as Entra gives them, from a key.
func isToken(value string) bool {
	return strings.HasPrefix(value, "eyJ") && strings.Count(value, ".") == 2
}

// tokenEnd is when a token ends (RFC 7519, 4.1.4); zero where it does not say.
func tokenEnd(value string) time.Time {
	if !isToken(value) {
		return time.Time{}
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(value, ".")[1])
	if err != nil || json.Unmarshal(body, &claims) != nil || claims.Exp <= 0 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0)
}

// sign puts a key where the endpoint looks for it: Azure's own keys have a header of their own, its tokens do not.
func (s site) sign(h http.Header, key string) {
	switch {
	case key == "":
	case s.azure && !isToken(key):
		h.Set("api-key", key)
	default:
		h.Set("Authorization", "Bearer "+key)
	}
}
