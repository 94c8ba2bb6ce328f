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

// findingsHelp explains the option --findings.
var findingsHelp = "taxonomy: " + strings.Join(taxonomy.Shipped(), ", ") + " or a `FILE`"

func labelExplainCommand() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use: "explain [IN --id ID]", Short: "show the trace behind the labels of one report, from stdin or a row of a table",
		Long: "The trace is that of the rules: which words named a finding, in which sentence, and every rule on the words around\n" +
			"them whose scope holds it, with the one that decided.",
		Example: "  silverbeam label explain my.csv --id 17\n  silverbeam label explain < report.txt",
		Args:    cobra.MaximumNArgs(1),
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
	c.Flags().StringVar(&f.id, "id", "", "the report's `ID`")
	c.Flags().StringVar(&f.idColumn, "id-column", "id", "the `COLUMN` that names a report")
	c.Flags().StringSliceVar(&f.text, "text-columns", []string{"report"}, "`COLUMNS` of text, with commas between")
	c.Flags().Lookup("text-columns").DefValue = "report"
	c.Flags().StringVar(&f.findings, "findings", "ctrate-18", findingsHelp)
	c.Flags().StringVar(&f.convention, "convention", "ct-rate", "what counts as a finding, by whose `HABITS`: ct-rate or clinical")
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
	Finding  string    `json:"finding"`
	State    string    `json:"state"`
	P        float32   `json:"p"`
	From     int       `json:"from"`
	To       int       `json:"to"`
	Source   string    `json:"source"`
	Mentions []mention `json:"mentions,omitempty"`
}

// mention is one place of the report that names the finding.
type mention struct {
	State   string  `json:"state"` // not mentioned: it was dropped, and why
	Why     string  `json:"why,omitempty"`
	P       float32 `json:"p"`
	From    int     `json:"from"`
	To      int     `json:"to"`
	Rule    string  `json:"rule"`
	Context string  `json:"context,omitempty"` // the rule on the words around it that decided
	Section string  `json:"section"`           // body, conclusion or background

	Sentence  [2]int     `json:"sentence"` // its bytes
	Modifiers []modifier `json:"modifiers,omitempty"`
}

// modifier is a rule on the words around a mention whose scope holds it.
type modifier struct {
	Rule    string  `json:"rule"`
	Does    string  `json:"does"`
	P       float32 `json:"p,omitempty"` // that a hedge stands for
	From    int     `json:"from"`
	To      int     `json:"to"`
	Scope   [2]int  `json:"scope"` // the bytes that it speaks about
	Decides bool    `json:"decides"`
}

func (f *explainFlags) explain(w io.Writer, t *taxonomy.Taxonomy, l *rules.Labeler, text string) error {
	labels, err := l.Label(text)
	if err != nil {
		return badInput("%v", err)
	}
	mentions := map[string][]mention{}
	for _, m := range l.Explain(text) {
		x := mention{m.State.String(), m.Why, m.P, m.From, m.To, m.Rule, m.Context, m.Section, [2]int{m.SentenceFrom, m.SentenceTo}, nil}
		for _, c := range m.Modifiers {
			x.Modifiers = append(x.Modifiers, modifier{c.Rule, c.Does, c.P, c.From, c.To, [2]int{c.ScopeFrom, c.ScopeTo}, c.Decides})
		}
		mentions[m.Finding] = append(mentions[m.Finding], x)
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
		line(w, "%s", strings.TrimRight(fmt.Sprintf("%-36s %-13s %.2f  %s", a.Finding, a.State, a.P, a.Source), " "))
		for _, m := range a.Mentions {
			line(w, "    %s", trace(m, text))
			line(w, "        in: %q", oneLine(text, m.Sentence[0], m.Sentence[1]))
			for _, c := range m.Modifiers {
				line(w, "        %s", c.trace(text))
			}
		}
	}
	return nil
}

// trace is one mention in words.
func trace(m mention, text string) string {
	what := m.State
	if m.State == taxonomy.NotMentioned.String() {
		what = "dropped (" + m.Why + ")"
	}
	by := m.Rule
	if m.Context != "" {
		by += " under " + m.Context
	}
	return fmt.Sprintf("%s by %s, %s, bytes %d-%d: %q", what, by, m.Section, m.From, m.To, oneLine(text, m.From, m.To))
}

// trace is one modifier in words.
func (c modifier) trace(text string) string {
	out := fmt.Sprintf("%s: %q %s: %q", c.Rule, oneLine(text, c.From, c.To), c.Does, oneLine(text, c.Scope[0], c.Scope[1]))
	if c.P > 0 {
		out += fmt.Sprintf(", p %.2f", c.P)
	}
	if !c.Decides {
		out += "; another rule is stronger"
	}
	return out
}

// oneLine is the bytes from one offset to another, on one line.
func oneLine(text string, from, to int) string {
	if from < 0 || to > len(text) || from > to {
		return ""
	}
	return strings.Join(strings.Fields(text[from:to]), " ")
}
