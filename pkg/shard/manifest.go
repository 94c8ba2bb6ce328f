package shard

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pkg/volume"
)

// ManifestName is the manifest's file in a dataset's folder.
const ManifestName = "manifest.json"

// Manifest names a dataset's shards. Readers see only what it names.
type Manifest struct {
	Digest   string           `json:"digest"`             // hex SHA-256; Commit fills it in
	Previous string           `json:"previous,omitempty"` // digest of the dataset that stood here before; Commit fills it in
	Schema   string           `json:"schema"`             // Commit fills it in
	Preset   string           `json:"preset"`             // what decides the tensors: the preset's digest, or more
	Findings []string         `json:"findings"`
	HUSource string           `json:"hu_source"`
	Splits   map[string]Split `json:"splits"` // train, valid ...
	SHA256   string           `json:"sha256"` // hex, of the manifest itself with this left empty; Commit fills it in
}

// Split is the part of a dataset that is used together. No patient is in two of them.
type Split struct {
	Batches []BatchRef `json:"batches"` // by id
}

// BatchRef names one shard.
type BatchRef struct {
	ID   string `json:"id"`
	File string `json:"file"` // relative to the manifest's folder, with slashes
	Written
}

// Written is a shard that was written. Rows == 0: there was none, and there is no file.
type Written struct {
	Rows    int         `json:"rows"`
	Bytes   int64       `json:"bytes"`
	Digest  string      `json:"digest"`      // hex SHA-256 of the file
	Head    string      `json:"head"`        // hex SHA-256 of its bytes outside the tensors
	Tensors []Tensor    `json:"tensors"`     // one a row
	HU      volume.Bins `json:"hu,omitzero"` // voxels of all scans, before the preset; zero: not known
}

// Tensor is whose a row is, and where its voxels lie in the file, so that one row is read without the others.
type Tensor struct {
	Patient string `json:"patient"`
	Study   string `json:"study"`
	Volume  string `json:"volume"`
	At      int64  `json:"at"` // bytes from the file's start
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"` // hex, of those bytes
	Scan
}

// digest is over schema, preset, findings and the sorted shard digests (split and HU source are in the shards): no time,
// host, path, batch order, attempt or what stood here before.
func (m Manifest) digest() string {
	var shards []string
	for _, s := range m.Splits {
		for _, b := range s.Batches {
			shards = append(shards, b.Digest)
		}
	}
	slices.Sort(shards)
	content, err := json.Marshal(struct {
		Schema, Preset   string
		Findings, Shards []string
	}{m.Schema, m.Preset, m.Findings, shards})
	if err != nil {
		panic("shard: manifest: " + err.Error())
	}
	return digestOf(content)
}

// Commit writes dir/manifest.json atomically, batches sorted by id, and returns its digest; call it when all of dir's
// shards are there. The new manifest names the one that it replaces; committing the same dataset again changes nothing.
// ErrLeak: a patient, or the same voxels, in two splits; then what stood there before is left.
func Commit(dir string, m Manifest) (digest string, err error) {
	if err := m.leaks(); err != nil {
		return "", fmt.Errorf("shard: %w", err)
	}
	if digest, err = commit(dir, m); err == nil {
		err = sweepSpools(dir)
	}
	return digest, err
}

func commit(dir string, m Manifest) (digest string, err error) {
	m.Schema = Schema
	splits := map[string]Split{}
	for name, s := range m.Splits {
		batches := slices.Clone(s.Batches)
		slices.SortFunc(batches, func(a, b BatchRef) int { return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.File, b.File)) })
		for i := range batches {
			batches[i].File = filepath.ToSlash(batches[i].File)
		}
		splits[name] = Split{batches}
	}
	m.Splits = splits
	m.Digest = m.digest()
	if old, err := ReadManifest(dir); err == nil { // a damaged one is nobody's dataset
		if m.Previous = old.Digest; m.Previous == m.Digest {
			m.Previous = old.Previous
		}
	}
	if err := WriteFile(filepath.Join(dir, ManifestName), m.encode()); err != nil {
		return "", fmt.Errorf("shard: %w", err)
	}
	return m.Digest, nil
}

// encode is the manifest's file.
func (m Manifest) encode() []byte {
	text := func() []byte {
		b, err := json.MarshalIndent(m, "", " ")
		if err != nil {
			panic("shard: manifest: " + err.Error())
		}
		return append(b, '\n')
	}
	m.SHA256 = ""
	m.SHA256 = digestOf(text())
	return text()
}

// ReadManifest reads dir/manifest.json, checks its version, and that it is what Commit wrote, to the byte.
func ReadManifest(dir string) (m Manifest, err error) {
	path := filepath.Join(dir, ManifestName)
	b, err := os.ReadFile(path)
	if err != nil {
		return m, fmt.Errorf("shard: %w", err)
	}
	return parseManifest(path, b)
}

// parseManifest holds a manifest's bytes to what Commit writes. path is what errors say.
func parseManifest(path string, b []byte) (m Manifest, err error) {
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("shard: %s: %w: %w", path, ErrDamaged, err)
	}
	if m.Schema != Schema {
		return m, fmt.Errorf("shard: %s: schema %q, this version reads %q", path, m.Schema, Schema)
	}
	if got := m.digest(); got != m.Digest {
		return m, fmt.Errorf("shard: %s: its digest is %.12s, it says %.12s: %w or changed", path, got, m.Digest, ErrDamaged)
	}
	if !bytes.Equal(b, m.encode()) {
		return m, fmt.Errorf("shard: %s: it is not what its sha256 says: %w or changed", path, ErrDamaged)
	}
	return m, nil
}
