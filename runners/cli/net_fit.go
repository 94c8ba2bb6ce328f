package cli

import (
	"encoding/json"
	"os"
	"path/filepath"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/net"

	"github.com/spf13/cobra"
)

// netFitFlags are those of net fit.
type netFitFlags struct {
	netFlags
	optimizer, history, grads string
	steps, parts              int
	frozen, recompute         bool
}

func netFitCommand() *cobra.Command {
	var f netFitFlags
	c := &cobra.Command{
		Use: "fit --net FILE --weights FILE --in FILE --steps N --optimizer FILE --out FILE --history FILE", Short: "train a net on one batch, step after step", Args: exactly(),
		Long: "The batch: x [N,C,D,H,W] F32, of bert input_ids and attention_mask [N,T] I32; labels [N,classes] I32 (1, 0, or -1: left out of\n" +
			"the loss) and, if wanted, pos_weight [classes] F32. bert needs classes in its net file. The loss is the mean of binary cross entropies over the labels that are not -1. The optimizer is a JSON file:\n" +
			"  {\"name\": \"adamw\", \"lr\": 1e-3, \"betas\": [0.9, 0.999], \"eps\": 1e-8, \"weight_decay\": 0.05, \"no_decay\": \"1d\", \"clip\": null, \"schedule\": null}\n" +
			"name may be sgd, with momentum and nesterov; schedule {\"name\": \"constant\", \"cosine\", \"poly\" or \"step\", \"warmup\": 3, ...}.\n" +
			"A loss that is no longer a number stops it; weights are written at the end alone.",
		Example: "  silverbeam net fit --net net.json --weights w.safetensors --in data.safetensors --steps 20 --optimizer opt.json --out w2.safetensors --history h.jsonl\n" +
			"  silverbeam net fit --net net.json --weights w.safetensors --in data.safetensors --steps 1 --optimizer opt.json --out w2.safetensors --history h.jsonl --frozen-bn --grads g.safetensors",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(cmd); err != nil {
				return err
			}
			if f.steps < 1 {
				return usage(cmd, "--steps: %d: a number from 1 is needed", f.steps)
			}
			if f.parts < 1 {
				return usage(cmd, "--accumulate: %d: a number from 1 is needed", f.parts)
			}
			return f.fit(cmd)
		},
	}
	f.bind(c)
	c.Flags().IntVar(&f.steps, "steps", 0, "take `N` steps, all on the same batch (needed)")
	c.Flags().StringVar(&f.optimizer, "optimizer", "", "the optimizer's `FILE`, JSON (needed)")
	c.Flags().StringVar(&f.history, "history", "", "write step, loss, grad_norm (before clipping) and lr of each step to `FILE`, a JSON object a line (needed)")
	c.Flags().BoolVar(&f.frozen, "frozen-bn", false, "normalise by the running statistics and leave them; their weights and biases are trained")
	c.Flags().IntVar(&f.parts, "accumulate", 1, "take the batch in `N` equal parts and add up their gradients; batch normalisation sees a part at a time")
	c.Flags().BoolVar(&f.recompute, "recompute", false, "compute blocks again for the backward pass, for less memory: the same results in more time")
	c.Flags().StringVar(&f.grads, "grads", "", "write the first step's gradients, before clipping, to `FILE`, safetensors by parameter name")
	return c
}

func (f *netFitFlags) fit(cmd *cobra.Command) error {
	s, err := f.spec()
	if err != nil {
		return err
	}
	b, err := os.ReadFile(f.optimizer)
	if err != nil {
		return unreadable(err)
	}
	o, err := fit.ParseOptimizer(b)
	if err != nil {
		return badInput("%s: %w", f.optimizer, err)
	}
	in, err := tensors(f.in)
	if err != nil {
		return err
	}
	switch {
	case s.R3D18 != nil:
		s.R3D18.FrozenBN = f.frozen
	case f.frozen:
		return usage(cmd, "--frozen-bn: %s has no batch normalisation", f.net)
	}
	_, weighted := in["pos_weight"]
	g, err := s.Training(weighted)
	if err != nil {
		return badInput("%s: %w", f.net, err)
	}
	if s.ViT3D != nil && s.ViT3D.Dropout > 0 {
		in[net.DropoutKey] = net.Tensor{Shape: []int{2}, I32: make([]int32, 2)}
	}
	shapes, err := f.match(g, in, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	g.Recompute = f.recompute
	p, err := f.compile(s, g, shapes, true, f.parts)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.history), 0o755); err != nil {
		return err
	}
	h, err := os.Create(f.history)
	if err != nil {
		return err
	}
	defer h.Close()
	err = fit.Repeat(cmd.Context(), p, in, o, f.steps, func(r fit.Record) error {
		if r.Step == 0 && f.grads != "" {
			if err := save(f.grads, p.Gradients()); err != nil {
				return err
			}
		}
		return json.NewEncoder(h).Encode(fitStep{r.Step, r.Loss, r.GradNorm, r.LR})
	})
	if err != nil {
		return err
	}
	if err := h.Close(); err != nil {
		return err
	}
	return save(f.out, p.Export())
}

// fitStep is one line of --history.
type fitStep struct {
	Step     int     `json:"step"` // from 0
	Loss     float64 `json:"loss"` // before the step
	GradNorm float64 `json:"grad_norm"`
	LR       float64 `json:"lr"`
}
