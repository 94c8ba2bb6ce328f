// Package cli is the silverbeam command, one file a verb.
//
// stdout carries data and stderr messages. A verb returns its error; which exit code that means is said in exit.go and
// nowhere else.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"silverbeam/pipelines"

	"github.com/spf13/cobra"
)

// Main runs the command line in os.Args and gives the exit code.
func Main() int {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // libraries' logs: what users need is in our own messages
	ctx, stop := interruptible()
	defer stop()
	root := Root()
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return tell(os.Stderr, err)
}

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return i.signal.String() }

// interruptible ends its context at the first SIGINT or SIGTERM; a second one ends the process as usual.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	got := make(chan os.Signal, 1)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	go func() {
		if s, ok := (<-got).(syscall.Signal); ok {
			signal.Stop(got)
			cancel(interrupted{s})
		}
	}()
	return ctx, func() { signal.Stop(got); cancel(nil) }
}

// Root is the command tree.
func Root() *cobra.Command {
	root := &cobra.Command{
		Use:   "silverbeam VERB",
		Short: "chest-CT studies in, labels, a data set, trained models and an evaluation page out",
		Long: "Silverbeam labels radiology reports, builds data sets of chest CT, trains and evaluates models on them.\n" +
			"A pipeline is a YAML file; `silverbeam run FILE` runs it, and the same command resumes it.",
		SilenceErrors: true, SilenceUsage: true, DisableSuggestions: true,
		Args:    cobra.ArbitraryArgs,
		Version: version(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownVerb(cmd, args[0])
		},
	}
	root.SetVersionTemplate("silverbeam {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(cmd, "%v", err)
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddGroup(&cobra.Group{ID: "daily", Title: "Daily:"}, &cobra.Group{ID: "files", Title: "On files:"})
	group(root, "daily", initCommand(), checkCommand(), planCommand(), runCommand(), statusCommand(), costCommand(), whyCommand(), pageCommand())
	group(root, "files", labelCommand())
	group(root, "", phantomCommand(), catalogCommand(), doctorCommand(), versionCommand())
	root.SetHelpCommand(helpCommand())
	root.SetHelpCommandGroupID("")
	return root
}

// group adds verbs; those of no group are rare, and shown by `help --all` only.
func group(root *cobra.Command, id string, verbs ...*cobra.Command) {
	for _, v := range verbs {
		v.GroupID, v.Hidden = id, id == ""
		root.AddCommand(v)
	}
}

func unknownVerb(cmd *cobra.Command, given string) error {
	var verbs []string
	for _, c := range cmd.Commands() {
		verbs = append(verbs, c.Name())
	}
	near := pipelines.Nearest(given, verbs)
	if near != "" {
		near = fmt.Sprintf(" (did you mean %q?)", near)
	}
	return usage(cmd, "unknown verb %q%s", given, near)
}

// exactly is cobra.ExactArgs with an error that names what is missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usage(cmd, "takes %d arguments (%s), got %d", len(names), strings.Join(names, " "), len(args))
		}
		return nil
	}
}

// helpCommand shows a verb's help, or all verbs, the rare ones only with --all.
func helpCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "help [VERB]", Short: "explain a verb, or list them", Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownVerb(cmd.Root(), args[0])
			}
			if all {
				for _, v := range cmd.Root().Commands() {
					v.Hidden = false
				}
			}
			target.SetOut(cmd.OutOrStdout())
			return target.Help()
		},
	}
	c.Flags().BoolVar(&all, "all", false, "list the rare verbs too")
	return c
}

// line writes one line of data.
func line(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
