package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"silverbeam/pkg/shard"
	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"
	"silverbeam/transforms/label"
	"silverbeam/transforms/publish"
)

// evidence is one label with where it came from.
type evidence struct {
	Finding string  `json:"finding"`
	State   string  `json:"state"`
	P       float32 `json:"p"`
	From    int     `json:"from"` // bytes of the report; from == to: none
	To      int     `json:"to"`
	Source  string  `json:"source"` // the rule, or the model
	Quote   string  `json:"quote,omitempty"`
}

// writeEvidence writes one object a labelled report, with every finding that the report mentions. quotes, if not nil,
// are the columns to read the evidence's words from.
func writeEvidence(path, dir string, quotes *table.Columns) error {
	tally, err := publish.Count(dir)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if quotes != nil {
		mode = 0o600
	}
	return shard.Replace(path, mode, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		for _, s := range tally.Sinks {
			if s.Step != label.TableName {
				continue
			}
			for _, b := range tally.Batches {
				text := map[string][]string{}
				if quotes != nil {
					if text, err = texts(b.Range, *quotes); err != nil {
						return err
					}
				}
				findings, rows, err := shard.ReadLabelPart(filepath.Join(dir, s.File(b)))
				if err != nil {
					return err
				}
				for _, r := range rows {
					own := ""
					if t := text[r.ID]; len(t) > 0 {
						own, text[r.ID] = t[0], t[1:]
					}
					if err := writeRow(e, findings, r, own); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

// texts are the reports of a range by id, in order where rows share one.
func texts(r table.Range, c table.Columns) (map[string][]string, error) {
	rows, _, err := table.Read(r, c)
	text := make(map[string][]string, len(rows))
	for _, row := range rows {
		text[row.ID] = append(text[row.ID], row.Report)
	}
	return text, err
}

func writeRow(e *json.Encoder, findings []string, r shard.LabelRow, text string) error {
	if len(r.Labels) == 0 {
		return nil // rejected: `silverbeam why` tells
	}
	if len(r.Labels) != len(findings) {
		return fmt.Errorf("%s: %d labels, want %d", r.ID, len(r.Labels), len(findings))
	}
	out := struct {
		ID     string     `json:"id"`
		Labels []evidence `json:"labels"`
	}{r.ID, []evidence{}}
	for i, l := range r.Labels {
		if l.State == taxonomy.NotMentioned {
			continue
		}
		x := evidence{findings[i], l.State.String(), l.P, l.From, l.To, l.Source, ""}
		if 0 <= l.From && l.From < l.To && l.To <= len(text) {
			x.Quote = strings.Join(strings.Fields(text[l.From:l.To]), " ")
		}
		out.Labels = append(out.Labels, x)
	}
	return e.Encode(out)
}
