package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpCommand shows a verb's help, or all verbs, the rare ones only with --all.
func helpCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "help [VERB]", Short: "explain a verb, or list them", Hidden: true,
		Example: "  silverbeam help label reports\n  silverbeam help --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownVerb(target, rest[0])
			}
			for _, v := range cmd.Root().Commands() {
				v.Hidden = v.Hidden && !all
			}
			target.SetOut(cmd.OutOrStdout())
			return target.Help()
		},
	}
	c.Flags().BoolVar(&all, "all", false, "list the rare verbs too")
	return c
}

// writeHelp explains a command: what it is for, examples, its verbs by group, its options with their defaults.
func writeHelp(w io.Writer, c *cobra.Command) {
	c.DisableFlagsInUseLine = true
	line(w, "%s: %s", c.CommandPath(), c.Short)
	if c.Long != "" {
		line(w, "\n%s", c.Long)
	}
	line(w, "\nUsage:\n  %s", c.UseLine())
	if c.Example != "" {
		line(w, "\nExamples:\n%s", c.Example)
	}
	groups := append(c.Groups(), &cobra.Group{Title: "Verbs:"})
	for _, g := range groups {
		title := "\n" + g.Title + "\n"
		for _, v := range c.Commands() {
			if v.GroupID == g.ID && v.IsAvailableCommand() {
				line(w, "%s  %-12s %s", title, v.Name(), v.Short)
				title = ""
			}
		}
	}
	if c.HasSubCommands() {
		line(w, "\n`silverbeam help VERB` explains one; `silverbeam help --all` lists the rare ones too.")
		return
	}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = f.Hidden || f.Name == "help" })
	if c.HasAvailableLocalFlags() {
		line(w, "\nOptions:\n%s", strings.TrimRight(c.LocalFlags().FlagUsages(), "\n"))
	}
}
