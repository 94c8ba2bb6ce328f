package cli

import (
	"errors"
	"path/filepath"
	"strings"

	"silverbeam/pkg/ledger"
	"silverbeam/runners/local"

	"github.com/spf13/cobra"
)

func purgeCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "purge RUN", Short: "remove a run: its labels, data set, models, page and ledger", Args: exactly("RUN"),
		Long: "Purge removes all that runs have made in a folder, also a ledger that is kept in Postgres, and the folder itself if nothing else is\n" +
			"in it. What the run cost is gone with it: `silverbeam cost RUN --json` tells before. Answers stay in the results store.",
		Example: "  silverbeam cost march --json > march.json && silverbeam purge march",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := folder(args[0], "ledger.db", "ledger.db.url")
			if err != nil {
				return err
			}
			if err := confirm(cmd, yes, "the run "+dir); err != nil {
				return err
			}
			left, err := local.Purge(dir)
			if errors.Is(err, ledger.ErrJobs) {
				return &Exit{codeTemporary, err, "the command that made the run waits for its batches and removes their files"}
			}
			if err != nil {
				return err
			}
			line(cmd.OutOrStdout(), "purged %s", dir)
			if len(left) > 0 {
				line(cmd.ErrOrStderr(), "%s stays: no run made %s", filepath.Join(dir, "{"+strings.Join(left, ",")+"}"), map[bool]string{true: "it", false: "them"}[len(left) == 1])
			}
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}
