package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"regexp"
	"strings"
	"syscall"

	"silverbeam/pipelines"
	"silverbeam/pkg/bucket"
	"silverbeam/pkg/engine/xla"
	"silverbeam/pkg/fit"
	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"
	"silverbeam/pkg/shard"
	"silverbeam/runners/flink"
	"silverbeam/runners/local"
	"silverbeam/transforms/evaluate"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/publish"
	"silverbeam/transforms/train"

	"github.com/spf13/cobra"
)

// The exit codes, which never change.
const (
	codeOK        = 0
	codeRejects   = 1  // finished, rejects above the tolerance or a required figure missed
	codeUsage     = 2  // usage, configuration, pipeline file
	codeInput     = 3  // bad input data
	codeBudget    = 4  // budget reached, resumable
	codeProvider  = 5  // the provider refused: key, quota
	codeTemporary = 75 // temporary failure, run again
	codeSignal    = 128
)

// Exit is an error that knows its exit code.
type Exit struct {
	Code int
	Err  error
	Next string // the next sensible command, or ""
}

func (e *Exit) Error() string { return e.Err.Error() }

// Unwrap gives the error itself.
func (e *Exit) Unwrap() error { return e.Err }

// usage is a mistake in the command line.
func usage(cmd *cobra.Command, format string, args ...any) error {
	what, verb := fmt.Sprintf(format, args...), strings.TrimPrefix(cmd.CommandPath(), "silverbeam")
	if verb != "" {
		what = verb[1:] + ": " + what
	}
	return &Exit{codeUsage, errors.New(what), "silverbeam help" + verb}
}

// badInput is a fault of a file that was given.
func badInput(format string, args ...any) error {
	return &Exit{codeInput, fmt.Errorf(format, args...), ""}
}

// classes says which code an error of a lower layer means; the first that matches counts.
var classes = []struct {
	code int
	is   func(error) bool
}{
	{codeTemporary, is(syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, local.ErrBusy, ledger.ErrBusy, ledger.ErrLost, fit.ErrBusy, xla.ErrInUse)},
	{codeTemporary, is(syscall.EIO, syscall.ESTALE, syscall.ETIMEDOUT, syscall.ENOTCONN)},
	{codeTemporary, as[flink.Lost]},
	{codeUsage, as[pipelines.Problems]},
	{codeTemporary, is(bucket.ErrTemporary, bucket.ErrRaced)},
	{codeProvider, is(bucket.ErrRefused)},
	{codeRejects, is(intake.ErrRejects)},
	{codeInput, is(intake.ErrInput, evaluate.ErrTruth, train.ErrWeights, train.ErrStart, train.ErrEmbeddings, publish.ErrUnpaired, shard.ErrDamaged, shard.ErrLeak)},
	{codeBudget, is(llm.ErrBudget, llm.ErrReplay)},
	{codeProvider, is(llm.ErrProvider)},
	{codeTemporary, is(llm.ErrTemporary, context.DeadlineExceeded)},
	{codeUsage, is(fs.ErrPermission, syscall.EROFS, syscall.ENOTDIR)},
}

func is(targets ...error) func(error) bool {
	return func(err error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
}

func as[T error](err error) bool {
	var t T
	return errors.As(err, &t)
}

// code is the exit code of an error. What is in no class is a fault of code or configuration, where running again would
// not help: 2.
func code(err error) int {
	var i interrupted
	var e *Exit
	switch {
	case err == nil:
		return codeOK
	case errors.As(err, &i):
		return codeSignal + int(i.signal)
	case errors.As(err, &e):
		return e.Code
	}
	for _, c := range classes {
		if c.is(err) {
			return c.code
		}
	}
	return codeUsage
}

// tell writes an error as a user reads it, what: where: why, then the next command, and gives its exit code.
func tell(w io.Writer, err error) int {
	c := code(err)
	if err == nil {
		return c
	}
	var e *Exit
	var problems pipelines.Problems
	next := ""
	if errors.As(err, &e) {
		next = e.Next
	}
	switch {
	case c > codeSignal:
		fmt.Fprintln(w, "silverbeam: interrupted: what was finished is kept")
		if next == "" {
			next = "the same command goes on"
		}
	case errors.As(err, &problems):
		fmt.Fprintln(w, problems.Error())
		fmt.Fprintf(w, "silverbeam: %s\n", count(len(problems), "problem"))
	default:
		fmt.Fprintln(w, "silverbeam: "+brief(err.Error()))
	}
	for _, h := range hints {
		if next == "" && errors.Is(err, h.is) {
			next = h.next
		}
	}
	if next == "" {
		next = advice[c]
	}
	if next != "" {
		fmt.Fprintln(w, "next: "+next)
	}
	return c
}

var ours = regexp.MustCompile(`\bsilverbeam/([a-z]+/\S+\.go:\d+)`)

// brief puts an error on one line. Of a panic's trace, which run.json keeps, it takes the place in our own code.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	message, trace, ok := strings.Cut(text, " goroutine ")
	if !ok || !strings.Contains(message, "panic: ") {
		return text
	}
	if at := ours.FindStringSubmatch(trace); at != nil {
		message += " (" + at[1] + ")"
	}
	return message
}

// hints are what to do next after some errors.
var hints = []struct {
	is   error
	next string
}{
	{intake.ErrRejects, "the same command with more --max-rejects, or tolerance in the pipeline file, goes on"},
	{shard.ErrDamaged, "remove the file, and the same command makes it anew"},
	{shard.ErrLeak, "keep each patient, and each scan, in one split of the input, and out of what is evaluated where a model learned from it; then the same command goes on"},
	{ledger.ErrMonth, "a higher spend.month_usd in the policy file, or another month (of UTC), and the same command goes on where it stopped"},
	{llm.ErrPolicy, "ask who keeps the policy file, or name what it allows"},
	{llm.ErrChanged, "name the model's dated version, or give the new one a results store of its own (--store); with canary -1 (--canary -1) the same command goes on"},
	{bucket.ErrRefused, "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and what they may do in that bucket; then the same command goes on"},
	{llm.ErrReplay, "the same command without --replay makes the calls"},
	{ledger.ErrNoPrice, `printf '` + ledger.PriceHeader + `\nown,MODEL,2026-01-01,USD,IN,,,OUT,,,,,,,own,2026-01-01\n' > prices.csv` +
		" with dollars per million tokens, then the same command with --prices prices.csv (run: --set prices=prices.csv)"},
}

// advice is what to do next where an error does not say.
var advice = map[int]string{
	codeBudget:    "the same command with a higher --max-cost goes on where it stopped",
	codeProvider:  "check address, model, key (--key-env) and account, then the same command goes on",
	codeTemporary: "the same command goes on where it stopped",
}

// count is "1 problem" or "3 problems".
func count(n int, noun string) string {
	if n != 1 {
		noun = plural(noun)
	}
	return fmt.Sprintf("%s %s", grouped(int64(n)), noun)
}

func plural(noun string) string {
	switch {
	case strings.HasSuffix(noun, "y"):
		return strings.TrimSuffix(noun, "y") + "ies"
	case strings.HasSuffix(noun, "ch"):
		return noun + "es"
	}
	return noun + "s"
}

// digits is a number in so many digits, or in all that stand before its point.
func digits(n int, x float64) string {
	s := fmt.Sprintf("%.*g", n, x)
	if x >= 1000 || strings.Contains(s, "e+") {
		return grouped(int64(math.Round(x)))
	}
	return s
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
