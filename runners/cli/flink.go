package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"silverbeam/runners/flink"
	"silverbeam/runners/local"
	"silverbeam/transforms/intake"

	"github.com/spf13/cobra"
)

func flinkCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "flink up|status|down|worker", Short: "a Flink cluster on this machine that stays for many runs, and workers for any",
		Long: "`run --runner flink` starts a cluster and stops it. One that stays saves that time: while it does, runs go to it.\n" +
			"It is plain Java processes of this user, every socket on the loopback.",
		Example: "  silverbeam flink up\n  silverbeam run pipeline.yaml --runner flink\n  silverbeam flink down",
		RunE:    onlyVerbs,
	}
	c.AddCommand(flinkUpCommand(), flinkStatusCommand(), flinkDownCommand(), flinkWorkerCommand())
	return c
}

const flinkJarsHelp = "a list of the jars of another Flink and of Beam's job server for it, `FILE`: the repository's URL, then a line of SHA-256, bytes and path for each jar (default the program's own list)"

const noCluster = "no cluster stands"

func flinkUpCommand() *cobra.Command {
	var slots int
	var jars string
	var stay bool
	c := &cobra.Command{
		Use: "up", Short: "start a cluster that stays: a JobManager, two TaskManagers and Beam's job server", Args: exactly(),
		Long: "Where one stands already nothing is done. With --foreground it ends with this command, for service managers: a signal ends it, and\n" +
			"so does the end of its JobManager, with exit code 75.",
		Example: "  silverbeam flink up --slots 8",
		RunE: func(cmd *cobra.Command, args []string) error {
			if slots < 1 || slots > 1024 {
				return usage(cmd, "--slots: %d: 1 to 1024", slots)
			}
			if err := flink.CheckJars(jars); err != nil {
				return usage(cmd, "--flink-jars: %v", err)
			}
			say := func(s string) { line(cmd.ErrOrStderr(), "%s", s) }
			if stay {
				err := flink.Stay(cmd.Context(), slots, jars, say, func(c flink.Cluster) { writeCluster(cmd.OutOrStdout(), c) })
				if errors.Is(err, fs.ErrExist) {
					return &Exit{codeTemporary, err, "silverbeam flink status"}
				}
				return err
			}
			if c, err := flink.Standing(); err == nil {
				writeCluster(cmd.OutOrStdout(), c)
				return nil
			}
			return startCluster(cmd, slots, jars)
		},
	}
	c.Flags().IntVar(&slots, "slots", 2, "at least how many subtasks, `N`, can work at once, on both TaskManagers together")
	c.Flags().StringVar(&jars, "flink-jars", "", flinkJarsHelp)
	c.Flags().BoolVar(&stay, "foreground", false, "stay with it until a signal comes")
	return c
}

// startCluster starts this program again, apart from this terminal, and waits until its cluster answers or has failed.
func startCluster(cmd *cobra.Command, slots int, jars string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.CreateTemp("", "silverbeam-flink-*.log")
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	keeper := exec.Command(self, "flink", "up", "--foreground", "--slots", fmt.Sprint(slots), "--flink-jars", jars)
	keeper.Stdout, keeper.Stderr = log, log
	apart(keeper)
	if err := keeper.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- keeper.Wait() }()
	told := int64(0)
	tell := func(w io.Writer) {
		text, _ := os.ReadFile(log.Name())
		_, _ = w.Write(text[min(told, int64(len(text))):])
		told = int64(len(text))
	}
	for {
		select {
		case err := <-ended:
			tell(cmd.ErrOrStderr())
			if err == nil {
				err = errors.New("it was told to end")
			}
			var x *exec.ExitError
			if errors.As(err, &x) {
				return &Exit{x.ExitCode(), errors.New("the cluster did not start"), ""}
			}
			return fmt.Errorf("the cluster did not start: %w", err)
		case <-cmd.Context().Done():
			_ = keeper.Process.Signal(os.Interrupt)
			<-ended
			return cmd.Context().Err()
		case <-time.After(200 * time.Millisecond):
			if c, err := flink.Standing(); err == nil && c.PID == keeper.Process.Pid {
				writeCluster(cmd.OutOrStdout(), c)
				return nil
			}
			tell(cmd.ErrOrStderr())
		}
	}
}

func writeCluster(w io.Writer, c flink.Cluster) {
	line(w, "JobManager    http://%s", c.Master)
	line(w, "job server    %s", c.JobEndpoint)
	line(w, "slots         %d", c.Slots)
	line(w, "stays         since %s, as process %d, with its logs in %s", c.Started.Format(time.DateTime), c.PID, filepath.Clean(c.Dir))
}

func flinkStatusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "status", Short: "where the cluster is that stays, and what it does", Args: exactly(),
		Example: "  silverbeam flink status --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := flink.Standing()
			if err == nil {
				err = c.Ask(cmd.Context())
			}
			if errors.Is(err, fs.ErrNotExist) {
				return &Exit{codeInput, errors.New(noCluster), "silverbeam flink up"}
			}
			if err != nil {
				return &Exit{codeTemporary, err, ""}
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), c)
			}
			writeCluster(cmd.OutOrStdout(), c)
			line(cmd.OutOrStdout(), "Flink         %s, %s, %d of %d slots free", c.Version, count(c.TaskManagers, "TaskManager"), c.Free, c.Slots)
			for _, j := range c.Jobs {
				line(cmd.OutOrStdout(), "job           %s, %s for %.0f s", j.Name, j.State, j.Seconds)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return c
}

func flinkDownCommand() *cobra.Command {
	return &cobra.Command{
		Use: "down", Short: "end the cluster that stays; jobs on it are lost, and their runs can be resumed", Args: exactly(),
		Example: "  silverbeam flink down",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := flink.End()
			if errors.Is(err, fs.ErrNotExist) {
				line(cmd.ErrOrStderr(), noCluster)
				return nil
			}
			return err
		},
	}
}

func flinkWorkerCommand() *cobra.Command {
	var listen, id, provision string
	c := &cobra.Command{
		Use: "worker", Short: "work for the TaskManagers of a cluster, in processes of their own", Args: exactly(),
		Long: "One stands beside each TaskManager, or one serves all on a machine; `run --workers HOST:PORT` has the steps work there. Each\n" +
			"TaskManager gets a process for each of its jobs. It works in the folder in which this command was started: the paths of a pipeline\n" +
			"file, its run folder included, must mean the same there as where `run` is, and keys are read from this environment.",
		Example: "  silverbeam flink worker --listen 127.0.0.1:50000\n" +
			"  silverbeam run pipeline.yaml --runner flink --workers 127.0.0.1:50000 --store postgres://USER@HOST/DB",
		RunE: func(cmd *cobra.Command, args []string) error {
			if provision != "" {
				local.StartBeam()
				end := intake.Begin(cmd.Context(), "")
				err := flink.Work(cmd.Context(), id, provision)
				end(local.Grace) // its TaskManager may be gone, but calls under way are paid for
				return err       // and no more: steps that were left alone may still be at it
			}
			if _, port, err := net.SplitHostPort(listen); err != nil || port == "" {
				return usage(cmd, "--listen: %q: wants HOST:PORT", listen)
			}
			err := flink.ServeWorkers(cmd.Context(), listen, func(address string) { line(cmd.OutOrStdout(), "%s", address) })
			if errors.Is(err, syscall.EADDRINUSE) {
				return &Exit{codeTemporary, err, ""}
			}
			return err
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:50000", "take the requests of TaskManagers at `HOST:PORT`; whoever reaches it can have steps work as this user")
	c.Flags().StringVar(&id, "id", "", "be one worker, `ID`, as a TaskManager starts it")
	c.Flags().StringVar(&provision, "provision_endpoint", "", "the TaskManager's address, `HOST:PORT`, that says what to do")
	c.Flags().String("semi_persist_dir", "", "a `DIR` that Beam offers; not used")
	return c
}
