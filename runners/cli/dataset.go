package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"

	"github.com/spf13/cobra"
)

func datasetCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "dataset inspect|verify|export", Short: "what a data set holds, whether it is whole, and a copy for others",
		Example: "  silverbeam dataset inspect out/demo/dataset\n  silverbeam dataset verify out/demo/dataset",
		RunE:    onlyVerbs,
	}
	c.AddCommand(datasetInspectCommand(), datasetVerifyCommand(), datasetExportCommand())
	return c
}

func datasetInspectCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "inspect DIR", Short: "splits, patients, volumes, bytes, preset, what the scans were, and how often each finding is present", Args: exactly("DIR"),
		Long: "DIR is a run's folder dataset, with a manifest.json, or s3://BUCKET/KEY: that is copied into the user's cache. Everything but the voxels is read, and checked against its digests. Shares of\n" +
			"findings are of studies, with 95 % Wilson intervals. Shape, spacing and HU are those of the files, before the preset: least, middle\n" +
			"and greatest of the split. Volumes with the same voxels in one split are named; in two splits no data set is made of them.",
		Example: "  silverbeam dataset inspect out/demo/dataset --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDataset(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer d.Close()
			v, err := look(d)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), v)
			}
			return v.tell(cmd.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// openDataset opens the data set in a folder or bucket.
func openDataset(ctx context.Context, place string) (*shard.Dataset, error) {
	dir, err := shard.Local(ctx, place)
	if err != nil {
		return nil, unreadable(err)
	}
	d, err := shard.Open(dir)
	if err != nil {
		return nil, unreadable(err)
	}
	return d, nil
}

// datasetView is what dataset inspect --json prints.
type datasetView struct {
	Digest    string      `json:"digest"`
	Preset    string      `json:"preset"`
	Shape     [3]int      `json:"shape"`      // z, y, x
	SpacingMM [3]float64  `json:"spacing_mm"` // z, y, x; zeros: the whole field of each scan
	WindowHU  [2]int      `json:"window_hu"`  // become -1 and 1
	HUSource  string      `json:"hu_source"`
	Storage   string      `json:"storage"` // raw or compressed
	Splits    []splitView `json:"splits"`
}

type splitView struct {
	Name       string        `json:"name"`
	Shards     int           `json:"shards"`
	Bytes      int64         `json:"bytes"`
	Patients   int           `json:"patients"`
	Studies    int           `json:"studies"`
	Volumes    int           `json:"volumes"`
	Unlabelled int           `json:"unlabelled"` // studies of which nothing is known
	Findings   []findingView `json:"findings"`
	Scans      shard.Stats   `json:"scans"` // the volumes as they were read, before the preset
}

// findingView counts studies by the state of a finding.
type findingView struct {
	Finding      string      `json:"finding"`
	Present      int         `json:"present"`
	Absent       int         `json:"absent"`
	Uncertain    int         `json:"uncertain"`
	NotMentioned int         `json:"not_mentioned"`
	Prevalence   *float64    `json:"prevalence"` // present among labelled studies; null where there are none
	Interval     *[2]float64 `json:"interval"`   // 95 %, Wilson
}

func look(d *shard.Dataset) (datasetView, error) {
	m, p := d.Manifest(), d.Preset()
	v := datasetView{m.Digest, p.Name, p.Shape, p.SpacingMM, [2]int{p.LoHU, p.HiHU}, m.HUSource, d.Storage(), []splitView{}}
	for _, name := range d.Splits() {
		rows, err := d.Rows(name)
		if err != nil {
			return v, err
		}
		s := splitView{Name: name, Shards: len(m.Splits[name].Batches), Volumes: len(rows), Scans: m.Splits[name].Stats()}
		for _, b := range m.Splits[name].Batches {
			s.Bytes += b.Bytes
		}
		s.count(rows, m.Findings)
		v.Splits = append(v.Splits, s)
	}
	return v, nil
}

func (s *splitView) count(rows []shard.Row, findings []string) {
	for _, f := range findings {
		s.Findings = append(s.Findings, findingView{Finding: f})
	}
	patients, studies := map[string]bool{}, map[string]bool{}
	for _, r := range rows {
		if patients[r.Patient] = true; studies[r.Study] {
			continue
		}
		studies[r.Study] = true
		if r.Labels == nil {
			s.Unlabelled++
		}
		for k, l := range r.Labels {
			s.Findings[k].add(l.State)
		}
	}
	s.Patients, s.Studies = len(patients), len(studies)
	n := s.Studies - s.Unlabelled
	for k := range s.Findings {
		f := &s.Findings[k]
		f.Prevalence, f.Interval = metrics.Defined(float64(f.Present)/float64(n), n > 0), metrics.Wilson(f.Present, n)
	}
}

func (f *findingView) add(s taxonomy.State) {
	switch s {
	case taxonomy.Present:
		f.Present++
	case taxonomy.Absent:
		f.Absent++
	case taxonomy.Uncertain:
		f.Uncertain++
	default:
		f.NotMentioned++
	}
}

func (v datasetView) tell(w io.Writer) error {
	line(w, "digest     %s", v.Digest)
	grid := fmt.Sprintf("%d x %d x %d voxels (z, y, x)", v.Shape[0], v.Shape[1], v.Shape[2])
	if mm := v.SpacingMM; mm != [3]float64{} {
		grid += fmt.Sprintf(" of %g x %g x %g mm", mm[0], mm[1], mm[2])
	}
	line(w, "preset     %s: %s, window %d to %d HU", v.Preset, grid, v.WindowHU[0], v.WindowHU[1])
	line(w, "hu_source  %s", v.HUSource)
	line(w, "storage    %s", v.Storage)
	for _, s := range v.Splits {
		line(w, "")
		line(w, "%s: %s of %s in %s, %s bytes", s.Name, count(s.Studies, "study"), count(s.Patients, "patient"), count(s.Shards, "shard"), grouped(s.Bytes))
		line(w, "%s, %s without labels", count(s.Volumes, "volume"), count(s.Unlabelled, "study"))
		tellScans(w, s.Scans)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		line(tw, "present\tabsent\tuncertain\tnot mentioned\tshare\t95 %%\t  finding")
		for _, f := range s.Findings {
			share, interval := "-", "-"
			if f.Prevalence != nil {
				share, interval = fmt.Sprintf("%.3f", *f.Prevalence), fmt.Sprintf("%.3f to %.3f", f.Interval[0], f.Interval[1])
			}
			line(tw, "%d\t%d\t%d\t%d\t%s\t%s\t  %s", f.Present, f.Absent, f.Uncertain, f.NotMentioned, share, interval, f.Finding)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// tellScans prints what is known of the scans.
func tellScans(w io.Writer, st shard.Stats) {
	if st.Known > 0 {
		line(w, "scans: slices %s of %s mm, rows %s, columns %s of %s mm", st.Shape[0], st.SpacingMM[0], st.Shape[1], st.Shape[2], st.SpacingMM[2])
		share := func(lo, hi int) float64 { return 100 * st.HU.Share(lo, hi) }
		line(w, "HU: %.1f %% below -1000, %.1f %% to -500, %.1f %% to -100, %.1f %% to 100, %.1f %% to 300, %.1f %% from there", share(math.MinInt16, -1000),
			share(-1000, -500), share(-500, -100), share(-100, 100), share(100, 300), share(300, math.MaxInt16))
	}
	for _, same := range st.Duplicates {
		line(w, "the same voxels: %s", strings.Join(same, ", "))
	}
}

func datasetVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify DIR", Short: "read every byte of a data set and hold it to its digests", Args: exactly("DIR"),
		Long: "DIR is a run's folder dataset, with a manifest.json, or s3://BUCKET/KEY, of which one file at a time is copied. Every file that the manifest names must be what was written, no patient may\n" +
			"stand in two splits; what is wrong is named, all of it, and exits with 3. Files that look like shards and are in no manifest are named\n" +
			"too, but they are no part of the data set and no fault of it.",
		Example: "  silverbeam dataset verify out/demo/dataset",
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := shard.Verify(args[0])
			if err != nil {
				return unreadable(err)
			}
			for _, o := range v.Orphans {
				line(cmd.ErrOrStderr(), "not in the manifest: %s", o)
			}
			if i := slices.IndexFunc(v.Problems, func(err error) bool { return code(err) == codeTemporary }); i >= 0 {
				return v.Problems[i]
			}
			for _, p := range v.Problems {
				line(cmd.ErrOrStderr(), "%s", brief(p.Error()))
			}
			if n := len(v.Problems); n > 0 {
				return &Exit{codeInput, fmt.Errorf("%s: %s", args[0], count(n, "problem")), "remove damaged files, and the command that made the data set makes them anew"}
			}
			line(cmd.OutOrStdout(), "whole: %s in %s, %s bytes", count(v.Rows, "volume"), count(v.Shards, "shard"), grouped(v.Bytes))
			return nil
		},
	}
}
