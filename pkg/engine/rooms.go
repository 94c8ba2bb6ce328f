package engine

import (
	"fmt"

	"silverbeam/pkg/simd"
)

// rooms are buffers that layers of one program share, one after the other: what is filled and read again within one pass
// of a layer. Those that are laid out like a value are apart by shape, so that the zeros beside rows and in padding stay zeros; where
// none are needed all shapes share one. Without a program (nil) each layer has its own.
type rooms map[room][]float32

type room struct {
	role          string
	chain, turn   int // of gradients: 0 elsewhere
	n, d, h, rows int
	line          int
}

// take gives a buffer laid out like v.
func (r rooms) take(role string, v *value) []float32 { return r.at(room{role: role}, v) }

// gradient gives one of the two buffers that the gradients of a chain's results take turns in. Where who reads and
// writes them keeps to rows and nothing is padded, all shapes share one.
func (r rooms) gradient(chain, turn int, v *value, rowsAlone bool) []float32 {
	key := room{role: "gradient", chain: chain, turn: turn % 2}
	if rowsAlone && v.c == v.cp {
		return r.longest(key, v.size())
	}
	return r.at(key, v)
}

// plain gives n numbers of any content, in a buffer that layers of all shapes share.
func (r rooms) plain(role string, n int) []float32 { return r.longest(room{role: role}, n) }

// panels gives those of a weight's copy, columns wide and each of so many numbers: shared by all weights where every panel is
// full, else by weights of one shape, so that what is beyond the columns stays zero.
func (r rooms) panels(role string, p *param, columns, each int) []float32 {
	key := room{role: role}
	if columns%simd.Panel != 0 {
		key.role = fmt.Sprint(role, p.o, p.i, p.taps, each) // numbers of a panel tell its form
	}
	return r.longest(key, panels(columns)*each)
}

// longest gives n numbers of the key's buffer. Who has taken a shorter one before keeps it.
func (r rooms) longest(key room, n int) []float32 {
	if r == nil {
		return make([]float32, n)
	}
	if len(r[key]) < n {
		r[key] = make([]float32, n)
	}
	return r[key][:n]
}

func (r rooms) at(key room, v *value) []float32 {
	key.n, key.d, key.h, key.rows, key.line = v.n, v.d, v.h, v.rows, v.line()
	if r == nil || r[key] == nil {
		buf := make([]float32, v.size())
		if r == nil {
			return buf
		}
		r[key] = buf
	}
	return r[key]
}
