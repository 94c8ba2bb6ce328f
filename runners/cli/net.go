package cli

import (
	"io"
	"os"
	"strings"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/fit"
	"silverbeam/pkg/net"
	"silverbeam/pkg/shard"

	"github.com/spf13/cobra"
)

func netCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "net inspect|forward|fit", Short: "the engine on plain tensors: a net's layers, its results, some steps of training",
		Example: "  silverbeam net inspect --net net.json\n  silverbeam net forward --net net.json --weights w.safetensors --in x.safetensors --out y.safetensors",
		RunE:    onlyVerbs,
	}
	c.AddCommand(netInspectCommand(), netForwardCommand(), netFitCommand())
	return c
}

// netFlags are what the verbs share.
type netFlags struct {
	net, weights, in, out string
	engine, dtype         string
}

func (f *netFlags) bind(c *cobra.Command) {
	c.Flags().StringVar(&f.net, "net", "", "the net's `FILE`, JSON: {\"arch\": \"r3d_18\", ...}, \"bert\" or \"vit_3d\" (needed)")
	c.Flags().StringVar(&f.weights, "weights", "", "read the weights from `FILE`, safetensors under PyTorch's names (needed)")
	c.Flags().StringVar(&f.in, "in", "", "read the input tensors from `FILE`, safetensors (needed)")
	c.Flags().StringVar(&f.out, "out", "", "write `FILE`, safetensors, whole or not at all (needed)")
	c.Flags().StringVar(&f.engine, "engine", "gorgonia", "compute with the engine `NAME`: gorgonia, on the CPU, or xla, by a PJRT plugin, on a GPU where there is one (docs/nets.md)")
	c.Flags().StringVar(&f.dtype, "dtype", "f32", "compute in numbers of type `NAME`: f32, or bf16: the products of convolutions and linear layers, sums being f32")
}

// check names what is missing or not there yet.
func (f *netFlags) check(cmd *cobra.Command) error {
	for _, need := range []string{"net", "weights", "in", "out", "optimizer", "history"} {
		if v, err := cmd.Flags().GetString(need); err == nil && v == "" {
			return usage(cmd, "--%s: a file is needed", need)
		}
	}
	switch {
	case f.engine != "gorgonia" && f.engine != "xla":
		return usage(cmd, "--engine: %q: gorgonia or xla", f.engine)
	case f.dtype != "f32" && f.dtype != "bf16":
		return usage(cmd, "--dtype: %q: f32 or bf16", f.dtype)
	}
	return nil
}

// spec reads --net.
func (f *netFlags) spec() (net.Spec, error) {
	b, err := os.ReadFile(f.net)
	if err != nil {
		return net.Spec{}, unreadable(err)
	}
	s, err := net.ParseSpec(b)
	if err != nil {
		return s, badInput("%s: %w", f.net, err)
	}
	return s, nil
}

// match holds the tensors of --in to what a graph takes, tells stderr what it does not take, and gives their shapes.
func (f *netFlags) match(g *net.Graph, in map[string]net.Tensor, stderr io.Writer) (shapes map[string][]int, err error) {
	unused, err := g.MatchInputs(in)
	if err != nil {
		return nil, badInput("%s: %w", f.in, err)
	}
	if len(unused) > 0 {
		line(stderr, "%s: not used: %s", f.in, strings.Join(unused, ", "))
	}
	shapes = map[string][]int{}
	for name, t := range in {
		shapes[name] = t.Shape
	}
	return shapes, nil
}

// compile reads --weights and readies the net for inputs of these shapes, in training taken in so many parts.
func (f *netFlags) compile(s net.Spec, g *net.Graph, shapes map[string][]int, train bool, parts int) (engine.Program, error) {
	w, err := tensors(f.weights)
	if err != nil {
		return nil, err
	}
	w = s.Weights(w)
	if err := g.Match(w); err != nil {
		return nil, badInput("%s: %w", f.weights, err)
	}
	e, err := fit.NewEngine(f.engine, f.dtype)
	if err != nil {
		return nil, err
	}
	var p engine.Program
	if parts > 1 {
		p, err = fit.Accumulate(e, net.Split{Towers: g}, shapes, parts)
	} else {
		p, err = e.Compile(g, shapes, train)
	}
	if err != nil {
		return nil, badInput("%s: %w", f.in, err)
	}
	return p, p.Load(w)
}

// tensors reads a safetensors file that was given.
func tensors(path string) (map[string]net.Tensor, error) {
	all, _, err := net.LoadSafetensors(path)
	if err != nil {
		return nil, unreadable(err)
	}
	return all, nil
}

// save writes tensors to --out or another file.
func save(path string, tensors map[string]net.Tensor) error {
	b, err := net.EncodeSafetensors(tensors, nil)
	if err != nil {
		return err
	}
	return shard.Replace(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

func netForwardCommand() *cobra.Command {
	var f netFlags
	var mode string
	var features bool
	c := &cobra.Command{
		Use: "forward --net FILE --weights FILE --in FILE --out FILE", Short: "run a net once, tensors in and tensors out", Args: exactly(),
		Long: "Names and layouts are PyTorch's. r3d_18 takes x [N,C,D,H,W] F32 and gives logits [N,classes]; with --features also layer1 to\n" +
			"layer4 and pooled. bert takes input_ids and attention_mask [N,T] I32 and gives last_hidden_state [N,T,E], cls [N,E] (the first\n" +
			"token) and meanpool [N,E] (the mean over the mask's tokens). A tensor that is missing, not of its shape or type, not finite, or not\n" +
			"this net's is named, and exits with 3; nothing is written then.",
		Example: "  silverbeam net forward --net net.json --weights w.safetensors --in x.safetensors --out y.safetensors --features\n" +
			"  silverbeam net forward --net net.json --weights w.safetensors --in x.safetensors --out y.safetensors --mode train",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			if mode != "eval" && mode != "train" {
				return usage(cmd, "--mode: %q: eval or train", mode)
			}
			return f.forward(cmd, mode == "train", features)
		},
	}
	f.bind(c)
	c.Flags().StringVar(&mode, "mode", "eval", "`MODE` of batch normalisation: eval, by the running statistics, or train, by the batch's. Nothing is dropped in either")
	c.Flags().BoolVar(&features, "features", false, "write r3d_18's stages' results and the pooled features too")
	return c
}

func (f *netFlags) forward(cmd *cobra.Command, train, features bool) error {
	s, err := f.spec()
	if err != nil {
		return err
	}
	if s.R3D18 != nil {
		s.R3D18.Features = features
	}
	g, err := s.Graph()
	if err != nil {
		return badInput("%s: %w", f.net, err)
	}
	in, err := tensors(f.in)
	if err != nil {
		return err
	}
	shapes, err := f.match(g, in, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	p, err := f.compile(s, g, shapes, train, 1)
	if err != nil {
		return err
	}
	out, err := p.Run(in)
	if err != nil {
		return badInput("%s: %w", f.in, err)
	}
	if s.Bert == nil && !features {
		delete(out, "pooled")
	}
	return save(f.out, out)
}
