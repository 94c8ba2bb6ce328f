package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"silverbeam/pipelines"

	"github.com/spf13/cobra"
)

func catalogCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "catalog [TYPE]", Short: "list the step types, what they take and give, and their options",
		Example: "  silverbeam catalog label.Reports\n  silverbeam catalog --json > catalog.json   # the key schema is a JSON Schema for editors",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), catalogJSON())
			}
			types := pipelines.Catalog
			if len(args) > 0 {
				t := pipelines.Find(pipelines.Catalog, args[0])
				if t == nil {
					var names []string
					for _, t := range types {
						names = append(names, t.Type)
					}
					return usage(cmd, "unknown step type %q%s", args[0], didYouMean(args[0], names))
				}
				types = []pipelines.Type{*t}
			}
			for i, t := range types {
				if i > 0 {
					line(cmd.OutOrStdout(), "")
				}
				printType(cmd.OutOrStdout(), t)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one object, with a JSON Schema of pipeline files for editors")
	return c
}

func printType(w io.Writer, t pipelines.Type) {
	takes := "nothing"
	if len(t.Takes) > 0 {
		takes = strings.Join(kinds(t), " or ")
	}
	line(w, "%s: %s → %s\n  %s", t.Type, takes, t.Gives, t.Doc)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, o := range t.Describe() {
		fmt.Fprintf(tw, "    %s\t%s\t%s\n", o.Key, o.Kind, o.Doc)
	}
	tw.Flush()
}

func kinds(t pipelines.Type) []string {
	out := []string{}
	for _, k := range t.Takes {
		out = append(out, string(k))
	}
	return out
}

func catalogJSON() any {
	type row struct {
		Type    string             `json:"type"`
		Takes   []string           `json:"takes"`
		Gives   string             `json:"gives"`
		Doc     string             `json:"doc"`
		Options []pipelines.Option `json:"options"`
	}
	var rows []row
	for _, t := range pipelines.Catalog {
		rows = append(rows, row{t.Type, kinds(t), string(t.Gives), t.Doc, t.Describe()})
	}
	return map[string]any{"types": rows, "shipped": pipelines.Shipped, "schema": pipelines.Schema()}
}

// writeJSON writes one object.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
