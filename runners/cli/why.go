package cli

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"silverbeam/schemas"
	"silverbeam/transforms/publish"

	"github.com/spf13/cobra"
)

func whyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "why RUN [STUDY]", Short: "say why a study left a run, or group all that did",
		Example: "  silverbeam why out/demo\n  silverbeam why demo train_7_a",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := folder(args[0])
			if err != nil {
				return err
			}
			rejects, err := rejectsOf(dir)
			if err != nil {
				return err
			}
			if len(args) == 2 {
				return whyStudy(cmd, rejects, args[1], asJSON)
			}
			return whyAll(cmd, groups(rejects), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// rejectsOf lists what the steps of a run refused: as its end wrote them or, where it has none yet, as its batches tell.
func rejectsOf(dir string) ([]schemas.Reject, error) {
	r, err := report(dir)
	if err != nil {
		return nil, err
	}
	if t, err := publish.Count(dir); err == nil && r.Ended == nil {
		return t.Rejects, nil
	}
	return readRejects(filepath.Join(dir, "rejects.jsonl"))
}

// readRejects reads rejects.jsonl; a run without the file has none.
func readRejects(path string) (rejects []schemas.Reject, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, badInput("%v", err)
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var r schemas.Reject
		if err := d.Decode(&r); err == io.EOF {
			return rejects, nil
		} else if err != nil {
			return nil, badInput("%s: entry %d: %v", path, len(rejects)+1, err)
		}
		rejects = append(rejects, r)
	}
}

func whyStudy(cmd *cobra.Command, rejects []schemas.Reject, study string, asJSON bool) error {
	found := []schemas.Reject{}
	for _, r := range rejects {
		if r.Of(study) {
			found = append(found, r)
		}
	}
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), found)
	}
	for _, r := range found {
		line(cmd.OutOrStdout(), "%s: %s: %s: %s (batch %.12s)", r.Study, r.Step, r.Class, r.Reason, r.Batch)
	}
	if len(found) == 0 {
		line(cmd.OutOrStdout(), "%s: no step refused a study of this id", study)
	}
	return nil
}

// refusals are the rejects of one step and class.
type refusals struct {
	Step     string   `json:"step"`
	Class    string   `json:"class"`
	Count    int      `json:"count"`
	Reason   string   `json:"reason"`   // of the first
	Examples []string `json:"examples"` // up to five studies
}

// groups counts the rejects by step, in the order of their first, and by class, the largest first.
func groups(rejects []schemas.Reject) []refusals {
	type key struct{ step, class string }
	at, order := map[key]int{}, map[string]int{}
	all := []refusals{}
	for _, r := range rejects {
		k := key{r.Step, r.Class}
		i, ok := at[k]
		if !ok {
			i = len(all)
			at[k] = i
			all = append(all, refusals{Step: r.Step, Class: r.Class, Reason: r.Reason})
		}
		if _, ok := order[r.Step]; !ok {
			order[r.Step] = len(order)
		}
		all[i].Count++
		if len(all[i].Examples) < 5 {
			all[i].Examples = append(all[i].Examples, r.Study)
		}
	}
	slices.SortStableFunc(all, func(a, b refusals) int {
		return cmp.Or(cmp.Compare(order[a.Step], order[b.Step]), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Class, b.Class))
	})
	return all
}

func whyAll(cmd *cobra.Command, all []refusals, asJSON bool) error {
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), all)
	}
	if len(all) == 0 {
		line(cmd.OutOrStdout(), "no study was refused")
	}
	for _, g := range all {
		line(cmd.OutOrStdout(), "%s: %s: %s, for example %s: %s", g.Step, g.Class, grouped(int64(g.Count)), g.Examples[0], g.Reason)
	}
	return nil
}
