package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"silverbeam/pkg/phantom"

	"github.com/spf13/cobra"
)

func phantomCommand() *cobra.Command {
	o := phantom.Options{Studies: 600, Seed: 1}
	var out string
	var size int
	c := &cobra.Command{
		Use: "phantom --studies N --seed S --out DIR", Short: "write synthetic CT studies with reports and their truth, in CT-RATE's layout", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case out == "":
				return usage(cmd, "--out: a folder is needed")
			case o.Studies < 1:
				return usage(cmd, "--studies: %d: 1 or more", o.Studies)
			case size < 32 || size > 512:
				return usage(cmd, "--size: %d: 32 to 512 voxels", size)
			case o.Difficulty < 0 || o.Difficulty > 1:
				return usage(cmd, "--difficulty: %v: 0 to 1", o.Difficulty)
			}
			o.Shape = [3]int{size, size, size}
			return writePhantom(cmd.Context(), cmd.ErrOrStderr(), out, o)
		},
	}
	c.Flags().IntVar(&o.Studies, "studies", o.Studies, "how many studies")
	c.Flags().Uint64Var(&o.Seed, "seed", o.Seed, "same seed, same bytes")
	c.Flags().StringVar(&out, "out", "", "folder to write; files that exist whole are kept")
	c.Flags().IntVar(&size, "size", 128, "voxels along each axis of a volume")
	c.Flags().Float64Var(&o.Difficulty, "difficulty", 0, "how hard findings are to see, 0 (the default level) to 1")
	return c
}

// writePhantom writes phantoms and tells of it every ten seconds.
func writePhantom(ctx context.Context, w io.Writer, dir string, o phantom.Options) error {
	last := time.Now()
	err := phantom.Write(ctx, dir, o, func(done, total int) {
		if now := time.Now(); now.Sub(last) > 10*time.Second || done == total {
			last = now
			line(w, "phantom: %s of %s", grouped(int64(done)), count(total, "study"))
		}
	})
	if err != nil {
		return fmt.Errorf("phantom: %w", err)
	}
	return nil
}
