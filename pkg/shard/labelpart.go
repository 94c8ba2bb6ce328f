package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"silverbeam/pkg/taxonomy"
)

// LabelRow is one row of a label table.
type LabelRow struct {
	ID     string
	Labels []taxonomy.Label // one a finding, in order; nil: rejected or not assessable, a row of empty cells
}

// A label part is a batch's rows on their way into the table: magic, findings, rows, and the SHA-256 of all that. Counts
// and lengths are uvarints. A row is its id, 1 or 0 (labels follow or not) and its labels; a label is a byte of state and
// flags, then what the flags name: P, the evidence's offset and length, the source (a number, new ones with their text).
const partMagic = "SBLABEL1"

const (
	flagState    = 3 // state + 2
	flagP        = 4
	flagEvidence = 8
	flagSource   = 16
)

// WriteLabelPart writes one batch's rows atomically and returns the hex SHA-256 of the file. The same rows make the same
// bytes.
func WriteLabelPart(path string, findings []string, rows []LabelRow) (digest string, err error) {
	b := append(make([]byte, 0, len(rows)*(16+8*len(findings))), partMagic...) // mostly enough
	b = binary.AppendUvarint(b, uint64(len(findings)))
	for _, f := range findings {
		b = appendText(b, f)
	}
	b = binary.AppendUvarint(b, uint64(len(rows)))
	sources := map[string]uint64{}
	for _, r := range rows {
		b = appendText(b, r.ID)
		if r.Labels == nil {
			b = append(b, 0)
			continue
		}
		if len(r.Labels) != len(findings) {
			return "", fmt.Errorf("shard: row %s: %d labels for %d findings", r.ID, len(r.Labels), len(findings))
		}
		b = append(b, 1)
		for _, l := range r.Labels {
			if l.State < taxonomy.NotMentioned || l.State > taxonomy.Present || l.From < 0 || l.To < l.From {
				return "", fmt.Errorf("shard: row %s: label %v with evidence [%d, %d)", r.ID, l.State, l.From, l.To)
			}
			b = appendLabel(b, l, sources)
		}
	}
	sum := sha256.Sum256(b)
	digest, _, err = writeAtomic(path, 0o600, func(w io.Writer) error {
		_, err := w.Write(append(b, sum[:]...))
		return err
	})
	return digest, err
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendLabel(b []byte, l taxonomy.Label, sources map[string]uint64) []byte {
	flags, at := byte(l.State-taxonomy.NotMentioned), len(b)
	b = append(b, 0)
	if l.P != 0 {
		flags |= flagP
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(l.P))
	}
	if l.To > l.From {
		flags |= flagEvidence
		b = binary.AppendUvarint(b, uint64(l.From))
		b = binary.AppendUvarint(b, uint64(l.To-l.From))
	}
	if l.Source != "" {
		flags |= flagSource
		n, known := sources[l.Source]
		if !known {
			n = uint64(len(sources))
			sources[l.Source] = n
		}
		if b = binary.AppendUvarint(b, n); !known {
			b = appendText(b, l.Source)
		}
	}
	b[at] = flags
	return b
}

// ReadLabelPart reads a part back, evidence and all. A part that is not whole is refused before a row of it is read.
func ReadLabelPart(path string) (findings []string, rows []LabelRow, err error) {
	p, err := openPart(path)
	if err != nil {
		return nil, nil, err
	}
	var room []taxonomy.Label // of the next rows
	for range p.rows {
		r := LabelRow{ID: string(p.text())}
		if p.byte() == 1 {
			if len(room) < len(p.findings) {
				room = make([]taxonomy.Label, 256*len(p.findings))
			}
			r.Labels, room = room[:len(p.findings):len(p.findings)], room[len(p.findings):]
			for i := range r.Labels {
				p.label(&r.Labels[i])
			}
		}
		rows = append(rows, r)
	}
	return p.findings, rows, p.end()
}

// part reads a part's fields; after an error all are zero.
type part struct {
	path     string
	findings []string
	rows     int
	b        []byte // between magic and digest
	at       int    // of what was not read: reslicing b would tell the collector of each field
	sources  []string
	err      error
}

// openPart reads a part up to its first row.
func openPart(path string) (*part, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("shard: %w", err)
	}
	end := len(b) - sha256.Size
	if end < len(partMagic) || string(b[:len(partMagic)]) != partMagic {
		return nil, fmt.Errorf("shard: %s: not a part of a label table", path)
	}
	if sum := sha256.Sum256(b[:end]); !bytes.Equal(sum[:], b[end:]) {
		return nil, fmt.Errorf("shard: %s: %w: its digest is not the one it ends with", path, ErrDamaged)
	}
	p := &part{path: path, b: b[len(partMagic):end]}
	for range p.count() {
		p.findings = append(p.findings, string(p.text()))
	}
	p.rows = p.count()
	return p, nil
}

// end says whether what was read is all, and was there.
func (p *part) end() error {
	if p.err != nil || p.at < len(p.b) {
		return fmt.Errorf("shard: %s: written by another version: %d bytes too many or too few", p.path, len(p.b)-p.at)
	}
	return nil
}

var errPart = errors.New("part ends early")

// fail leaves nothing to read.
func (p *part) fail() { p.err, p.at = errPart, len(p.b) }

func (p *part) take(n int) []byte {
	if n < 0 || n > len(p.b)-p.at {
		p.fail()
		return make([]byte, max(0, min(n, 8)))
	}
	p.at += n
	return p.b[p.at-n : p.at]
}

// count is a uvarint. What it counts takes a byte each at least, so a larger one is an error.
func (p *part) count() int {
	v := p.uvarint()
	if v > len(p.b)-p.at {
		p.fail()
		return 0
	}
	return v
}

func (p *part) uvarint() int {
	v, n := binary.Uvarint(p.b[p.at:])
	if n <= 0 || v > math.MaxInt32 {
		p.fail()
		return 0
	}
	p.at += n
	return int(v)
}

func (p *part) byte() byte   { return p.take(1)[0] }
func (p *part) text() []byte { return p.take(p.count()) }

func (p *part) label(l *taxonomy.Label) {
	flags := p.byte()
	*l = taxonomy.Label{State: taxonomy.State(flags&flagState) + taxonomy.NotMentioned}
	if flags&flagP != 0 {
		l.P = math.Float32frombits(binary.LittleEndian.Uint32(p.take(4)))
	}
	if flags&flagEvidence != 0 {
		l.From = p.uvarint()
		l.To = l.From + p.uvarint()
	}
	if flags&flagSource != 0 {
		n := p.uvarint()
		if n == len(p.sources) {
			p.sources = append(p.sources, string(p.text()))
		}
		if n < len(p.sources) {
			l.Source = p.sources[n]
		}
	}
}

// sameFindings says whether a part belongs to a table.
func sameFindings(path string, got, want []string) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("shard: %s: findings %q, the table has %q", path, got, want)
	}
	return nil
}
