package cli

import (
	"fmt"
	"io"
	"strings"

	"silverbeam/pkg/rules"
	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"

	"github.com/spf13/cobra"
)

// explainFlags say which report is explained, and by which rules.
type explainFlags struct {
	id, idColumn, findings, convention string
	text                               []string
	json                               bool
}

func labelExplainCommand() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use: "explain [IN --id ID]", Short: "show the trace behind the labels of one report, from stdin or a row of a table",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) != (f.id != "") {
				return usage(cmd, "takes a table and --id, or a report on stdin")
			}
			t, err := taxonomy.Load(f.findings)
			if err != nil {
				return usage(cmd, "--findings: %v", err)
			}
			l, err := rules.New(t, rules.Options{Convention: f.convention})
			if err != nil {
				return usage(cmd, "--convention: %v", err)
			}
			text, err := f.report(cmd, args)
			if err != nil {
				return err
			}
			return f.explain(cmd.OutOrStdout(), t, l, text)
		},
	}
	c.Flags().StringVar(&f.id, "id", "", "the report's id")
	c.Flags().StringVar(&f.idColumn, "id-column", "id", "the column that names a report")
	c.Flags().StringSliceVar(&f.text, "text-columns", []string{"report"}, "columns of text, with commas between")
	c.Flags().StringVar(&f.findings, "findings", "ctrate-18", "taxonomy, by name or file")
	c.Flags().StringVar(&f.convention, "convention", "ct-rate", "what counts as a finding: ct-rate or clinical")
	c.Flags().BoolVar(&f.json, "json", false, "as one object, without the report's words")
	return c
}

// report is the text to explain.
func (f *explainFlags) report(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 0 {
		text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<20))
		return string(text), err
	}
	columns := table.Columns{Study: f.idColumn, Report: f.text}
	ranges, err := table.Cut(args[0], columns, 5000)
	if err != nil {
		return "", badInput("%v", err)
	}
	for _, r := range ranges {
		rows, _, err := table.Read(r, columns)
		if err != nil {
			return "", badInput("%v", err)
		}
		for _, row := range rows {
			if row.ID == f.id {
				return row.Report, nil
			}
		}
	}
	return "", badInput("%s: no row has the %s %q", args[0], f.idColumn, f.id)
}

// answer is one finding of the trace.
type answer struct {
	Finding  string          `json:"finding"`
	State    string          `json:"state"`
	P        float32         `json:"p"`
	From     int             `json:"from"`
	To       int             `json:"to"`
	Source   string          `json:"source"`
	Mentions []rules.Mention `json:"mentions,omitempty"`
}

func (f *explainFlags) explain(w io.Writer, t *taxonomy.Taxonomy, l *rules.Labeler, text string) error {
	labels, err := l.Label(text)
	if err != nil {
		return badInput("%v", err)
	}
	mentions := map[string][]rules.Mention{}
	for _, m := range l.Explain(text) {
		mentions[m.Finding] = append(mentions[m.Finding], m)
	}
	var answers []answer
	for i, name := range t.Names() {
		a := labels[i]
		answers = append(answers, answer{name, a.State.String(), a.P, a.From, a.To, a.Source, mentions[name]})
	}
	if f.json {
		return writeJSON(w, map[string]any{"rules": l.Version(), "taxonomy": t.Name, "findings": answers})
	}
	for _, a := range answers {
		line(w, "%-36s %-13s %.2f  %s", a.Finding, a.State, a.P, a.Source)
		for _, m := range a.Mentions {
			line(w, "    %s", trace(m, text))
		}
	}
	return nil
}

// trace is one mention in words.
func trace(m rules.Mention, text string) string {
	what := m.State.String()
	if m.State == taxonomy.NotMentioned {
		what = "dropped (" + m.Why + ")"
	}
	by := m.Rule
	if m.Context != "" {
		by += " under " + m.Context
	}
	quote := ""
	if 0 <= m.From && m.From < m.To && m.To <= len(text) {
		quote = strings.Join(strings.Fields(text[m.From:m.To]), " ")
	}
	return fmt.Sprintf("%s by %s, %s, bytes %d-%d: %q", what, by, m.Section, m.From, m.To, quote)
}
