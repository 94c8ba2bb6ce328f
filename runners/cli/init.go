package cli

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"silverbeam/pkg/phantom"
	"silverbeam/pkg/shard"

	"github.com/spf13/cobra"
)

//go:embed start
var start embed.FS

func initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init DIR", Short: "write a pipeline file, an example taxonomy and eight synthetic studies", Args: exactly("DIR"),
		Long:    "Files of yours that are in DIR already are not overwritten.",
		Example: "  silverbeam init first && cd first && silverbeam run pipeline.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			if err := writeStart(cmd, dir); err != nil {
				return err
			}
			o := phantom.Options{Studies: 8, Seed: 1, Shape: [3]int{64, 64, 64}}
			if err := writePhantom(cmd.Context(), cmd.ErrOrStderr(), filepath.Join(dir, "data"), o); err != nil {
				return err
			}
			line(cmd.ErrOrStderr(), "next: cd %s && silverbeam run pipeline.yaml", dir)
			return nil
		},
	}
}

// writeStart writes the files of the folder start. A file that is there and differs is the user's, and stops it.
func writeStart(cmd *cobra.Command, dir string) error {
	entries, err := start.ReadDir("start")
	if err != nil {
		return err
	}
	for _, e := range entries {
		text, err := start.ReadFile("start/" + e.Name())
		if err != nil {
			return err
		}
		path := filepath.Join(dir, e.Name())
		old, err := os.ReadFile(path)
		switch {
		case err == nil && string(old) != string(text):
			return usage(cmd, "%s is there already and is not what init writes", path)
		case err == nil:
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("init: %w", err)
		}
		write := func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		}
		if err := shard.Replace(path, 0o644, write); err != nil {
			return fmt.Errorf("init: %w", err)
		}
		line(cmd.OutOrStdout(), "%s", path)
	}
	return nil
}
