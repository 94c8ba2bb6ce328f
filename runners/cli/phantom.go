package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"silverbeam/pkg/phantom"

	"github.com/spf13/cobra"
)

func phantomCommand() *cobra.Command {
	o := phantom.Options{Studies: 600, Seed: 1, Difficulty: 0.5}
	var out string
	var size int
	c := &cobra.Command{
		Use: "phantom --studies N --seed S --out DIR", Short: "write synthetic CT studies with reports and their truth", Args: exactly(),
		Long: "The volumes are made up, and so are the reports; truth.jsonl says what is in both. Same options, same bytes. More studies in the\n" +
			"same folder only add to it.",
		Example: "  silverbeam phantom --studies 20 --seed 1 --out data\n  silverbeam phantom --studies 20 --layout dicom --out tree",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case out == "":
				return usage(cmd, "--out: a folder is needed")
			case o.Studies < 1:
				return usage(cmd, "--studies: %d: 1 or more", o.Studies)
			case size < 32 || size > 512:
				return usage(cmd, "--size: %d: 32 to 512 voxels", size)
			case !slices.Contains(phantom.Layouts, o.Layout):
				return usage(cmd, "--layout: %q: %s", o.Layout, strings.Join(phantom.Layouts, ", "))
			case !(o.Difficulty > 0 && o.Difficulty <= 1):
				return usage(cmd, "--difficulty: %v: more than 0, at most 1", o.Difficulty)
			}
			o.Shape = [3]int{size, size, size}
			return writePhantom(cmd.Context(), cmd.ErrOrStderr(), out, o)
		},
	}
	c.Flags().IntVar(&o.Studies, "studies", o.Studies, "make `N` studies")
	c.Flags().Uint64Var(&o.Seed, "seed", o.Seed, "random seed `S`; same seed, same bytes")
	c.Flags().StringVar(&out, "out", "", "write to folder `DIR`; files that exist whole are kept")
	c.Flags().IntVar(&size, "size", 128, "volumes of `N` voxels along each axis, 32 to 512")
	c.Flags().StringVar(&o.Layout, "layout", phantom.Layouts[0], "lay the folder out as `NAME`: ct-rate, ct-rate-v1 (raw values), dicom (a tree of files and reports.csv) or radchestct")
	c.Flags().Float64Var(&o.Difficulty, "difficulty", o.Difficulty, "how small and faint findings are, `D` above 0 (easy) to 1 (hard)")
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
