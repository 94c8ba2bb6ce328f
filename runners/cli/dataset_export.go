package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"silverbeam/pkg/shard"

	"github.com/spf13/cobra"
)

func datasetExportCommand() *cobra.Command {
	var e shard.Export
	var to, out string
	c := &cobra.Command{
		Use: "export DIR --out FOLDER", Short: "write a data set as a folder that Hugging Face's datasets reads", Args: exactly("DIR"),
		Long: "DIR is a run's folder dataset, with a manifest.json, also in S3. FOLDER, which may not hold anything yet, gets data/SPLIT-*.parquet with ids, labels\n" +
			"and voxels, README.md, the card, and croissant.json, the same by MLCommons' Croissant. Nothing is sent anywhere. Reports are left out\n" +
			"unless --reports asks for them; patients' and studies' ids are written as they stand.",
		Example: "  silverbeam dataset export out/demo/dataset --out phantoms --license CC0-1.0",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case to != "huggingface":
				return usage(cmd, "--to: %q: huggingface", to)
			case out == "":
				return usage(cmd, "--out: a folder is needed")
			}
			switch left, err := os.ReadDir(out); {
			case err != nil && !errors.Is(err, fs.ErrNotExist):
				return err
			case len(left) > 0:
				return usage(cmd, "--out: %s: it holds %s already; name a new folder", out, count(len(left), "file"))
			}
			d, err := openDataset(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer d.Close()
			e.Name = filepath.Base(filepath.Clean(out))
			written, err := d.HuggingFace(out, e)
			if err != nil {
				return unreadable(err)
			}
			if e.License == "" {
				line(cmd.ErrOrStderr(), "the licence of the source is not known: README.md says so; --license names it")
			}
			line(cmd.OutOrStdout(), "%s: %s, %s bytes", out, count(written.Rows, "volume"), grouped(written.Bytes))
			return nil
		},
	}
	c.Flags().StringVar(&to, "to", "huggingface", "form `NAME`: huggingface")
	c.Flags().StringVar(&out, "out", "", "write into `FOLDER`; its name becomes the data set's")
	c.Flags().StringVar(&e.License, "license", "", "licence of the source `ID`: an SPDX id such as CC-BY-NC-SA-4.0, CT-RATE's, or a URL; without it the files say that it is unknown")
	c.Flags().BoolVar(&e.Reports, "reports", false, "with the reports' text")
	return c
}
