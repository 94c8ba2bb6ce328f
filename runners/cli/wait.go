package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/ledger"
	"silverbeam/runners/flink"
	"silverbeam/runners/local"

	"github.com/spf13/cobra"
)

const (
	awayEnv  = "SILVERBEAM_AWAY" // of a run that goes on after a server was away: since when, Unix seconds, and how far the run was
	tryAgain = 5 * time.Second
)

// away reports whether an error is of a database, bucket or cluster that does not answer: what a run had finished is kept,
// and the same command goes on.
func away(err error) bool {
	return errors.Is(err, ledger.ErrLost) || errors.Is(err, bucket.ErrTemporary) || as[flink.Lost](err)
}

// goOn starts the run in dir again in this process's place, a little later, if its error is of a server that is away and has
// been for less than wait while the run got no further. Else it gives the error.
func goOn(cmd *cobra.Command, dir string, wait time.Duration, err error) error {
	if wait == 0 || !away(err) || cmd.Context().Err() != nil {
		return err
	}
	far := 0
	if s, serr := local.Look(dir); serr == nil {
		far = int(s.Done) + s.Rejects
		for _, st := range s.Steps {
			far += int(st.Done)
		}
	}
	now, since, was := time.Now(), int64(0), 0
	if n, _ := fmt.Sscan(os.Getenv(awayEnv), &since, &was); n != 2 || far > was {
		since = now.Unix()
	}
	if until := time.Unix(since, 0).Add(wait); now.Add(tryAgain).After(until) {
		return fmt.Errorf("%w (waited for %s)", err, now.Sub(time.Unix(since, 0)).Round(time.Second))
	}
	line(cmd.ErrOrStderr(), "%v: the run goes on in %s if it answers", err, tryAgain)
	select {
	case <-time.After(tryAgain):
	case <-cmd.Context().Done():
		return err
	}
	env := []string{fmt.Sprintf("%s=%d %d", awayEnv, since, far)}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, awayEnv+"=") {
			env = append(env, kv)
		}
	}
	return errors.Join(err, restart(env))
}
