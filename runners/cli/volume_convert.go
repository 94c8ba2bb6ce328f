package cli

import (
	"io"
	"strings"

	"silverbeam/pkg/shard"
	"silverbeam/pkg/volume"

	"github.com/spf13/cobra"
)

func volumeConvertCommand() *cobra.Command {
	var o volume.Options
	var preset, clip, layout, out string
	c := &cobra.Command{
		Use: "convert PATH --preset NAME --out FILE.npy", Short: "make the training tensor of one volume", Args: exactly("PATH"),
		Long: "PATH is what volume inspect takes. The tensor is an npy file of float32 (1, D, H, W): axes z, y, x, growing to the patient's head,\n" +
			"back and left, or with --layout ctclip the file's axes k, i, j as CT-CLIP's scripts have them. A preset decides spacing, shape and\n" +
			"the window that becomes [-1, 1]. A file that is refused exits with 3 and writes nothing.",
		Example: "  silverbeam volume convert scan.nii.gz --preset mps-ct --out scan.npy",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := volume.PresetByName(preset)
			switch {
			case err != nil:
				return usage(cmd, "--preset: %q: one of %s", preset, strings.Join(volume.PresetNames(), ", "))
			case clip != "first" && clip != "last":
				return usage(cmd, "--clip: %q: first or last", clip)
			case layout != volume.LayoutZYX && layout != volume.LayoutCTCLIP:
				return usage(cmd, "--layout: %q: zyx or ctclip", layout)
			case out == "":
				return usage(cmd, "--out: a file is needed")
			}
			p.ClipLast = clip == "last"
			values, err := convert(args[0], p, o, layout)
			if err != nil {
				return unreadable(err)
			}
			return shard.Replace(out, 0o644, func(w io.Writer) error { return volume.WriteNPY(w, p.Shape, values) })
		},
	}
	c.Flags().StringVar(&preset, "preset", "", "make the tensor of `NAME`: "+strings.Join(volume.PresetNames(), ", "))
	c.Flags().StringVar(&clip, "clip", "first", "clip to [-1000, 1000] HU before resampling, as CT-CLIP's inference does, or after, as its training does: `WHEN` is first or last")
	c.Flags().StringVar(&layout, "layout", volume.LayoutZYX, "order of axes `NAME`: zyx, or ctclip: the file's k, i, j, not turned (NIfTI only)")
	c.Flags().StringVar(&o.Series, "series", "", "read this series, where a folder or zip has several: its SeriesInstanceUID `UID`")
	c.Flags().StringVar(&out, "out", "", "write `FILE`, whole or not at all")
	return c
}

func convert(path string, p volume.Preset, o volume.Options, layout string) ([]float32, error) {
	s, err := volume.OpenScan(path, o, layout)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	values := make([]float32, p.Len())
	return values, p.Values(values, s)
}
