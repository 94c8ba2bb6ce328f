package cli

import (
	"errors"

	"silverbeam/pipelines"

	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	var set map[string]string
	c := &cobra.Command{
		Use: "check FILE...", Short: "name every problem of pipeline files at once",
		Long: "Check reads pipeline files, or ones that ship, and builds their graphs, without network or spending. Each problem is one line,\n" +
			"FILE:LINE:COLUMN: STEP: message. It exits with 2 if there is any.",
		Example: "  silverbeam check pipeline.yaml\n  silverbeam check demo --set data=/data/ct-rate",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(cmd, "takes pipeline files, got none")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, files []string) error {
			var all pipelines.Problems
			for _, f := range files {
				var found pipelines.Problems
				err := check(f, set)
				if err != nil && !errors.As(err, &found) {
					return err
				}
				all = append(all, found...)
				if err == nil {
					line(cmd.ErrOrStderr(), "%s: no problem", f)
				}
			}
			if len(all) > 0 {
				return all
			}
			return nil
		},
	}
	setFlag(c, &set)
	return c
}

func check(file string, set map[string]string) error {
	p, err := pipelines.Load(file, set)
	if err != nil {
		return err
	}
	return p.Dry()
}

func setFlag(c *cobra.Command, set *map[string]string) {
	c.Flags().StringToStringVar(set, "set", nil, "set a parameter of the file: `NAME=VALUE`; any number of times")
	c.Flags().Lookup("set").DefValue = ""
}
