package net

import (
	"hash/fnv"
	"math"
)

// Init is how a parameter starts: normal with Mean and Std; Std 0 is the constant Mean.
type Init struct{ Mean, Std float64 }

// Init gives every parameter its first value, by PyTorch's name and layout. A value depends on seed, name and index only
// (counter-based), so a net with a layer more starts its other layers alike.
func (g *Graph) Init(seed uint64) map[string]Tensor {
	all := make(map[string]Tensor, len(g.Params))
	for _, p := range g.Params {
		all[p.Name] = p.first(seed)
	}
	return all
}

func (p *Param) first(seed uint64) Tensor {
	if IsCount(p.Name) {
		return Tensor{Shape: p.Shape, I64: make([]int64, 1)}
	}
	v := make([]float32, Size(p.Shape))
	h := fnv.New64a()
	h.Write([]byte(p.Name))
	key := mix(seed ^ mix(h.Sum64()))
	for i := range v {
		v[i] = float32(p.Init.Mean)
		if p.Init.Std != 0 {
			v[i] += float32(p.Init.Std * normal(key, uint64(i)))
		}
	}
	return Tensor{Shape: p.Shape, F32: v}
}

// IsCount says whether a name is batch normalisation's step counter, the one parameter that is an integer.
func IsCount(name string) bool {
	const tail = "num_batches_tracked"
	return len(name) >= len(tail) && name[len(name)-len(tail):] == tail
}

// normal is the i-th standard normal of a stream (Box and Muller 1958).
func normal(key, i uint64) float64 {
	u := (float64(mix(key+2*i)>>11) + 0.5) / (1 << 53)
	v := float64(mix(key+2*i+1)>>11) / (1 << 53)
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// mix is SplitMix64's step and finaliser (Steele, Lea, Flood 2014), a bijection of 64 bits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
