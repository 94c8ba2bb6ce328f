package fit

import (
	"maps"
	"path/filepath"
	"strconv"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// A checkpoint is one safetensors file: all parameters and buffers by name, AdamW's moments, and in its metadata the
// identity of the training and the number of steps done. The random numbers need no place: they follow from the step.

// saveCheckpoint keeps the state after step steps.
func saveCheckpoint(dir, identity string, step int, p engine.Program, opt *AdamW) error {
	all := map[string]net.Tensor{}
	if s, ok := p.(engine.Stepper); ok {
		if err := s.Sync(); err != nil {
			return err
		}
	}
	maps.Copy(all, p.Export())
	opt.state(all)
	meta := map[string]string{"identity": identity, "step": strconv.Itoa(step)}
	return net.SaveSafetensors(filepath.Join(dir, checkpointFile), all, meta)
}

// resume loads the checkpoint of this identity and returns the number of steps done. Without one that fits, the first
// weights are loaded and it returns 0: a checkpoint of other options, or one that cannot be read, is as none.
func resume(dir, identity string, first map[string]net.Tensor, p engine.Program, opt *AdamW) (int, error) {
	all, meta, err := net.LoadSafetensors(filepath.Join(dir, checkpointFile))
	if step, bad := strconv.Atoi(meta["step"]); err == nil && bad == nil && meta["identity"] == identity {
		if p.Load(all) == nil && opt.restore(all) == nil {
			return step, nil
		}
		opt.reset()
	}
	return 0, p.Load(first)
}
