package fit

import "math"

// Cosine is a learning rate that climbs in a line to Peak in Warmup steps and then falls along half a cosine, so that it
// would reach Floor at step Steps (Loshchilov and Hutter 2017, without restarts).
type Cosine struct {
	Peak, Floor   float64
	Warmup, Steps int
}

// At is the learning rate of step i, from 0.
func (c Cosine) At(i int) float64 {
	if i < c.Warmup {
		return warm(c.Peak, i, c.Warmup)
	}
	along := min(1, float64(i-c.Warmup)/float64(max(1, c.Steps-c.Warmup)))
	return c.Floor + (c.Peak-c.Floor)*(1+math.Cos(math.Pi*along))/2
}

// warm is the learning rate of step i of a line up to a peak.
func warm(peak float64, i, warmup int) float64 { return peak * float64(i+1) / float64(warmup) }

// clip is the factor that brings a gradient of this norm to at most limit, as torch's clip_grad_norm_ does; 0: no limit.
func clip(norm, limit float64) float64 {
	if limit <= 0 || norm <= limit {
		return 1
	}
	return limit / (norm + 1e-6)
}
