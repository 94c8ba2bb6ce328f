package fit

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
)

// TestTrainedByPyTorch trains the models of a finished demo once more, each step taken by PyTorch: the same first weights,
// batches, schedule and optimiser. The environment names the demo's run folder, where the models go, and a python with torch.
func TestTrainedByPyTorch(t *testing.T) {
	run, out, python := os.Getenv("SILVERBEAM_DEMO"), os.Getenv("SILVERBEAM_TORCH_OUT"), os.Getenv("SILVERBEAM_TORCH")
	if run == "" {
		t.Skip("no SILVERBEAM_DEMO: make bench-demo")
	}
	if err := os.RemoveAll(out); err != nil { // nothing is gone on with: PyTorch's moments are in no checkpoint
		t.Fatal(err)
	}
	data, err := shard.Open(filepath.Join(run, "dataset"))
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	tax, err := taxonomy.Load("ctrate-18")
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCorpus(data, tax, "train")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"vision", "clip"} {
		ours, err := ReadConfig(filepath.Join(run, "models", name))
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Recipe: ours.Recipe, Width: ours.Width, Stem: ours.Stem, Epochs: ours.Epochs, Batch: ours.Batch, LR: ours.LR, Seed: ours.Seed, Augment: ours.Augment}
		if name == "clip" {
			o.Init = filepath.Join(out, "vision")
		}
		e := torch{python, t}
		res, err := train(t.Context(), e, c, nil, tax.Digest(), filepath.Join(out, name), o, func(p Progress) {
			if p.Step%100 == 0 {
				fmt.Fprintf(os.Stderr, "PyTorch: %s %d of %d, loss %.4f\n", name, p.Step, p.Steps, p.Loss)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: loss over the last epoch %.4f by PyTorch, %.4f by gorgonia", name, res.Loss, ours.Loss)
	}
}

// torch is an engine whose programs are processes of testdata/trainer.py.
type torch struct {
	python string
	t      *testing.T
}

func (e torch) Compile(g *net.Graph, _ map[string][]int, _ bool) (engine.Program, error) {
	p := &torchProgram{dir: e.t.TempDir()}
	for _, q := range g.Params {
		p.params = append(p.params, &engine.Param{Name: q.Name, Shape: q.Shape, Buffer: q.Buffer, Value: make([]float32, net.Size(q.Shape))})
	}
	cmd := exec.Command(e.python, "testdata/trainer.py")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	e.t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	return p, cmd.Start()
}

type torchProgram struct {
	engine.Program // none: what is not below is not asked
	dir            string
	params         []*engine.Param
	in             io.Writer
	out            *bufio.Reader
	bound          map[string]any // the optimiser, until the first step
}

// ask sends a message with tensors behind it and takes the answer.
func (p *torchProgram) ask(m map[string]any, tensors []byte) (answer struct{ Loss, Norm float64 }, err error) {
	line, err := json.Marshal(m)
	if err != nil {
		return answer, err
	}
	if _, err = p.in.Write(append(append(line, '\n'), tensors...)); err != nil {
		return answer, err
	}
	if line, err = p.out.ReadBytes('\n'); err != nil {
		return answer, err
	}
	return answer, json.Unmarshal(line, &answer)
}

func (p *torchProgram) Params() []*engine.Param { return p.params }

func (p *torchProgram) Load(all map[string]net.Tensor) error {
	mine, file := map[string]net.Tensor{}, filepath.Join(p.dir, "load.safetensors")
	for _, q := range p.params {
		if x, ok := all[q.Name]; ok {
			mine[q.Name] = x
		}
	}
	if err := net.SaveSafetensors(file, mine, nil); err != nil {
		return err
	}
	_, err := p.ask(map[string]any{"do": "load", "file": file, "heads": textTower.Heads}, nil)
	return err
}

func (p *torchProgram) Export() map[string]net.Tensor {
	file := filepath.Join(p.dir, "save.safetensors")
	if _, err := p.ask(map[string]any{"do": "save", "file": file}, nil); err != nil {
		panic(err)
	}
	all, _, err := net.LoadSafetensors(file)
	if err != nil {
		panic(err)
	}
	return all
}

func (p *torchProgram) Bind(u engine.Update) {
	type slot struct {
		Name  string  `json:"name"`
		Rate  float64 `json:"rate"`
		Decay float64 `json:"decay"`
	}
	var slots []slot
	for _, s := range u.Slots {
		slots = append(slots, slot{s.Param.Name, s.Rate, s.Decay})
	}
	p.bound = map[string]any{"do": "bind", "slots": slots, "beta1": u.Beta1, "beta2": u.Beta2, "eps": u.Eps, "clip": u.Clip}
}

// torchBatch is a batch as a message.
type torchBatch struct {
	list   []map[string]any
	floats bytes.Buffer
}

func (*torchBatch) Drop() {}

func (p *torchProgram) Stage(in map[string]net.Tensor) (engine.Staged, error) {
	b := &torchBatch{}
	for name, x := range in {
		kind, numbers := "f32", any(x.F32)
		if x.I32 != nil {
			kind, numbers = "i32", x.I32
		}
		b.list = append(b.list, map[string]any{"name": name, "shape": x.Shape, "type": kind})
		if err := binary.Write(&b.floats, binary.LittleEndian, numbers); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (p *torchProgram) Step(b engine.Staged, lr float64, _ int64) (map[string]net.Tensor, float64, error) {
	if p.bound != nil { // after Load, which comes after Bind
		if _, err := p.ask(p.bound, nil); err != nil {
			return nil, 0, err
		}
		p.bound = nil
	}
	batch := b.(*torchBatch)
	a, err := p.ask(map[string]any{"do": "step", "lr": lr, "tensors": batch.list}, batch.floats.Bytes())
	return map[string]net.Tensor{"loss": {F32: []float32{float32(a.Loss)}}}, a.Norm, err
}

func (p *torchProgram) Sync() error { return nil }
