package net

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxHeader is the longest safetensors header that is read, in bytes (the limit of the format's reference reader).
const maxHeader = 100_000_000

// maxElements bounds one tensor: 2^34 elements, or 64 GiB of float32.
const maxElements = 1 << 34

// ErrSafetensors is wrapped by every error about the content of a safetensors file.
var ErrSafetensors = errors.New("safetensors")

func badFile(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSafetensors}, a...)...)
}

// LoadSafetensors reads a whole file. Its tensors own their memory. Metadata is nil when the file has none.
func LoadSafetensors(path string) (map[string]Tensor, map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	tensors, meta, err := DecodeSafetensors(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return tensors, meta, nil
}

// DecodeSafetensors reads the bytes of a safetensors file (format: eight bytes of header length, little endian; a JSON
// object of name → dtype, shape, data_offsets; the data). It is strict: a repeated key, an unknown one, an overlap, a
// hole, trailing bytes, a shape that does not fit its bytes, and any dtype but F32, I32 and I64 are errors.
func DecodeSafetensors(b []byte) (map[string]Tensor, map[string]string, error) {
	if len(b) < 8 {
		return nil, nil, badFile("%d bytes, too short for a header length", len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	if n < 2 || n > maxHeader || n > uint64(len(b)-8) {
		return nil, nil, badFile("header length %d with %d bytes left, limit %d", n, len(b)-8, maxHeader)
	}
	entries, meta, err := parseHeader(b[8 : 8+n])
	if err != nil {
		return nil, nil, err
	}
	data := b[8+n:]
	if err := covers(entries, int64(len(data))); err != nil {
		return nil, nil, err
	}
	tensors := make(map[string]Tensor, len(entries))
	for _, e := range entries {
		tensors[e.name] = e.decode(data)
	}
	return tensors, meta, nil
}

// entry is one tensor of a header.
type entry struct {
	name       string
	dtype      string
	shape      []int
	begin, end int64 // bytes, from the end of the header
}

// covers sorts entries by place and says whether they fill size bytes without hole or overlap.
func covers(entries []entry, size int64) error {
	slices.SortFunc(entries, func(a, b entry) int {
		if a.begin != b.begin {
			return int(min(max(a.begin-b.begin, -1), 1))
		}
		return int(min(max(a.end-b.end, -1), 1))
	})
	at := int64(0)
	for _, e := range entries {
		if e.begin != at {
			return badFile("tensor %q begins at byte %d, the one before it ends at %d", e.name, e.begin, at)
		}
		at = e.end
	}
	if at != size {
		return badFile("tensors end at byte %d, the data at %d", at, size)
	}
	return nil
}

func (e entry) decode(data []byte) Tensor {
	t, raw := Tensor{Shape: e.shape}, data[e.begin:e.end]
	switch e.dtype {
	case "F32":
		t.F32 = make([]float32, len(raw)/4)
		for i := range t.F32 {
			t.F32[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	case "I32":
		t.I32 = make([]int32, len(raw)/4)
		for i := range t.I32 {
			t.I32[i] = int32(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	default:
		t.I64 = make([]int64, len(raw)/8)
		for i := range t.I64 {
			t.I64[i] = int64(binary.LittleEndian.Uint64(raw[8*i:]))
		}
	}
	return t
}

// parseHeader reads the JSON object by tokens, since encoding/json keeps the last of two equal keys in silence.
func parseHeader(h []byte) ([]entry, map[string]string, error) {
	if h[0] != '{' || !utf8.Valid(h) {
		return nil, nil, badFile("header is not a JSON object in UTF-8")
	}
	if !bytes.HasSuffix(bytes.TrimRight(h, " "), []byte("}")) {
		return nil, nil, badFile("header does not end with its object and spaces")
	}
	d := json.NewDecoder(bytes.NewReader(h))
	d.UseNumber()
	var entries []entry
	var meta map[string]string
	err := object(d, func(key string) (err error) {
		if key == "__metadata__" {
			meta, err = parseMeta(d)
			return err
		}
		e := entry{name: key}
		if err := e.parse(d); err != nil {
			return fmt.Errorf("tensor %q: %w", key, err)
		}
		entries = append(entries, e)
		return nil
	})
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = badFile("bytes after the header's object")
		}
	}
	return entries, meta, err
}

// object walks one JSON object; value must read exactly the value of key.
func object(d *json.Decoder, value func(key string) error) error {
	if err := delim(d, '{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := text(d)
		if err != nil {
			return err
		}
		if seen[key] {
			return badFile("key %q twice", key)
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	return delim(d, '}')
}

func delim(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return badFile("header: %v", err)
	}
	if t != want {
		return badFile("header: want %q at byte %d", want, d.InputOffset())
	}
	return nil
}

func text(d *json.Decoder) (string, error) {
	t, err := d.Token()
	if err != nil {
		return "", badFile("header: %v", err)
	}
	s, ok := t.(string)
	if !ok {
		return "", badFile("header: want a string at byte %d", d.InputOffset())
	}
	return s, nil
}

func parseMeta(d *json.Decoder) (map[string]string, error) {
	meta := map[string]string{}
	err := object(d, func(key string) (err error) {
		meta[key], err = text(d)
		return err
	})
	return meta, err
}

func (e *entry) parse(d *json.Decoder) error {
	var offsets []int64
	err := object(d, func(key string) (err error) {
		switch key {
		case "dtype":
			e.dtype, err = text(d)
		case "shape":
			var dims []int64
			dims, err = integers(d)
			e.shape = make([]int, len(dims))
			for i, n := range dims {
				e.shape[i] = int(n)
			}
		case "data_offsets":
			offsets, err = integers(d)
		default:
			err = badFile("unknown key %q", key)
		}
		return err
	})
	if err != nil {
		return err
	}
	if e.shape == nil || len(offsets) != 2 {
		return badFile("shape or data_offsets missing")
	}
	e.begin, e.end = offsets[0], offsets[1]
	return e.check()
}

// check holds shape against bytes. Dimensions are below 2^53 and the product is bounded at every factor.
func (e *entry) check() error {
	size := map[string]int64{"F32": 4, "I32": 4, "I64": 8}[e.dtype]
	if size == 0 {
		return badFile("dtype %q, want F32, I32 or I64", e.dtype)
	}
	n := int64(1)
	for _, d := range e.shape {
		if d != 0 && n > maxElements/int64(d) {
			return badFile("shape %v is beyond %d elements", e.shape, int64(maxElements))
		}
		n *= int64(d)
	}
	if e.begin > e.end || e.end-e.begin != n*size {
		return badFile("shape %v of %s needs %d bytes, data_offsets are [%d, %d]", e.shape, e.dtype, n*size, e.begin, e.end)
	}
	return nil
}

// integers reads a JSON array of whole numbers in [0, 2^53].
func integers(d *json.Decoder) ([]int64, error) {
	if err := delim(d, '['); err != nil {
		return nil, err
	}
	out := []int64{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, badFile("header: %v", err)
		}
		num, _ := t.(json.Number)
		n, err := strconv.ParseUint(num.String(), 10, 53)
		if err != nil {
			return nil, badFile("header: want a whole number at byte %d", d.InputOffset())
		}
		out = append(out, int64(n))
	}
	return out, delim(d, ']')
}
