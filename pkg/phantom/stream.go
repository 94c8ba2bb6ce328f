package phantom

import "math"

// stream is a random substream (splitmix64, Steele et al. 2014). Every quantity of a study has its own, named by what it
// decides, so that drawing one more number somewhere moves nothing elsewhere.
type stream uint64

// substream starts the stream called name of the entity numbered by keys.
func substream(seed uint64, name string, keys ...int) stream {
	h := mix(seed ^ 0x51_1f_e2_be_a3_00_77_01)
	for _, k := range keys {
		h = mix(h ^ uint64(k)*0x9e3779b97f4a7c15)
	}
	for i := range len(name) {
		h = mix(h ^ uint64(name[i]))
	}
	return stream(h)
}

func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *stream) next() uint64 {
	h := mix(uint64(*r))
	*r += 0x9e3779b97f4a7c15
	return h
}

// u is uniform in [0, 1).
func (r *stream) u() float64 { return float64(r.next()>>11) / (1 << 53) }

// in is uniform between a and b.
func (r *stream) in(a, b float64) float64 { return a + (b-a)*r.u() }

// chance is true with probability p; it always draws.
func (r *stream) chance(p float64) bool { return r.u() < p }

// count is a whole number from a to b, both included.
func (r *stream) count(a, b int) int { return a + int(r.u()*float64(b-a+1)) }

// normal is standard Gaussian (Box and Muller 1958, one of the pair).
func (r *stream) normal() float64 {
	a, b := 1-r.u(), r.u()
	return math.Sqrt(-2*math.Log(a)) * math.Cos(2*math.Pi*b)
}

// pick returns one element of list.
func pick[T any](r *stream, list []T) T { return list[int(r.u()*float64(len(list)))] }

// shuffle permutes list in place (Fisher and Yates).
func shuffle[T any](r *stream, list []T) {
	for i := len(list) - 1; i > 0; i-- {
		j := int(r.u() * float64(i+1))
		list[i], list[j] = list[j], list[i]
	}
}
