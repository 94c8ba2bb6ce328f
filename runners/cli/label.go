package cli

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pipelines"
	"silverbeam/pkg/table"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func labelCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "label reports|sample|fit|explain", Short: "label a table of reports, or show why one is labelled as it is",
		Example: "  silverbeam label reports my.csv --out labels.csv\n  silverbeam label explain my.csv --id 17",
		RunE:    onlyVerbs,
	}
	c.AddCommand(labelReportsCommand(), labelSampleCommand(), labelFitCommand(), labelExplainCommand())
	return c
}

// labelParams are the flags that become parameters of the pipeline label-reports, by the parameter's name.
var labelParams = map[string]string{
	"id-column": "id", "text-columns": "text", "findings": "findings", "convention": "convention", "labelers": "labelers",
	"endpoint": "endpoint", "model": "model", "key-env": "key_env", "key-command": "key_command", "prices": "prices", "send": "send", "in-flight": "in_flight", "rpm": "rpm",
	"tpm": "tpm", "mode": "mode", "canary": "canary", "timeout": "timeout", "deadline": "deadline", "batch-rows": "batch_rows", "limit": "limit", "as": "as",
	"uncertain": "uncertain", "max-rejects": "tolerance",
}

func labelReportsCommand() *cobra.Command {
	var flags runFlags
	var out, evidenceFile, baseline, texts string
	var quotes bool
	c := &cobra.Command{
		Use: "reports IN --out OUT", Short: "label a table of reports without writing a pipeline", Args: exactly("IN"),
		Long: "Reads reports from a CSV, JSONL or Parquet file (the first two also as .gz; - is CSV on stdin) and writes one row of labels for\n" +
			"each, in the same order: 1 present, 0 absent, -1 uncertain, empty not mentioned. A row that could not be labelled is all empty, and\n" +
			"`silverbeam why` says why. The same command goes on where an earlier one stopped, and pays for no answer twice.",
		Example: "  silverbeam label reports my.csv --out labels.csv\n" +
			"  silverbeam label reports my.csv --id-column AccessionNo --text-columns Findings,Impression --out labels.parquet\n" +
			"  silverbeam label reports my.csv --endpoint https://llm.example/v1 --model NAME --key-env KEY --max-cost 5 --out labels.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.options(cmd)
			if err != nil {
				return err
			}
			if quotes && evidenceFile == "" {
				return usage(cmd, "--quotes: only with --evidence")
			}
			if err := writable(cmd, out); err != nil {
				return err
			}
			if baseline != "" {
				if _, err := openLabels(baseline); err != nil {
					return fmt.Errorf("--baseline: %w", err)
				}
			}
			in, done, err := input(cmd, args[0])
			if err != nil {
				return err
			}
			defer done()
			set := map[string]string{"in": in, "id": "id", "text": "report"}
			cmd.Flags().Visit(func(f *pflag.Flag) {
				if p, ok := labelParams[f.Name]; ok {
					set[p] = f.Value.String()
				}
			})
			p, err := pipelines.Load("label-reports", set)
			if err != nil {
				return asFlags(cmd, err)
			}
			if o.Dir == "" {
				if o.Dir, err = labelFolder(in, set); err != nil {
					return err
				}
			}
			if texts != "" {
				if err := regression(cmd, texts, set, o); err != nil {
					return fmt.Errorf("--regression: %w", err)
				}
			}
			_, runErr := execute(cmd, p, o)
			var e *Exit
			if runErr != nil && (!errors.As(runErr, &e) || e.Code != codeRejects) {
				return runErr
			}
			if err := writeLabels(cmd.OutOrStdout(), filepath.Join(o.Dir, "dataset"), out); err != nil {
				return err
			}
			if out != "-" {
				line(cmd.ErrOrStderr(), "%-20s %s", "labels", out)
			}
			if evidenceFile != "" {
				var columns *table.Columns
				if quotes {
					columns = &table.Columns{Study: set["id"], Report: strings.Split(set["text"], ",")}
				}
				if err := writeEvidence(evidenceFile, o.Dir, columns); err != nil {
					return fmt.Errorf("--evidence: %w", err)
				}
			}
			if baseline != "" {
				if err := tellDrift(cmd.ErrOrStderr(), o.Dir, baseline); err != nil {
					return fmt.Errorf("--baseline: %w", err)
				}
			}
			line(cmd.ErrOrStderr(), "%-20s %s", "page", filepath.Join(o.Dir, "page.html"))
			return runErr
		},
	}
	f := c.Flags()
	f.StringVar(&out, "out", "", "write the labels to `OUT`: .csv, .jsonl (both also .gz) or .parquet; - is CSV on stdout")
	f.String("id-column", "id", "the `COLUMN` that names a report")
	f.String("text-columns", "report", "`COLUMNS` of text, with commas between; joined with a newline")
	f.String("findings", "ctrate-18", findingsHelp)
	f.String("convention", "ct-rate", "what counts as a finding, by whose `HABITS`: ct-rate or clinical")
	f.String("as", "state", "cells hold `WHAT`: state, binary or probability")
	f.String("uncertain", "one", "in binary, uncertain becomes `WHAT`: one, zero or missing")
	f.String("labelers", "", "ask the labelers of this `LIST` in its order: rules, student:FILE, llm (default rules); an endpoint adds llm at its end")
	f.String("endpoint", "", "base `URL` of an OpenAI-compatible server, or several with commas between, each with *WEIGHT if not 1; fake://rules pretends one and costs nothing")
	f.String("model", "", "ask the model `NAME`")
	f.String("key-env", "", "the environment `VARIABLE` that holds the key (default: no key is sent)")
	f.String("key-command", "", "run this `COMMAND`, which prints the key; again when it is no longer good")
	f.String("prices", "", "take prices from `FILE` (default the built-in one)")
	f.String("send", "", "send of each report `WHAT`: redacted (what it states, without identifiers), findings or impression (of that, one section), or whole (default redacted, unless the endpoint is this machine)")
	f.Int("in-flight", 64, "up to `N` calls at once, to all endpoints together, 1 to 4096")
	f.Int("rpm", 0, "at most `N` requests a minute to each endpoint; 0: no limit of ours")
	f.Int("tpm", 0, "at most `N` tokens a minute to each endpoint; 0: no limit of ours")
	f.Duration("timeout", 0, "a call may take `TIME` (default 60s)")
	f.Duration("deadline", 0, "a report may take `TIME`, retries included (default 10m)")
	f.String("mode", "sync", "call the model in this `WAY`: sync, now, or batch, through the provider's batch interface at its price")
	f.Int("canary", 0, "ask the canary texts again every `N` calls, to notice another model under the same name; 0: 10000, after the first 2000, and none of fakes or of this machine; -1: none")
	f.Int("batch-rows", 5000, "a batch has `N` rows, 1 to 100000; it is the unit of resuming and of cost")
	f.String("max-rejects", "0.1%", "exit with 1 if more than `SHARE` of the reports is rejected")
	f.StringVar(&evidenceFile, "evidence", "", "also write offsets and the rule or model behind each label to this .jsonl `FILE`")
	f.StringVar(&baseline, "baseline", "", "tell which batches' prevalences are not those of the labels in `FILE`, a table or a run")
	f.StringVar(&texts, "regression", "", "first label the texts of `FILE` anew, and tell what changed since the last time")
	f.BoolVar(&quotes, "quotes", false, "with the evidence's words from the reports")
	flags.add(c, "out/label-DIGEST, of the input and the options")
	c.MarkFlagsMutuallyExclusive("key-env", "key-command")
	return c
}

// asFlags says what is wrong with a flag in the flag's terms: the user wrote no pipeline file.
func asFlags(cmd *cobra.Command, err error) error {
	var problems pipelines.Problems
	if !errors.As(err, &problems) {
		return err
	}
	var lines []string
	for _, p := range problems {
		key, rest, _ := strings.Cut(p.Message, ":")
		for flag, param := range labelParams {
			if param == key {
				key = "--" + flag
			}
		}
		if p.Nearest != "" {
			rest += fmt.Sprintf(" (did you mean %q?)", p.Nearest)
		}
		lines = append(lines, key+":"+rest)
	}
	return usage(cmd, "%s", strings.Join(lines, "; "))
}

// input gives the path of the table to read; stdin is copied to where only this user may read, and done removes it.
func input(cmd *cobra.Command, in string) (path string, done func(), err error) {
	if in != "-" {
		if _, err := os.Stat(in); err != nil {
			return "", nil, badInput("%v", err)
		}
		return in, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "silverbeam-*") // mode 0700
	if err != nil {
		return "", nil, err
	}
	done = func() { os.RemoveAll(dir) }
	f, err := os.Create(filepath.Join(dir, "stdin.csv"))
	if err != nil {
		done()
		return "", nil, err
	}
	_, err = io.Copy(f, cmd.InOrStdin())
	if err = errors.Join(err, f.Close()); err != nil {
		done()
		return "", nil, fmt.Errorf("stdin: %w", err)
	}
	return f.Name(), done, nil
}

// labelFolder names the run folder by the input's content and by what was asked of it.
func labelFolder(in string, set map[string]string) (string, error) {
	f, err := os.Open(in)
	if err != nil {
		return "", badInput("%v", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", badInput("%s: %v", in, err)
	}
	for _, k := range slices.Sorted(maps.Keys(set)) {
		if !slices.Contains([]string{"in", "key_env", "key_command", "in_flight", "rpm", "tpm", "timeout", "deadline", "mode", "canary", "tolerance"}, k) {
			fmt.Fprintf(h, "\n%s=%s", k, set[k])
		}
	}
	return filepath.Join("out", fmt.Sprintf("label-%x", h.Sum(nil)[:6])), nil
}
