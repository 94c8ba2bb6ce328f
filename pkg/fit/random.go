package fit

import "math/rand/v2"

// What a random stream is for; two purposes never share one.
const (
	forOrder = iota + 1
	forView
	forImage
	forText
)

// stream is the random numbers of one purpose, epoch and study. It is a function of its key alone (a counter-based
// draw), so it can be made again in any order, on any goroutine, after any restart.
func stream(seed uint64, key ...uint64) *rand.Rand {
	a, b := mix(seed), mix(^seed)
	for _, k := range key {
		a, b = mix(a^k), mix(b+k)
	}
	return rand.New(rand.NewPCG(a, b))
}

// mix is SplitMix64's step and finaliser (Steele, Lea, Flood 2014), a bijection of 64 bits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
