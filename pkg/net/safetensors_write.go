package net

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"
)

// EncodeSafetensors gives the bytes of a file: the same tensors and metadata always give the same bytes. I64 come first
// and names are sorted, so every tensor is aligned to its element. A tensor whose data does not fit its shape is an error.
func EncodeSafetensors(tensors map[string]Tensor, meta map[string]string) ([]byte, error) {
	type place struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	names := slices.SortedFunc(maps.Keys(tensors), func(a, b string) int {
		if wide := (tensors[a].I64 != nil); wide != (tensors[b].I64 != nil) {
			return map[bool]int{true: -1, false: 1}[wide]
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	var h, data bytes.Buffer
	field := func(key string, value any) error {
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		h.WriteByte(map[bool]byte{true: '{', false: ','}[h.Len() == 0])
		fmt.Fprintf(&h, "%s:%s", k, v)
		return nil
	}
	if len(meta) > 0 {
		if err := field("__metadata__", meta); err != nil { // encoding/json sorts a map's keys
			return nil, err
		}
	}
	for _, name := range names {
		if name == "__metadata__" || !utf8.ValidString(name) {
			return nil, fmt.Errorf("tensor name %q cannot be written", name)
		}
		t, begin := tensors[name], int64(data.Len())
		dtype, err := t.encode(&data)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		shape := append([]int{}, t.Shape...) // a scalar's shape is [], not null
		if err := field(name, place{dtype, shape, [2]int64{begin, int64(data.Len())}}); err != nil {
			return nil, err
		}
	}
	if h.Len() == 0 {
		h.WriteByte('{')
	}
	h.WriteByte('}')
	for h.Len()%8 != 0 {
		h.WriteByte(' ')
	}
	out := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+h.Len()+data.Len()), uint64(h.Len()))
	return append(append(out, h.Bytes()...), data.Bytes()...), nil
}

func (t Tensor) encode(w *bytes.Buffer) (dtype string, err error) {
	n, kinds := 1, 0
	for _, d := range t.Shape {
		n *= d
	}
	for _, has := range []bool{t.F32 != nil, t.I32 != nil, t.I64 != nil} {
		if has {
			kinds++
		}
	}
	if have := len(t.F32) + len(t.I32) + len(t.I64); kinds != 1 || have != n {
		return "", fmt.Errorf("%d elements of %d types for shape %v", have, kinds, t.Shape)
	}
	switch {
	case t.F32 != nil:
		w.Grow(4 * n)
		b := w.AvailableBuffer()
		for _, x := range t.F32 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		w.Write(b)
		return "F32", nil
	case t.I32 != nil:
		for _, x := range t.I32 {
			w.Write(binary.LittleEndian.AppendUint32(w.AvailableBuffer(), uint32(x)))
		}
		return "I32", nil
	}
	for _, x := range t.I64 {
		w.Write(binary.LittleEndian.AppendUint64(w.AvailableBuffer(), uint64(x)))
	}
	return "I64", nil
}

// SaveSafetensors writes a file beside its place, syncs it, renames it and syncs the folder: readers see the old file or
// the new one, whole.
func SaveSafetensors(path string, tensors map[string]Tensor, meta map[string]string) error {
	b, err := EncodeSafetensors(tensors, meta)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed, as it should
	_, err = f.Write(b)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
