package fit

import (
	"maps"
	"path/filepath"
	"strconv"
	"strings"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// A checkpoint is one safetensors file: all parameters and buffers by name, AdamW's moments, and in its metadata the
// identity of the training and the number of steps done. The random numbers need no place: they follow from the step.

// best is the epoch whose loss on the validation studies is the lowest so far; the zero value is none. It lies in the checkpoint
// itself, so that a kill leaves either both or neither.
type best struct {
	epoch   int // from 1
	loss    float64
	weights map[string]net.Tensor
}

// bestPrefix begins the names of the best epoch's tensors in a checkpoint.
const bestPrefix = "best:"

// saveCheckpoint keeps the state after step steps.
func saveCheckpoint(dir, identity string, step int, p engine.Program, opt *AdamW, b best) error {
	all := map[string]net.Tensor{}
	if s, ok := p.(engine.Stepper); ok {
		if err := s.Sync(); err != nil {
			return err
		}
	}
	maps.Copy(all, p.Export())
	opt.state(all)
	meta := map[string]string{"identity": identity, "step": strconv.Itoa(step)}
	if b.epoch > 0 {
		meta["best_epoch"], meta["best_loss"] = strconv.Itoa(b.epoch), strconv.FormatFloat(b.loss, 'g', -1, 64)
	}
	for name, t := range b.weights {
		all[bestPrefix+name] = t
	}
	return net.SaveSafetensors(filepath.Join(dir, checkpointFile), all, meta)
}

// resume loads the checkpoint of this identity and returns the number of steps done. Without one that fits, the first
// weights are loaded and it returns 0: a checkpoint of other options, or one that cannot be read, is as none.
func resume(dir, identity string, first map[string]net.Tensor, p engine.Program, opt *AdamW) (int, best, error) {
	all, meta, err := net.LoadSafetensors(filepath.Join(dir, checkpointFile))
	if step, bad := strconv.Atoi(meta["step"]); err == nil && bad == nil && meta["identity"] == identity {
		if p.Load(all) == nil && opt.restore(all) == nil {
			return step, bestOf(all, meta), nil
		}
		opt.reset()
	}
	return 0, best{}, p.Load(first)
}

// bestOf is saveCheckpoint's inverse for the best epoch.
func bestOf(all map[string]net.Tensor, meta map[string]string) (b best) {
	b.epoch, _ = strconv.Atoi(meta["best_epoch"])
	if b.epoch == 0 {
		return best{}
	}
	b.loss, _ = strconv.ParseFloat(meta["best_loss"], 64)
	b.weights = map[string]net.Tensor{}
	for name, t := range all {
		if of, ok := strings.CutPrefix(name, bestPrefix); ok {
			b.weights[of] = t
		}
	}
	return b
}
