package cli

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/volume"

	"github.com/spf13/cobra"
)

func evaluateMasksCommand() *cobra.Command {
	var pred, truth, spacing, out string
	c := &cobra.Command{
		Use: "masks --pred NPY --truth NPY --spacing Z,Y,X --json FILE", Short: "measure a predicted mask against the true one", Args: exactly(),
		Long: "Masks are arrays of 0 and 1 (bool, whole numbers or floats), axes z, y, x, of one shape. Distances are in mm, between surface voxels,\n" +
			"as MONAI has them: hd95 is the larger of both directions' 95th percentiles, assd the mean over both surfaces.",
		Example: "  silverbeam evaluate masks --pred lung.npy --truth lung-by-hand.npy --spacing 1.5,0.75,0.75 --json figures.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if pred == "" || truth == "" || spacing == "" || out == "" {
				return usage(cmd, "--pred, --truth, --spacing, --json: all four are needed")
			}
			mm, err := parseSpacing(spacing)
			if err != nil {
				return usage(cmd, "--spacing: %q: %v", spacing, err)
			}
			p, shape, err := readMask(pred)
			if err != nil {
				return err
			}
			t, shapeTruth, err := readMask(truth)
			if err == nil && shape != shapeTruth {
				err = badInput("%s: shape %d, but %s has %d", pred, shape, truth, shapeTruth)
			}
			if err != nil {
				return err
			}
			m, err := metrics.NewMasks(p, t, shape, mm)
			if err != nil {
				return err
			}
			line(cmd.OutOrStdout(), "dice %s, iou %s, volume %+.3f ml; hd %s, hd95 %s, assd %s", short3(m.Dice), short3(m.IoU), m.VolumeErrorML, inMM(m.HD), inMM(m.HD95), inMM(m.ASSD))
			return writeFigures(out, m)
		},
	}
	c.Flags().StringVar(&pred, "pred", "", "the predicted mask, `NPY`")
	c.Flags().StringVar(&truth, "truth", "", "the true mask, `NPY`")
	c.Flags().StringVar(&spacing, "spacing", "", "millimetres per voxel, as `Z,Y,X`")
	c.Flags().StringVar(&out, "json", "", "write all figures to `FILE`")
	return c
}

func inMM(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f mm", *v)
}

func parseSpacing(text string) (mm [3]float64, err error) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return mm, fmt.Errorf("must be three numbers, z, y and x")
	}
	for i, p := range parts {
		v, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || !(v > 0) || math.IsInf(v, 0) {
			return mm, fmt.Errorf("%q: must be a number above 0", p)
		}
		mm[i] = v
	}
	return mm, nil
}

func readMask(path string) (mask []bool, shape [3]int, err error) {
	a, err := volume.ReadArray(path)
	if err != nil {
		return nil, shape, badInput("%v", err)
	}
	if len(a.Shape) != 3 || slices.Contains(a.Shape, 0) {
		return nil, shape, badInput("%s: shape %d: a mask has 3 axes, z, y, x, none of them empty", path, a.Shape)
	}
	shape = [3]int(a.Shape)
	at := -1
	switch v := a.Data.(type) {
	case []uint8:
		mask, at = onOff(v)
	case []int64:
		mask, at = onOff(v)
	case []float32:
		mask, at = onOff(v)
	case []float64:
		mask, at = onOff(v)
	}
	if at >= 0 {
		return nil, shape, badInput("%s: row %d of slice %d, column %d (from 0): neither 0 nor 1", path, at/shape[2]%shape[1], at/(shape[1]*shape[2]), at%shape[2])
	}
	return mask, shape, nil
}

// onOff takes 0 and 1; bad is the index of the first other value, or -1.
func onOff[T uint8 | int64 | float32 | float64](values []T) (mask []bool, bad int) {
	mask = make([]bool, len(values))
	for i, v := range values {
		if v != 0 && v != 1 {
			return nil, i
		}
		mask[i] = v == 1
	}
	return mask, -1
}
