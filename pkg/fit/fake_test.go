package fit

import (
	"fmt"
	"math"
	"slices"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"
)

// fakeEngine runs logistic regression on the mean of each z plane, whatever net it is given: enough for the loop.
type fakeEngine struct{ slow func() }

type fakeProgram struct {
	w, b, mean *engine.Param
	planes, c  int
	slow       func()
}

func (e fakeEngine) Compile(g *net.Graph, shapes map[string][]int, train bool) (engine.Program, error) {
	planes, c := shapes["x"][2], shapes["labels"][1]
	p := &fakeProgram{planes: planes, c: c, slow: e.slow}
	p.w = &engine.Param{Name: "fc.weight", Shape: []int{c, planes}, Value: make([]float32, c*planes), Grad: make([]float32, c*planes)}
	p.b = &engine.Param{Name: "fc.bias", Shape: []int{c}, Value: make([]float32, c), Grad: make([]float32, c)}
	p.mean = &engine.Param{Name: "running_mean", Shape: []int{planes}, Value: make([]float32, planes), Buffer: true}
	return p, nil
}

func (p *fakeProgram) Params() []*engine.Param { return []*engine.Param{p.w, p.b, p.mean} }

func (p *fakeProgram) Run(in map[string]net.Tensor) (map[string]net.Tensor, error) {
	if p.slow != nil {
		p.slow()
	}
	n := in["x"].Shape[0]
	clear(p.w.Grad)
	clear(p.b.Grad)
	loss, size := 0.0, len(in["x"].F32)/n/p.planes
	for i := range n {
		feature := make([]float32, p.planes)
		for z := range feature {
			for _, v := range in["x"].F32[(i*p.planes+z)*size:][:size] {
				feature[z] += v / float32(size)
			}
			p.mean.Value[z] += 0.1 * (feature[z] - p.mean.Value[z])
		}
		for c := range p.c {
			y := in["labels"].I32[i*p.c+c]
			if y == unknown {
				continue
			}
			logit := p.b.Value[c]
			for z, f := range feature {
				logit += p.w.Value[c*p.planes+z] * f
			}
			prob := 1 / (1 + math.Exp(-float64(logit)))
			loss -= math.Log(pick(y == 1, prob, 1-prob)) / float64(n*p.c)
			d := float32(prob-float64(y)) / float32(n*p.c)
			p.b.Grad[c] += d
			for z, f := range feature {
				p.w.Grad[c*p.planes+z] += d * f
			}
		}
	}
	return map[string]net.Tensor{"loss": {Shape: []int{}, F32: []float32{float32(loss)}}}, nil
}

func (p *fakeProgram) Forward(in map[string]net.Tensor) (map[string]net.Tensor, error) {
	return p.Run(in)
}

func (p *fakeProgram) Gradients() map[string]net.Tensor {
	return map[string]net.Tensor{p.w.Name: {Shape: p.w.Shape, F32: p.w.Grad}, p.b.Name: {Shape: p.b.Shape, F32: p.b.Grad}}
}

func (p *fakeProgram) Export() map[string]net.Tensor {
	out := map[string]net.Tensor{"count.num_batches_tracked": {Shape: []int{}, I64: []int64{1}}}
	for _, q := range p.Params() {
		out[q.Name] = net.Tensor{Shape: q.Shape, F32: slices.Clone(q.Value)}
	}
	return out
}

func (p *fakeProgram) Load(all map[string]net.Tensor) error {
	for _, q := range p.Params() {
		if len(all[q.Name].F32) != len(q.Value) {
			continue // first weights are those of the real net, whose layers are others: ours stay zero
		}
		copy(q.Value, all[q.Name].F32)
	}
	return nil
}

// memory is a volume that is in no file.
type memory struct {
	hu    []int16
	shape [3]int
}

func (m memory) Crop(dst []int16, at, size [3]int) error {
	for i := range dst {
		z, y, x := i/size[2]/size[1], i/size[2]%size[1], i%size[2]
		dst[i] = m.hu[((at[0]+z)*m.shape[1]+at[1]+y)*m.shape[2]+at[2]+x]
	}
	return nil
}

func (memory) Release() {}

// toy is a corpus that logistic regression can learn: finding c is present where plane c is bright. Its voxels are larger
// than any augmenting shift.
func toy(studies int) *corpus {
	p := volume.Preset{Name: "toy", SpacingMM: [3]float64{20, 20, 20}, Shape: [3]int{4, 6, 5}, LoHU: -1000, HiHU: 200}
	c := &corpus{digest: "toy", preset: p, findings: []string{"a", "b"}}
	for i := range studies {
		r := stream(7, uint64(i))
		s := study{id: fmt.Sprintf("toy_%d", i), report: "The lungs are clear. There is no effusion."}
		for range 1 + i%2 {
			s.volumes = append(s.volumes, memory{make([]int16, p.Len()), p.Shape})
		}
		for f := range c.findings {
			state := taxonomy.State(r.IntN(2))
			for _, v := range s.volumes {
				hu := v.(memory).hu
				for k := range hu[f*30 : f*30+30] {
					hu[f*30+k] = int16(-600 + 400*int(state) + r.IntN(100))
				}
			}
			if r.IntN(10) == 0 {
				state = taxonomy.Uncertain
			}
			s.labels = append(s.labels, taxonomy.Label{State: state})
		}
		c.studies = append(c.studies, s)
	}
	return c
}
