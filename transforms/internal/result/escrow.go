package result

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
)

// Escrow is what is settled before the judged split is scored.
type Escrow struct {
	Type    string `json:"type"`
	Model   string `json:"model"`  // digest of the weights
	Data    string `json:"data"`   // digest of the data set
	Split   string `json:"split"`  // judged
	Labels  string `json:"labels"` // digest of what it is judged by
	Primary string `json:"primary,omitempty"`

	Prompts    []map[string][2]string          `json:"prompts,omitempty"` // finding → positive and negative; several are averaged
	Method     string                          `json:"method,omitempty"`  // how scores or a pool are made, where there is a choice
	Tuned      string                          `json:"tuned_on,omitempty"`
	Thresholds map[string]float64              `json:"thresholds,omitempty"`
	Platt      map[string]*metrics.Calibration `json:"platt,omitempty"`
}

// sealed is a line of eval/STEP.escrow.jsonl.
type sealed struct {
	Digest string    `json:"digest"`
	Sealed time.Time `json:"sealed"`
	Escrow Escrow    `json:"escrow"`
}

// Digest is the hex SHA-256 of what is settled.
func (e Escrow) Digest() string {
	b, err := json.Marshal(e)
	if err != nil {
		panic("result: " + err.Error()) // thresholds are finite
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// Seal writes the escrow down, durably, and gives its digest. seen is the digest of another escrow under which the same
// scores may have been opened before: of the same model, data, split and labels; "" if there is none.
func (e Escrow) Seal(run, step string, now time.Time) (digest, seen string, err error) {
	digest = e.Digest()
	path := escrowFile(run, step)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	known := false
	for line := range bytes.Lines(text) {
		var old sealed
		if err := json.Unmarshal(line, &old); err != nil {
			return "", "", fmt.Errorf("%s: %w", path, err)
		}
		switch o := old.Escrow; {
		case old.Digest == digest:
			known = true
		case o.Model == e.Model && o.Data == e.Data && o.Split == e.Split && o.Labels == e.Labels:
			seen = old.Digest
		}
	}
	if known {
		return digest, seen, nil
	}
	line, err := json.Marshal(sealed{digest, now.UTC().Truncate(time.Second), e})
	if err != nil {
		return "", "", err
	}
	return digest, seen, shard.WriteFile(path, append(text, append(line, '\n')...))
}

func escrowFile(run, step string) string { return filepath.Join(run, "eval", step+".escrow.jsonl") }

// Sealed is the digest of the last escrow of a step; "" if there is none.
func Sealed(run, step string) string {
	var last sealed
	text, _ := os.ReadFile(escrowFile(run, step))
	for line := range bytes.Lines(text) {
		_ = json.Unmarshal(line, &last) // Seal says what is wrong with it
	}
	return last.Digest
}
