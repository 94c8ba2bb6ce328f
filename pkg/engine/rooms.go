package engine

// rooms are buffers that layers of one program share, one after the other: what is filled and read again within one pass
// of a layer. Those of one role are apart by shape, so that the zeros beside rows and in padding stay zeros. Without a
// program (nil) each layer has its own.
type rooms map[room][]float32

type room struct {
	role          string
	chain, turn   int // of gradients: 0 elsewhere
	n, d, h, rows int
	line          int
}

// take gives a buffer laid out like v.
func (r rooms) take(role string, v *value) []float32 { return r.at(room{role: role}, v) }

// gradient gives one of the two buffers that the gradients of a chain's results of v's shape take turns in.
func (r rooms) gradient(chain, turn int, v *value) []float32 {
	return r.at(room{"gradient", chain, turn % 2, 0, 0, 0, 0, 0}, v)
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
