// Package cases reads the operations whose values and gradients PyTorch has given, for the tests of both engines.
package cases

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"silverbeam/pkg/net"
)

// Case is one case of an ops.json: an operation of PyTorch's, whose tensors stand beside it in ops.safetensors.
type Case struct {
	Op    string
	Attrs struct {
		Kernel, Stride, Padding json.RawMessage // a number or three
		Size, Factors           [3]int
		Dilation, Groups, Heads int
		Training, Causal        bool
		Eps                     float64
		Reduction               string
		Smoothing               float64 `json:"label_smoothing"`
		Ignore                  int32   `json:"ignore_index"`
		Temperature             float64
		Missing                 string
		Linear, Squared         bool
		Contrastive             net.Contrastive
	}
	Inputs, Grads []string
}

// Layer is the case's operation here, of the sizes of its weights in, which of the inputs are tensors (the others are parameters), and how near its
// gradients must be: float32 sums of convolutions, norms and attention are allowed 3e-5.
func (c Case) Layer(t testing.TB, in map[string]net.Tensor) (op net.Op, tensors []string, bound float64) {
	op, tensors, bound = c.layer(t)
	return sized(op, in), tensors, bound
}

func (c Case) layer(t testing.TB) (op net.Op, tensors []string, bound float64) {
	three := func(b json.RawMessage) (a [3]int) {
		var one int
		if json.Unmarshal(b, &one) == nil {
			return [3]int{one, one, one}
		}
		if err := json.Unmarshal(b, &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	has := func(name string) bool { return slices.Contains(c.Inputs, name) }
	a := c.Attrs
	switch c.Op {
	case "conv3d":
		return net.Conv{Out: 1, Kernel: three(a.Kernel), Stride: three(a.Stride), Pad: three(a.Padding), Dilation: a.Dilation, Bias: has("bias")}, []string{"x"}, 3e-5
	case "maxpool3d":
		return net.MaxPool{Kernel: three(a.Kernel), Stride: three(a.Stride), Pad: three(a.Padding)}, []string{"x"}, 1e-5
	case "batchnorm3d":
		return net.BatchNorm{}, []string{"x"}, 3e-5
	case "groupnorm":
		return net.GroupNorm{Groups: a.Groups, Eps: a.Eps}, []string{"x"}, 3e-5
	case "layernorm":
		return net.LayerNorm{Eps: a.Eps}, []string{"x"}, 3e-5
	case "l2norm":
		return net.L2Norm{}, []string{"x"}, 1e-5
	case "relu", "gelu_tanh", "quick_gelu", "silu", "sigmoid":
		return net.Activation{Form: c.Op}, []string{"x"}, 1e-5
	case "gelu_erf":
		return net.Activation{Form: "gelu"}, []string{"x"}, 1e-5
	case "linear":
		return net.Linear{Out: 1, Bias: has("bias")}, []string{"x"}, 1e-5
	case "gap":
		return net.AvgPool{}, []string{"x"}, 1e-5
	case "embedding":
		return net.Embedding{}, []string{"ids"}, 1e-5 // padding_idx 0 in every case
	case "softmax":
		return net.Softmax{}, []string{"x"}, 1e-2 // saturated: float32 probabilities near 1
	case "attention":
		op, in := net.Attention{Heads: a.Heads, Causal: a.Causal, Cross: has("ctx"), Masked: has("key_valid")}, []string{"x"}
		for _, more := range []string{"ctx", "key_valid"} {
			if has(more) {
				in = append(in, more)
			}
		}
		return op, in, 3e-5
	case "bce_logits":
		return net.BCE{Sum: a.Reduction == "sum", Missing: a.Missing}, []string{"x", "y", "pos_weight"}, 1e-5
	case "ce":
		return net.CE{Smoothing: a.Smoothing, Ignore: a.Ignore}, []string{"x", "y"}, 1e-5
	case "infonce":
		return net.InfoNCE{}, []string{"img", "txt"}, 1e-5
	case "siglip":
		return net.SigLIP{}, []string{"img", "txt"}, 1e-5
	}
	some := func(names ...string) []string {
		return slices.DeleteFunc(names, func(n string) bool { return !has(n) })
	}
	switch c.Op {
	case "contrastive":
		return a.Contrastive, some("a", "b", "classes", "labels", "negatives", "groups"), 1e-5
	case "supcon":
		return net.SupCon{Temperature: a.Temperature}, []string{"x", "classes"}, 1e-5
	case "recon":
		return net.Recon{Squared: a.Squared}, some("x", "target", "region"), 1e-5
	case "add":
		return net.Add{}, []string{"a", "b"}, 1e-5
	case "adaptivepool3d":
		return net.AdaptivePool{Size: a.Size}, []string{"x"}, 1e-5
	case "upsample":
		return net.Upsample{Scale: a.Factors, Linear: a.Linear}, []string{"x"}, 1e-5
	case "convtranspose3d":
		return net.ConvTranspose{Out: 1, Kernel: three(a.Kernel), Stride: three(a.Stride), Pad: three(a.Padding), Bias: has("bias")}, []string{"x"}, 3e-5
	case "patchify":
		return net.Patchify{Out: 1, Patch: three(a.Kernel)}, []string{"x"}, 3e-5
	case "positions":
		return net.Positions{}, []string{"x"}, 1e-5
	}
	t.Fatalf("no layer here for %s", c.Op)
	return nil, nil, 0
}

// sized gives a layer the sizes that PyTorch takes from its weights.
func sized(op net.Op, in map[string]net.Tensor) net.Op {
	switch o := op.(type) {
	case net.Conv:
		o.Out = in["weight"].Shape[0]
		return o
	case net.ConvTranspose:
		o.Out = in["weight"].Shape[1]
		return o
	case net.Patchify:
		o.Out = in["weight"].Shape[0]
		return o
	case net.Positions:
		o.Tokens = in["x"].Shape[1]
		return o
	case net.Linear:
		o.Out = in["weight"].Shape[0]
		return o
	case net.Embedding:
		o.Rows, o.Width = in["weight"].Shape[0], in["weight"].Shape[1]
		return o
	}
	return op
}

// Folders are where cases lie: our own folder, and with SILVERBEAM_LAYERS that of others.
func Folders(own string) []string {
	if more := os.Getenv("SILVERBEAM_LAYERS"); more != "" {
		return []string{own, more}
	}
	return []string{own}
}

// Read gives a folder's cases by name, and their tensors by case, kind (in, out, gout: the gradient of the result, grad) and name.
func Read(t testing.TB, folder string) (cases map[string]Case, tensors map[string]map[string]map[string]net.Tensor) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "ops.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	all, _, err := net.LoadSafetensors(filepath.Join(folder, "ops.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	tensors = map[string]map[string]map[string]net.Tensor{}
	for n, v := range all {
		of, rest, _ := strings.Cut(n, "/")
		kind, name, _ := strings.Cut(rest, ".")
		if tensors[of] == nil {
			tensors[of] = map[string]map[string]net.Tensor{"in": {}, "out": {}, "gout": {}, "grad": {}}
		}
		tensors[of][kind][name] = v
	}
	return cases, tensors
}
