package cli

import (
	"path/filepath"

	"silverbeam/transforms/publish"

	"github.com/spf13/cobra"
)

func pageCommand() *cobra.Command {
	var text bool
	c := &cobra.Command{
		Use: "page RUN", Short: "write a run's HTML page again, from its folder", Args: exactly("RUN"),
		Example: "  silverbeam page out/demo",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := folder(args[0])
			if err != nil {
				return err
			}
			if err := publish.Write(dir, text); err != nil {
				return err
			}
			line(cmd.OutOrStdout(), "%s", filepath.Join(dir, "page.html"))
			return nil
		},
	}
	c.Flags().BoolVar(&text, "report-text", false, "show reports; the page is then marked as holding them")
	return c
}
