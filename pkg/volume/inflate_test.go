package volume

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	kgzip "github.com/klauspost/compress/gzip"
)

// deflated is data compressed at one of flate's levels, from Huffman only (-2) to 9, and flushed at times.
func deflated(t testing.TB, data []byte, level, flushEvery int) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 && flushEvery > 0 {
		n := min(len(data), flushEvery)
		w.Write(data[:n])
		w.Flush()
		data = data[n:]
	}
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// member is a gzip member of deflated data that becomes data.
func member(deflated, data []byte) []byte {
	b := append([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), deflated...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(data))
	return binary.LittleEndian.AppendUint32(b, uint32(len(data)))
}

// sorts of data that deflate treats differently.
var sorts = map[string]func(rng *rand.Rand, b []byte){
	"random": func(rng *rand.Rand, b []byte) {
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
	},
	"voxels": func(rng *rand.Rand, b []byte) {
		for i := 0; i+1 < len(b); i += 2 {
			binary.LittleEndian.PutUint16(b[i:], uint16(int16(rng.NormFloat64()*30)-int16(1000*(i/4096%2))))
		}
	},
	"skewed": func(rng *rand.Rand, b []byte) { // codes of up to 15 bits
		for i := range b {
			b[i] = byte(min(255, rng.ExpFloat64()*float64(1+i%60)))
		}
	},
	"matches": func(rng *rand.Rand, b []byte) {
		back := 1 + rng.IntN(40000)
		for i := range b {
			if b[i] = byte(rng.Uint32()); i > back && rng.IntN(20) > 0 {
				b[i] = b[i-1-rng.IntN(back)]
			}
		}
	},
	"runs": func(rng *rand.Rand, b []byte) { // every short offset
		for i := 0; i < len(b); {
			period, n := 1+rng.IntN(12), rng.IntN(700)
			for ; n > 0 && i < len(b); n-- {
				if b[i] = byte(rng.Uint32()); i >= period && n < 600 {
					b[i] = b[i-period]
				}
				i++
			}
		}
	},
}

func TestGunzip(t *testing.T) {
	for name, fill := range sorts {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			for i := range 40 {
				data := make([]byte, rng.IntN(1<<(1+rng.IntN(20))))
				fill(rng, data)
				z := member(deflated(t, data, rng.IntN(12)-2, rng.IntN(3)*rng.IntN(1<<16)), data)
				var r io.Reader = bytes.NewReader(z)
				if i%4 == 0 {
					r = iotest.HalfReader(r)
				}
				got, err := io.ReadAll(newGunzip(r))
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bytes: %d, %v", len(data), len(got), err)
				}
				damaged(t, rng, z, data)
			}
		})
	}
}

// damaged cuts and flips a member, about where its blocks begin too: none may pass for whole.
func damaged(t *testing.T, rng *rand.Rand, z, data []byte) {
	t.Helper()
	for _, keep := range []int{0, 1, 9, 10, 11, 18, len(z) - 9, len(z) - 8, len(z) - 1, rng.IntN(len(z))} {
		if keep >= len(z) {
			continue
		}
		got, err := io.ReadAll(newGunzip(bytes.NewReader(z[:keep])))
		if err != io.ErrUnexpectedEOF || !bytes.HasPrefix(data, got) {
			t.Fatalf("%d of %d bytes: %d of %d, %v", keep, len(z), len(got), len(data), err)
		}
	}
	for _, at := range []int{10, 11, 12, len(z) - 9, len(z) - 8, len(z) - 1, 10 + rng.IntN(len(z)-10)} {
		y := bytes.Clone(z)
		y[at] ^= 1 << rng.IntN(8)
		if got, err := io.ReadAll(newGunzip(bytes.NewReader(y))); err == nil && !bytes.Equal(got, data) {
			t.Fatalf("byte %d flipped: no error", at)
		}
	}
}

func TestGunzipMembers(t *testing.T) {
	one, two := bytes.Repeat([]byte("one "), 100), bytes.Repeat([]byte("two"), 100_000)
	a, b := member(deflated(t, one, 6, 0), one), member(deflated(t, two, 1, 0), two)
	flagged := append([]byte("\x1f\x8b\x08\x1e\x00\x00\x00\x00\x00\xff\x03\x00abcname\x00comment\x00"), 0, 0)
	binary.LittleEndian.PutUint16(flagged[len(flagged)-2:], uint16(crc32.ChecksumIEEE(flagged[:len(flagged)-2])))
	flagged = append(flagged, a[10:]...)
	for name, c := range map[string]struct {
		in   []byte
		want string // "": one and two
	}{
		"two":                       {in: join(a, b)},
		"an empty one":              {in: join(a, member([]byte{3, 0}, nil), b)},
		"every optional part":       {in: join(flagged, b)},
		"zeros behind":              {in: join(a, b, make([]byte, 100_000))},
		"zeros, then more":          {join(a, b, make([]byte, 100), a), "invalid header"},
		"text behind":               {join(a, b, []byte("text")), "unexpected EOF"},
		"more text behind":          {join(a, b, bytes.Repeat([]byte("text"), 9)), "invalid header"},
		"nothing":                   {nil, "unexpected EOF"},
		"zeros":                     {make([]byte, 100), "invalid header"},
		"a match before its member": {join(a, member([]byte{0x4b, 0x04, 0x62, 0}, []byte("aaaa"))), "corrupt"},
		"another header":            {join(a, flagged[:20], []byte("x"), flagged[21:]), "invalid header checksum"},
		"another length":            {join(a[:len(a)-1], []byte{1}, b), "invalid checksum"},
		"another method":            {join(a, []byte("\x1f\x8b\x07"), b[3:]), "invalid header"},
	} {
		got, err := io.ReadAll(newGunzip(bytes.NewReader(c.in)))
		if c.want == "" && (err != nil || !bytes.Equal(got, join(one, two))) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// FuzzInflate compares with compress/flate: what is taken, what it becomes, where the stream ends; given in two orders of
// reads, and cut.
func FuzzInflate(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, fill := range sorts {
		for level := -2; level <= 9; level++ {
			data := make([]byte, rng.IntN(3000))
			fill(rng, data)
			f.Add(deflated(f, data, level, rng.IntN(2)*rng.IntN(1000)))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 4 << 20
		ref := bytes.NewReader(b)
		want, wantErr := io.ReadAll(io.LimitReader(flate.NewReader(ref), most))
		z := member(b[:len(b)-ref.Len()], want)
		for _, r := range []io.Reader{bytes.NewReader(z), iotest.OneByteReader(bytes.NewReader(z))} {
			got, err := io.ReadAll(io.LimitReader(newGunzip(r), most))
			if wantErr == nil && (err != nil || !bytes.Equal(got, want)) {
				t.Fatalf("%d bytes, %v; want %d", len(got), err, len(want))
			}
			if wantErr != nil && err == nil && len(got) < most {
				t.Fatalf("%d bytes and no error; want %v", len(got), wantErr)
			}
		}
		if len(want) < most {
			cut := len(z) / 2
			got, err := io.ReadAll(newGunzip(bytes.NewReader(z[:cut])))
			if err == nil || wantErr == nil && !bytes.HasPrefix(want, got) {
				t.Fatalf("cut at %d: %d bytes, %v", cut, len(got), err)
			}
		}
	})
}

// FuzzGunzip compares with compress/gzip, whose names are bounded and which lets no zeros follow.
func FuzzGunzip(f *testing.F) {
	one, two := []byte("one one one one"), bytes.Repeat([]byte("two"), 1000)
	a, b := member(deflated(f, one, 6, 0), one), member(deflated(f, two, 0, 0), two)
	f.Add(join(a, b))
	f.Add(join(a, b, make([]byte, 9)))
	f.Add(join([]byte("\x1f\x8b\x08\x1c\x00\x00\x00\x00\x00\xff\x03\x00abcname\x00comment\x00"), a[10:]))
	f.Fuzz(func(t *testing.T, in []byte) {
		const most = 4 << 20
		read := func(r io.Reader, err error) ([]byte, error) {
			if err != nil {
				return nil, err
			}
			return io.ReadAll(io.LimitReader(r, most))
		}
		r, err := gzip.NewReader(bytes.NewReader(in))
		want, wantErr := read(r, err)
		got, err := read(newGunzip(bytes.NewReader(in)), nil)
		switch {
		case wantErr == nil && (err != nil || !bytes.Equal(got, want)):
			t.Fatalf("%d bytes, %v; want %d", len(got), err, len(want))
		case wantErr != nil && err == nil && len(got) < most && !bytes.HasSuffix(in, []byte{0}) && len(in) < 512:
			t.Fatalf("%d bytes and no error; want %v", len(got), wantErr)
		}
	})
}

// BenchmarkGunzip inflates the file that SILVERBEAM_GZIP names, or noisy voxels: as it is done here, and by klauspost's.
func BenchmarkGunzip(b *testing.B) {
	z, err := os.ReadFile(os.Getenv("SILVERBEAM_GZIP"))
	if err != nil {
		data := make([]byte, 16<<20)
		sorts["voxels"](rand.New(rand.NewPCG(1, 1)), data)
		z = member(deflated(b, data, 6, 0), data)
	}
	buf := make([]byte, 512<<10) // a slice
	for name, open := range map[string]func(r io.Reader) (io.Reader, error){
		"silverbeam": func(r io.Reader) (io.Reader, error) { return newGunzip(r), nil },
		"klauspost":  func(r io.Reader) (io.Reader, error) { return kgzip.NewReader(r) },
		"std":        func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r, err := open(bytes.NewReader(z))
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buf)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(n)
			}
		})
	}
}
