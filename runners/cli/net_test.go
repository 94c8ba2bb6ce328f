package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/engine/xla"
	"silverbeam/pkg/net"
)

// netLab is a folder with a net's files, taken from what PyTorch made for pkg/engine's tests.
type netLab struct {
	*testing.T
	dir    string
	golden map[string]map[string]net.Tensor // "w", "in", "out", "grad", "after", by name
}

func newNetLab(t *testing.T, file, spec string) *netLab {
	t.Helper()
	all, _, err := net.LoadSafetensors(filepath.Join("..", "..", "pkg", "engine", "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	l := &netLab{t, t.TempDir(), map[string]map[string]net.Tensor{}}
	for name, v := range all {
		kind, name, _ := strings.Cut(name, "/")
		if l.golden[kind] == nil {
			l.golden[kind] = map[string]net.Tensor{}
		}
		l.golden[kind][name] = v
	}
	l.write("net.json", []byte(spec))
	l.tensors("w", l.golden["w"])
	l.tensors("in", l.golden["in"])
	return l
}

func (l *netLab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *netLab) write(name string, b []byte) {
	l.Helper()
	if err := os.WriteFile(l.path(name), b, 0o644); err != nil {
		l.Fatal(err)
	}
}

func (l *netLab) tensors(name string, all map[string]net.Tensor) {
	l.Helper()
	b, err := net.EncodeSafetensors(all, nil)
	if err != nil {
		l.Fatal(err)
	}
	l.write(name, b)
}

// run is a verb with the folder's files, which must end with a code; it gives what was written to out and the error.
func (l *netLab) run(want int, args ...string) (out map[string]net.Tensor, message string) {
	l.Helper()
	os.Remove(l.path("out"))
	var stderr bytes.Buffer
	root := Root()
	root.SetArgs(append([]string{"net", args[0], "--net", l.path("net.json"), "--weights", l.path("w"), "--in", l.path("in"), "--out", l.path("out")}, args[1:]...))
	root.SetErr(&stderr)
	err := root.ExecuteContext(l.Context())
	if got := code(err); got != want {
		l.Fatalf("%v: exit code %d, want %d: %v", args, got, want, err)
	}
	if err != nil {
		if _, err := os.Stat(l.path("out")); err == nil {
			l.Errorf("%v: wrote a file", args)
		}
		return nil, err.Error()
	}
	out, _, err = net.LoadSafetensors(l.path("out"))
	if err != nil {
		l.Fatal(err)
	}
	return out, stderr.String()
}

// near holds max|a-b|/max|b| to a bound.
func (l *netLab) near(name string, got, want net.Tensor, bound float64) {
	l.Helper()
	var off, top float64
	for i := range want.F32 {
		off, top = max(off, math.Abs(float64(got.F32[i]-want.F32[i]))), max(top, math.Abs(float64(want.F32[i])))
	}
	if len(got.F32) != len(want.F32) || !(off <= bound*top) {
		l.Errorf("%s: off by %.2g of %.2g", name, off, top)
	}
}

const stemOfTorchvision = `{"arch": "r3d_18", "width": 2, "classes": 4}`

func TestNetForward(t *testing.T) {
	l := newNetLab(t, "r3d_18_eval.safetensors", stemOfTorchvision)
	out, _ := l.run(0, "forward", "--features")
	if len(out) != 6 {
		t.Errorf("%d tensors, want 6", len(out))
	}
	for name, want := range l.golden["out"] {
		l.near(name, out[name], want, 1e-5)
	}
	out, _ = l.run(0, "forward", "--features", "--dtype", "bf16")
	for name, want := range l.golden["out"] {
		l.near("bf16 "+name, out[name], want, 2e-2)
	}
	if got, full := out["logits"].F32[0], l.golden["out"]["logits"].F32[0]; math.Abs(float64(got-full)) < 1e-6*math.Abs(float64(full)) {
		t.Errorf("--dtype bf16 computes in f32")
	}
	if out, _ = l.run(0, "forward"); len(out) != 1 {
		t.Errorf("%d tensors without --features, want the logits alone", len(out))
	}

	l = newNetLab(t, "r3d_18.safetensors", ctStem)
	out, stderr := l.run(0, "forward", "--mode", "train")
	l.near("logits of the batch's statistics", out["logits"], l.golden["out"]["logits"], 1e-5)
	if !strings.Contains(stderr, "not used: labels, pos_weight") {
		t.Errorf("stderr %q", stderr)
	}

	l = newNetLab(t, "bert.safetensors", `{"arch": "bert", "layers": 2, "hidden": 24, "heads": 3, "intermediate": 40, "vocab": 30, "max_positions": 12, "eps": 1e-12}`)
	out, _ = l.run(0, "forward")
	for name, want := range l.golden["out"] {
		l.near(name, out[name], want, 1e-5)
	}
	headed := map[string]net.Tensor{"cls.predictions.bias": l.golden["w"]["embeddings.LayerNorm.bias"], "bert.pooler.dense.bias": l.golden["w"]["embeddings.LayerNorm.bias"]}
	for name, w := range l.golden["w"] { // as bert-base-uncased's file has them
		name = strings.Replace(strings.Replace(name, "LayerNorm.weight", "LayerNorm.gamma", 1), "LayerNorm.bias", "LayerNorm.beta", 1)
		headed["bert."+name] = w
	}
	l.tensors("w", headed)
	same, _ := l.run(0, "forward")
	l.near("cls of a model with a head", same["cls"], out["cls"], 0)
}

// What is wrong is named, with the shape that is there and the one that is wanted.
func TestNetRefuses(t *testing.T) {
	l := newNetLab(t, "r3d_18_eval.safetensors", stemOfTorchvision)
	nan := net.Tensor{Shape: []int{4}, F32: []float32{0, 1, float32(math.NaN()), 0}}
	x := l.golden["in"]["x"]
	inf := net.Tensor{Shape: x.Shape, F32: append([]float32{float32(math.Inf(1))}, x.F32[1:]...)}
	for want, change := range map[string]func(w, in map[string]net.Tensor){
		"w: tensor fc.bias: missing, want shape [4]": func(w, _ map[string]net.Tensor) { delete(w, "fc.bias") },
		"w: tensor fc.bias: shape [3], want [4]": func(w, _ map[string]net.Tensor) {
			w["fc.bias"] = net.Tensor{Shape: []int{3}, F32: make([]float32, 3)}
		},
		"w: tensor fc.bias: I32 [4] of 4 values, want F32": func(w, _ map[string]net.Tensor) {
			w["fc.bias"] = net.Tensor{Shape: []int{4}, I32: make([]int32, 4)}
		},
		"w: tensor fc.bias: shape [4], element 2 is NaN: want finite numbers": func(w, _ map[string]net.Tensor) { w["fc.bias"] = nan },
		"w: tensor head.bias: shape [4], and this net has no such parameter":  func(w, _ map[string]net.Tensor) { w["head.bias"] = w["fc.bias"] },
		"w: tensor stem.1.num_batches_tracked: F32 [4], want one I64": func(w, _ map[string]net.Tensor) {
			w["stem.1.num_batches_tracked"] = w["fc.bias"]
		},
		"in: tensor x: missing, want shape [any 3 any any any]":             func(_, in map[string]net.Tensor) { delete(in, "x") },
		"in: tensor x: shape [4], want [any 3 any any any]":                 func(w, in map[string]net.Tensor) { in["x"] = w["fc.bias"] },
		"in: tensor x: shape [2 3 5 18 21], element 0 is +Inf: want finite": func(_, in map[string]net.Tensor) { in["x"] = inf },
		"in: tensor x: I32 [1 3 1 1 1] of 3 values, want F32": func(_, in map[string]net.Tensor) {
			in["x"] = net.Tensor{Shape: []int{1, 3, 1, 1, 1}, I32: make([]int32, 3)}
		},
	} {
		w, in := maps.Clone(l.golden["w"]), maps.Clone(l.golden["in"])
		change(w, in)
		l.tensors("w", w)
		l.tensors("in", in)
		if _, message := l.run(3, "forward"); !strings.Contains(message, want) {
			t.Errorf("%q, want %q", message, want)
		}
	}
	l.tensors("w", l.golden["w"])
	l.tensors("in", l.golden["in"])
	for spec, want := range map[string]string{
		`{"arch": "r3d_34", "classes": 4}`:                                        `arch "r3d_34": want r3d_18, bert or vit_3d`,
		`{"arch": "r3d_18", "width": 3, "classes": 4}`:                            "tensor stem.0.weight: shape [2 3 3 7 7], want [3 3 3 7 7]",
		`{"arch": "r3d_18", "classes": 0, "width": -1}`:                           "width -1: want 1 to 4096\nclasses 0: want 1 to",
		`{"arch": "r3d_18", "classes": 4, "depth": 18}`:                           `unknown field "depth"`,
		`{"arch": "r3d_18", "classes": 4, "stem": {"kernel": [2, 2]}}`:            "stem.kernel [2 2]: want three numbers",
		`{"arch": "r3d_18", "classes": 4, "stem": {"kernel": [2, 2, 2]}} {}`:      "after top-level value",
		`{"arch": "bert", "layers": 1, "hidden": 10, "heads": 3, "eps": 0.00001}`: "hidden 10: want a multiple of heads, 3",
		`arch: r3d_18`: "invalid character",
	} {
		l.write("net.json", []byte(spec))
		if _, message := l.run(3, "forward"); !strings.Contains(message, want) {
			t.Errorf("%s: %q, want %q", spec, message, want)
		}
	}
	l.write("net.json", []byte(stemOfTorchvision))
	for want, args := range map[string][]string{
		"gorgonia or xla":         {"--engine", "cuda"},
		"f32 or bf16":             {"--dtype", "f16"},
		"eval or train":           {"--mode", "test"},
		"--out: a file is needed": {"--out", ""},
	} {
		if _, message := l.run(2, append([]string{"forward"}, args...)...); !strings.Contains(message, want) {
			t.Errorf("%v: %q", args, message)
		}
	}
	l.run(3, "forward", "--weights", l.path("none"))
	l.run(3, "forward", "--weights", l.path("net.json"))
}

const ctStem = `{"arch": "r3d_18", "width": 3, "stem": {"kernel": [2, 2, 2], "stride": [2, 2, 2], "in": 1}, "classes": 5}`

func TestNetFit(t *testing.T) {
	l := newNetLab(t, "r3d_18.safetensors", ctStem)
	l.write("opt.json", []byte(`{"name": "adamw", "lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.05, "no_decay": "1d", "clip": null, "schedule": null}`))
	args := []string{"fit", "--steps", "3", "--optimizer", l.path("opt.json"), "--history", l.path("h.jsonl"), "--grads", l.path("g")}
	out, _ := l.run(0, args...)
	if n := out["stem.1.num_batches_tracked"].I64; len(n) != 1 || n[0] != l.golden["w"]["stem.1.num_batches_tracked"].I64[0]+3 {
		t.Errorf("num_batches_tracked is %v after three steps", n)
	}
	grads, _, err := net.LoadSafetensors(l.path("g"))
	if err != nil || len(grads) != len(l.golden["grad"]) {
		t.Fatalf("%d gradients, want %d: %v", len(grads), len(l.golden["grad"]), err)
	}
	for _, name := range []string{"fc.weight", "stem.0.weight", "layer4.0.downsample.0.weight"} {
		l.near("gradient of "+name, grads[name], l.golden["grad"][name], 3e-5)
	}
	h, err := os.ReadFile(l.path("h.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(h)), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], `{"step":0,"loss":0.80055`) || !strings.HasSuffix(lines[2], `"lr":0.001}`) {
		t.Errorf("history %q", lines)
	}

	out, _ = l.run(0, append(args, "--frozen-bn")...)
	l.near("statistics under --frozen-bn", out["stem.1.running_mean"], l.golden["w"]["stem.1.running_mean"], 0)
	if got, was := out["stem.1.weight"].F32[0], l.golden["w"]["stem.1.weight"].F32[0]; got == was {
		t.Errorf("--frozen-bn trains no affine parameter: %v", got)
	}

	in := maps.Clone(l.golden["in"])
	in["labels"] = net.Tensor{Shape: []int{3, 5}, I32: append([]int32{2}, make([]int32, 14)...)}
	l.tensors("in", in)
	if _, message := l.run(3, args...); !strings.Contains(message, "tensor labels: shape [3 5], element 0 is 2: want -1 to 1") {
		t.Error(message)
	}
	delete(in, "labels")
	l.tensors("in", in)
	if _, message := l.run(3, args...); !strings.Contains(message, "tensor labels: missing, want shape [any 5]") {
		t.Error(message)
	}
	l.tensors("in", l.golden["in"])
	l.write("opt.json", []byte(`{"name": "adamw", "lr": 1e30}`))
	if _, message := l.run(2, args...); !strings.Contains(message, "training diverged") {
		t.Error(message)
	}
	l.write("opt.json", []byte(`{"name": "lion"}`))
	l.run(3, args...)
	l.run(2, append(args, "--steps", "0")...)
}

// The same by engine xla, within its bounds: results, gradients, three steps; what is missing is named as by gorgonia.
func TestNetOnXLA(t *testing.T) {
	if os.Getenv(xla.Library) == "" {
		t.Skipf("%s names no PJRT plugin: make test-xla fetches one", xla.Library)
	}
	l := newNetLab(t, "r3d_18.safetensors", ctStem)
	out, _ := l.run(0, "forward", "--mode", "train", "--engine", "xla")
	l.near("logits", out["logits"], l.golden["out"]["logits"], 1e-4)
	out, _ = l.run(0, "forward", "--mode", "train", "--engine", "xla", "--dtype", "bf16")
	l.near("logits in bf16", out["logits"], l.golden["out"]["logits"], 2e-2)
	l.write("opt.json", []byte(`{"name": "adamw", "lr": 1e-3, "weight_decay": 0.05, "no_decay": "1d", "clip": 1}`))
	args := []string{"fit", "--steps", "3", "--optimizer", l.path("opt.json"), "--history", l.path("h.jsonl"), "--grads", l.path("g")}
	here, _ := l.run(0, args...)
	there, _ := l.run(0, append(args, "--engine", "xla")...)
	grads, _, err := net.LoadSafetensors(l.path("g"))
	if err != nil || len(grads) != len(l.golden["grad"]) {
		t.Fatalf("%d gradients, want %d: %v", len(grads), len(l.golden["grad"]), err)
	}
	for _, name := range []string{"fc.weight", "stem.0.weight", "layer4.0.downsample.0.weight"} {
		l.near("gradient of "+name, grads[name], l.golden["grad"][name], 1e-4)
		l.near(name+" after three steps", there[name], here[name], 1e-3)
	}
	if n := there["stem.1.num_batches_tracked"].I64; len(n) != 1 || n[0] != l.golden["w"]["stem.1.num_batches_tracked"].I64[0]+3 {
		t.Errorf("num_batches_tracked is %v after three steps", n)
	}
	l = newNetLab(t, "bert.safetensors", `{"arch": "bert", "layers": 2, "hidden": 24, "heads": 3, "intermediate": 40, "vocab": 30, "max_positions": 12, "eps": 1e-12}`)
	l.golden["in"]["input_ids"].I32[3] = 30
	l.tensors("in", l.golden["in"])
	if _, message := l.run(3, "forward", "--engine", "xla"); !strings.Contains(message, "tensor input_ids: id 30") {
		t.Error(message)
	}
}

// Texts and a vision transformer train too: gradients are PyTorch's, dropout is the same in every run and off in forward.
func TestNetFitOfOtherNets(t *testing.T) {
	for file, spec := range map[string]string{
		"bert_fit.safetensors": `{"arch": "bert", "layers": 2, "hidden": 24, "heads": 3, "intermediate": 40, "vocab": 30, "max_positions": 12, "classes": 5}`,
		"vit_3d.safetensors":   `{"arch": "vit_3d", "size": [4, 8, 6], "patch": [2, 4, 3], "layers": 2, "hidden": 24, "heads": 3, "intermediate": 40, "classes": 5}`,
	} {
		l := newNetLab(t, file, spec)
		l.write("opt.json", []byte(`{"name": "adamw", "lr": 1e-2}`))
		args := []string{"fit", "--steps", "20", "--optimizer", l.path("opt.json"), "--history", l.path("h.jsonl"), "--grads", l.path("g")}
		plain, _ := l.run(0, args...)
		grads, _, err := net.LoadSafetensors(l.path("g"))
		if err != nil || len(grads) != len(l.golden["grad"]) {
			t.Fatalf("%d gradients, want %d: %v", len(grads), len(l.golden["grad"]), err)
		}
		for name, want := range l.golden["grad"] {
			if !strings.HasSuffix(name, "key.bias") { // zero but for rounding
				l.near(file+": gradient of "+name, grads[name], want, 3e-5)
			}
		}
		h, err := os.ReadFile(l.path("h.jsonl"))
		lines := strings.Split(strings.TrimSpace(string(h)), "\n")
		var last struct{ Loss float64 }
		if err == nil {
			err = json.Unmarshal([]byte(lines[len(lines)-1]), &last)
		}
		if err != nil || last.Loss > 0.2 {
			t.Errorf("%s: loss %v after 20 steps: %v", file, last.Loss, err)
		}
		if _, message := l.run(2, append(args, "--frozen-bn")...); !strings.Contains(message, "no batch normalisation") {
			t.Error(message)
		}
		out, _ := l.run(0, "forward")
		l.near(file+": logits", out["logits"], l.golden["out"]["logits"], 1e-5)
		if !strings.Contains(spec, "vit_3d") {
			continue
		}
		l.write("net.json", []byte(strings.Replace(spec, "{", `{"dropout": 0.5, `, 1)))
		once, _ := l.run(0, args...)
		again, _ := l.run(0, args...)
		l.near("weights of the same dropout", again["heads.head.weight"], once["heads.head.weight"], 0)
		if slices.Equal(once["heads.head.weight"].F32, plain["heads.head.weight"].F32) {
			t.Error("dropout drops nothing")
		}
		out, _ = l.run(0, "forward")
		l.near("logits without dropout", out["logits"], l.golden["out"]["logits"], 1e-5)
	}
}
