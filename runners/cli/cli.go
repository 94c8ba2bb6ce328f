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
	"runtime"
	"strings"
	"syscall"
	"time"

	"silverbeam/pipelines"

	"github.com/spf13/cobra"
)

// Main runs the command line in os.Args and gives the exit code.
func Main() int {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // libraries' logs: what users need is in our own messages
	spareCollections()
	runtime.MemProfileRate = 0 // nobody reads its samples, which are a hundredth of a labelling run's work
	ctx, stop := interruptible()
	defer stop()
	root := Root()
	if len(os.Args) > 2 && strings.HasPrefix(os.Args[1], "--id=") { // as a TaskManager starts a worker
		root.SetArgs(append([]string{"flink", "worker"}, os.Args[1:]...))
	}
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
			time.Sleep(time.Second)
			fmt.Fprintln(os.Stderr, "silverbeam: waiting for calls under way; once more ends it at once")
		}
	}()
	return ctx, func() { signal.Stop(got); cancel(nil) }
}

// Root is the command tree.
func Root() *cobra.Command {
	cobra.EnableCommandSorting = false // the order below is the order of use
	root := &cobra.Command{
		Use:   "silverbeam VERB",
		Short: "chest-CT studies in; labels, a data set, trained models and an evaluation page out",
		Long: "A pipeline is a YAML file: `silverbeam run FILE` runs it, and the same command resumes it. A table of reports needs none:\n" +
			"`silverbeam label reports` labels it. Messages go to stderr, data to stdout.",
		Example:       "  silverbeam label reports my.csv --out labels.csv\n  silverbeam init first && cd first && silverbeam run pipeline.yaml",
		SilenceErrors: true, SilenceUsage: true, DisableSuggestions: true,
		Args:    cobra.ArbitraryArgs,
		Version: version(),
		RunE:    onlyVerbs,
	}
	root.SetVersionTemplate("silverbeam {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if given := cmd.Flags().Args(); cmd.HasSubCommands() && len(given) > 0 {
			return unknownVerb(cmd, given[0]) // it is the verb that is wrong: the flag may be one of the right verb's
		}
		return usage(cmd, "%v", err)
	})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd.OutOrStdout(), cmd) })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddGroup(&cobra.Group{ID: "daily", Title: "Daily:"}, &cobra.Group{ID: "files", Title: "On files:"}, &cobra.Group{ID: rare, Title: "Rare:"})
	group(root, "daily", initCommand(), checkCommand(), planCommand(), runCommand(), statusCommand(), costCommand(), whyCommand(), compareCommand(), pageCommand())
	group(root, "files", labelCommand(), volumeCommand(), datasetCommand(), evaluateCommand(), netCommand())
	group(root, rare, phantomCommand(), flinkCommand(), forgetCommand(), purgeCommand(), catalogCommand(), doctorCommand(), versionCommand())
	root.SetHelpCommand(helpCommand())
	root.SetHelpCommandGroupID(rare)
	root.SetCompletionCommandGroupID(rare)
	return root
}

// rare is the group of verbs that only `help --all` shows.
const rare = "rare"

func group(root *cobra.Command, id string, verbs ...*cobra.Command) {
	for _, v := range verbs {
		v.GroupID, v.Hidden = id, id == rare
		root.AddCommand(v)
	}
}

// onlyVerbs is the RunE of a command that does nothing but hold verbs.
func onlyVerbs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return unknownVerb(cmd, args[0])
}

func unknownVerb(cmd *cobra.Command, given string) error {
	var verbs []string
	for _, c := range cmd.Commands() {
		verbs = append(verbs, c.Name())
	}
	return usage(cmd, "unknown verb %q%s", given, didYouMean(given, verbs))
}

// didYouMean ends a message about an unknown name.
func didYouMean(given string, known []string) string {
	if near := pipelines.Nearest(given, known); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	return ""
}

// exactly is cobra.ExactArgs with an error that names what is missing.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return usage(cmd, "takes %s, got %s", strings.TrimSpace(count(len(names), "argument")+" "+strings.Join(names, " ")), count(len(args), "argument"))
		}
		return nil
	}
}

// line writes one line of data.
func line(w io.Writer, format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
