package cli

import (
	"encoding/json"
	"io"

	"silverbeam/pkg/volume"

	"github.com/spf13/cobra"
)

func volumeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "volume inspect|convert", Short: "what a CT volume is: shape, spacing, place, HU; its training tensor",
		Example: "  silverbeam volume inspect scan.nii.gz\n  silverbeam volume inspect dicom-folder --json\n  silverbeam volume convert scan.nii.gz --preset mps-ct --out scan.npy",
		RunE:    onlyVerbs,
	}
	c.AddCommand(volumeInspectCommand(), volumeConvertCommand())
	return c
}

func volumeInspectCommand() *cobra.Command {
	var asJSON bool
	var o volume.Options
	c := &cobra.Command{
		Use: "inspect PATH", Short: "read one volume whole and say what it is, or why it is refused", Args: exactly("PATH"),
		Long: "PATH is a NIfTI file, an npz or npy as RAD-ChestCT has them, a DICOM file, or a folder or zip with one DICOM series of CT; the\n" +
			"content decides, not the name. Axes are z, y, x, growing to the patient's head, back and left. A file that is refused exits with 3.",
		Example: "  silverbeam volume inspect scan.nii.gz\n  silverbeam volume inspect dicom.zip --series 1.2.840.1 --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := volume.Open(args[0], o)
			if err != nil {
				return unreadable(err)
			}
			return tellVolume(cmd.OutOrStdout(), v, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	c.Flags().StringVar(&o.Series, "series", "", "read this series, where a folder or zip has several: its SeriesInstanceUID `UID`")
	return c
}

// unreadable is the error of a volume or data set that was given: bad input, but for what is this machine's fault.
func unreadable(err error) error {
	if c := code(err); c == codeTemporary || c == codeProvider {
		return err
	}
	return badInput("%w", err)
}

// inspected is what inspect --json prints.
type inspected struct {
	Shape     [3]int         `json:"shape"`      // z, y, x
	SpacingMM [3]float64     `json:"spacing_mm"` // z, y, x
	AffineLPS [16]float64    `json:"affine_lps"` // row-major, of voxel indices (x, y, z, 1)
	DType     string         `json:"dtype"`      // as stored
	HU        volume.Summary `json:"hu"`
	SHA256    string         `json:"sha256_int16_zyx_lps"`
}

func tellVolume(w io.Writer, v *volume.Volume, asJSON bool) error {
	i := inspected{v.Shape, v.SpacingMM, v.AffineLPS, v.StoredType, v.Summary(), v.Digest()}
	if asJSON {
		return json.NewEncoder(w).Encode(i)
	}
	mm := v.SpacingMM
	line(w, "shape    %d x %d x %d voxels (z, y, x)", v.Shape[0], v.Shape[1], v.Shape[2])
	line(w, "spacing  %.4g x %.4g x %.4g mm", mm[0], mm[1], mm[2])
	line(w, "extent   %.0f x %.0f x %.0f mm", float64(v.Shape[0])*mm[0], float64(v.Shape[1])*mm[1], float64(v.Shape[2])*mm[2])
	line(w, "origin   %.6g, %.6g, %.6g mm (x, y, z of the first voxel; left, posterior, superior)", v.AffineLPS[3], v.AffineLPS[7], v.AffineLPS[11])
	line(w, "stored   %s", v.StoredType)
	line(w, "HU       %d to %d, mean %.1f, median %d, 1 %% below %d, 1 %% above %d", i.HU.Min, i.HU.Max, i.HU.Mean, i.HU.P50, i.HU.P1, i.HU.P99)
	if err := v.Plausible(); err != nil {
		line(w, "         %v", err)
	}
	line(w, "sha256   %s", i.SHA256)
	return nil
}
