package net

import (
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func file(header, data string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+data...)
}

func TestHostileSafetensors(t *testing.T) {
	one := `{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	cases := map[string]struct {
		b    []byte
		want string
	}{
		"empty file":                 {nil, "too short"},
		"header longer than file":    {binary.LittleEndian.AppendUint64(nil, 1<<40), "header length"},
		"header of 2^64-1":           {binary.LittleEndian.AppendUint64(nil, 1<<64-1), "header length"},
		"not an object":              {file(`[]`, ""), "not a JSON object"},
		"space before the object":    {file(` {}`, ""), "not a JSON object"},
		"bad UTF-8":                  {file("{\"\xff\":1}", ""), "not a JSON object"},
		"newline after the object":   {file("{}\n", ""), "does not end"},
		"second object":              {file("{}{}", ""), "bytes after"},
		"cut object":                 {file(`{"a":{}`, ""), "shape or data_offsets missing"},
		"repeated tensor":            {file(`{"a":`+one+`,"a":`+one+`}`, "1234"), `key "a" twice`},
		"repeated by escape":         {file(`{"a":`+one+`,"\u0061":`+one+`}`, "1234"), `key "a" twice`},
		"repeated key in a tensor":   {file(`{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, "1234"), "twice"},
		"unknown key":                {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":[[[]]]}}`, "1234"), "unknown key"},
		"overlap":                    {file(`{"a":`+one+`,"b":`+one+`}`, "1234"), "begins at byte 0"},
		"hole":                       {file(`{"a":`+one+`,"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, "123456789012"), "begins at byte 8"},
		"hole at the start":          {file(`{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, "12345678"), "begins at byte 4"},
		"trailing bytes":             {file(`{"a":`+one+`}`, "12345"), "the data at 5"},
		"cut data":                   {file(`{"a":`+one+`}`, "123"), "the data at 3"},
		"offsets reversed":           {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, "1234"), "needs 4 bytes"},
		"shape too small":            {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, "1234"), "needs 8 bytes"},
		"shape product overflows":    {file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, ""), "beyond"},
		"product overflows, then 0":  {file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`, ""), "beyond"},
		"negative dimension":         {file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, "1234"), "whole number"},
		"fractional dimension":       {file(`{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}`, "1234"), "whole number"},
		"dimension as text":          {file(`{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}`, "1234"), "whole number"},
		"three offsets":              {file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}`, "1234"), "missing"},
		"no shape":                   {file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, "1234"), "missing"},
		"half floats":                {file(`{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`, "1234"), `dtype "F16"`},
		"metadata that is no string": {file(`{"__metadata__":{"a":1}}`, ""), "want a string"},
		"tensor that is no object":   {file(`{"a":null}`, ""), `want "{"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := DecodeSafetensors(c.b)
			if !errors.Is(err, ErrSafetensors) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// The bytes that the format's reference writer gives for these two tensors, with names, padding and order of our own.
func TestSafetensorsBytes(t *testing.T) {
	in := map[string]Tensor{"w": {Shape: []int{1, 2}, F32: []float32{1, -2}}, "n": {Shape: []int{}, I64: []int64{7}}}
	b, err := EncodeSafetensors(in, map[string]string{"format": "pt"})
	if err != nil {
		t.Fatal(err)
	}
	want := file(`{"__metadata__":{"format":"pt"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},`+
		`"w":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]}}    `, "\a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80?\x00\x00\x00\xc0")
	if string(b) != string(want) {
		t.Fatalf("got  %q\nwant %q", b, want)
	}
}

func TestSafetensorsRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		in := rapid.MapOf(rapid.String().Filter(func(s string) bool { return s != "__metadata__" }), rapid.Custom(someTensor)).Draw(r, "tensors")
		meta := rapid.MapOf(rapid.String(), rapid.String()).Draw(r, "meta")
		b, err := EncodeSafetensors(in, meta)
		if err != nil {
			r.Fatal(err)
		}
		out, m, err := DecodeSafetensors(b)
		if err != nil {
			r.Fatal(err)
		}
		if !reflect.DeepEqual(in, out) || !maps.Equal(meta, m) {
			r.Fatalf("got %v %v, want %v %v", out, m, in, meta)
		}
	})
}

func someTensor(r *rapid.T) Tensor {
	t := Tensor{Shape: rapid.SliceOfN(rapid.IntRange(0, 3), 0, 3).Draw(r, "shape")}
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	switch rapid.IntRange(0, 2).Draw(r, "type") {
	case 0:
		t.F32 = append([]float32{}, rapid.SliceOfN(rapid.Float32(), n, n).Draw(r, "f32")...)
	case 1:
		t.I32 = append([]int32{}, rapid.SliceOfN(rapid.Int32(), n, n).Draw(r, "i32")...)
	default:
		t.I64 = append([]int64{}, rapid.SliceOfN(rapid.Int64(), n, n).Draw(r, "i64")...)
	}
	return t
}

func TestEncodeSafetensorsRefuses(t *testing.T) {
	for name, in := range map[string]Tensor{
		"no data":         {Shape: []int{1}},
		"two types":       {Shape: []int{2}, F32: make([]float32, 1), I32: make([]int32, 1)},
		"too few numbers": {Shape: []int{2}, F32: make([]float32, 1)},
	} {
		if _, err := EncodeSafetensors(map[string]Tensor{"a": in}, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := EncodeSafetensors(map[string]Tensor{"__metadata__": {Shape: []int{0}, F32: []float32{}}}, nil); err == nil {
		t.Error("a tensor named __metadata__: no error")
	}
}

func TestSaveSafetensorsLeavesNoOtherFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "w.safetensors")
	for range 2 { // the second replaces the first
		if err := SaveSafetensors(path, map[string]Tensor{"a": {Shape: []int{1}, F32: []float32{3}}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := LoadSafetensors(path)
	if err != nil || got["a"].F32[0] != 3 {
		t.Fatalf("%v %v", got, err)
	}
	files, _ := os.ReadDir(dir)
	if len(files) != 1 {
		t.Fatalf("%d files left", len(files))
	}
}

func FuzzSafetensors(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"__metadata__":{"k":"v"}}`, "1234"))
	f.Add(file(`{"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"b":{"dtype":"I32","shape":[0,9],"data_offsets":[8,8]}}  `, "12345678"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tensors, meta, err := DecodeSafetensors(b)
		if err != nil {
			return
		}
		again, err := EncodeSafetensors(tensors, meta)
		if err != nil {
			t.Fatal(err)
		}
		back, meta2, err := DecodeSafetensors(again)
		if err != nil {
			t.Fatal(err)
		}
		names := slices.Sorted(maps.Keys(tensors))
		if !slices.Equal(names, slices.Sorted(maps.Keys(back))) || !maps.Equal(meta, meta2) {
			t.Fatalf("names %v became %v", names, slices.Sorted(maps.Keys(back)))
		}
	})
}
