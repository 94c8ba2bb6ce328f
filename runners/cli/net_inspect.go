package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"silverbeam/pkg/net"

	"github.com/spf13/cobra"
)

func netInspectCommand() *cobra.Command {
	var f netFlags
	var batch string
	var asJSON bool
	c := &cobra.Command{
		Use: "inspect --net FILE", Short: "a net's layers: parameter names, shapes and counts, FLOPs and bytes for a batch", Args: exactly(),
		Long: "Nothing is computed and no weights are read. FLOPs count multiplications and additions apart, of matrix products alone, for one\n" +
			"forward pass; a training step does each three times, but for the gradient of the volume. Bytes are the layer's result as f32.",
		Example: "  silverbeam net inspect --net net.json --batch 10x1x96x192x192\n  silverbeam net inspect --net net.json --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.net == "" {
				return usage(cmd, "--net: a file is needed")
			}
			s, err := f.spec()
			if err != nil {
				return err
			}
			shape, err := batchShape(batch, s)
			if err != nil {
				return usage(cmd, "--batch: %v", err)
			}
			v, err := lookAtNet(s, shape)
			if err != nil {
				return badInput("%s: %w", f.net, err)
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), v)
			}
			return v.tell(cmd.OutOrStdout())
		},
	}
	c.Flags().StringVar(&f.net, "net", "", "the net's `FILE`, JSON (needed)")
	c.Flags().StringVar(&batch, "batch", "", "`SHAPE` of a batch: NxCxDxHxW of volumes, NxT of tokens (default 1xCx48x96x96 and 1x128)")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// maxBatchAxis bounds a dimension of --batch, so that no count of elements overflows.
const maxBatchAxis = 4096

// batchShape reads --batch.
func batchShape(text string, s net.Spec) ([]int, error) {
	def := []int{1, 128}
	switch {
	case s.Bert != nil:
		def[1] = min(def[1], s.Bert.MaxPositions)
	case s.ViT3D != nil:
		def = append([]int{1, s.Channels()}, s.ViT3D.Size[:]...)
	default:
		def = []int{1, s.Channels(), 48, 96, 96}
	}
	if text == "" {
		return def, nil
	}
	parts := strings.Split(text, "x")
	shape := make([]int, len(parts))
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > maxBatchAxis || len(parts) != len(def) {
			return nil, fmt.Errorf("%q: %d numbers from 1 to %d with an x between, as in %s", text, len(def), maxBatchAxis, byX(def))
		}
		shape[i] = n
	}
	return shape, nil
}

// byX writes a shape as --batch takes it.
func byX(shape []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(shape), "[]"), " ", "x")
}

// netView is what net inspect --json prints.
type netView struct {
	Inputs     map[string][]int `json:"inputs"`
	Layers     []layerView      `json:"layers"`
	Parameters int              `json:"parameters"` // numbers that training changes
	Forward    float64          `json:"forward_flops"`
	Step       float64          `json:"step_flops"` // of a training step
	Bytes      int              `json:"bytes"`      // of all layers' results
}

type layerView struct {
	Name       string      `json:"name"`
	Kind       string      `json:"kind"`
	Shape      []int       `json:"shape"` // of the result
	Parameters int         `json:"parameters"`
	FLOPs      float64     `json:"flops"`
	Bytes      int         `json:"bytes"`
	Tensors    []paramView `json:"tensors"`
}

type paramView struct {
	Name   string `json:"name"`
	Shape  []int  `json:"shape"`
	Buffer bool   `json:"buffer"` // kept, not trained
}

func lookAtNet(s net.Spec, batch []int) (*netView, error) {
	g, err := s.Graph()
	if err != nil {
		return nil, err
	}
	v := &netView{Inputs: map[string][]int{"x": batch}}
	if s.Bert != nil {
		v.Inputs = map[string][]int{"input_ids": batch, "attention_mask": batch}
	}
	layers, err := g.Summary(v.Inputs)
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		if l.Kind == "input" {
			continue
		}
		w := layerView{l.Name, l.Kind, l.Shape, l.Params, l.FLOPs, l.Bytes, []paramView{}}
		for _, p := range g.Nodes[i].Params {
			w.Tensors = append(w.Tensors, paramView{p.Name, p.Shape, p.Buffer})
		}
		v.Layers = append(v.Layers, w)
		v.Parameters, v.Forward, v.Bytes = v.Parameters+l.Params, v.Forward+l.FLOPs, v.Bytes+l.Bytes
	}
	v.Step, err = g.StepFLOPs(v.Inputs)
	return v, err
}

func (v *netView) tell(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line(tw, "LAYER\tKIND\tRESULT\tPARAMETERS\tMFLOP\tBYTES")
	for _, l := range v.Layers {
		line(tw, "%s\t%s\t%s\t%s\t%.3f\t%s", l.Name, l.Kind, byX(l.Shape), grouped(int64(l.Parameters)), l.FLOPs/1e6, grouped(int64(l.Bytes)))
	}
	line(tw, "all\t\t\t%s\t%.3f\t%s", grouped(int64(v.Parameters)), v.Forward/1e6, grouped(int64(v.Bytes)))
	if err := tw.Flush(); err != nil {
		return err
	}
	line(w, "a training step: %.3f MFLOP\n", v.Step/1e6)
	line(tw, "TENSOR\tSHAPE")
	for _, l := range v.Layers {
		for _, p := range l.Tensors {
			line(tw, "%s\t%s%s", p.Name, byX(p.Shape), map[bool]string{true: ", not trained"}[p.Buffer])
		}
	}
	return tw.Flush()
}
