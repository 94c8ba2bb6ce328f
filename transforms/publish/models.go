package publish

import (
	"bufio"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pkg/html"
	"silverbeam/pkg/net"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
)

// curvePoints bounds a loss curve on the page.
const curvePoints = 200

// trains says whether a step of a type trains a model.
func trains(stepType string) bool { return stepType == "train.Model" || stepType == "train.Command" }

// training reads the history of every model.
func (src *source) training() (out []html.Training) {
	for _, s := range src.report.Steps {
		if !trains(s.Type) {
			continue
		}
		dir := filepath.Join(src.dir, "models", s.Name)
		points, seconds := history(filepath.Join(dir, "history.jsonl"))
		if len(points) == 0 {
			continue
		}
		t := html.Training{Name: s.Name, Steps: points[len(points)-1].Step + 1, Seconds: seconds, Points: thin(points)}
		var c struct {
			Recipe     string
			Epochs     int
			Seconds    float64
			Command    []string
			Embeddings *struct{ Model string }
		}
		if p, err := os.ReadFile(filepath.Join(dir, "config.json")); err == nil && json.Unmarshal(p, &c) == nil {
			t.Recipe, t.Epochs, t.Parameters = c.Recipe, c.Epochs, parameters(filepath.Join(dir, "model.safetensors"))
			if c.Embeddings != nil {
				t.Recipe += " against embeddings of " + cmp.Or(c.Embeddings.Model, "a file")
			}
			if c.Command != nil { // whose history is its own
				t.Seconds = c.Seconds
			}
		}
		out = append(out, t)
	}
	return out
}

// parameters counts the numbers in a file of weights that training changes: all but those of batch normalisation that are
// only kept. 0: there is no such file.
func parameters(path string) (n int) {
	all, _, err := net.LoadSafetensors(path)
	if err != nil {
		return 0
	}
	for name, t := range all {
		if !slices.Contains([]string{"running_mean", "running_var", "num_batches_tracked"}, name[strings.LastIndexByte(name, '.')+1:]) {
			n += len(t.F32)
		}
	}
	return n
}

// history reads the losses and the seconds that training took.
func history(path string) (points []html.TrainPoint, seconds float64) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var l struct {
			Step     int
			Loss, LR *float64
			Seconds  float64
		}
		if json.Unmarshal(sc.Bytes(), &l) == nil {
			points, seconds = append(points, html.TrainPoint{Step: l.Step, Loss: l.Loss, LR: l.LR}), l.Seconds
		}
	}
	return points, seconds
}

// thin averages neighbours until a curve has at most curvePoints points.
func thin(points []html.TrainPoint) (out []html.TrainPoint) {
	n := (len(points) + curvePoints - 1) / curvePoints
	for chunk := range slices.Chunk(points, max(n, 1)) {
		var sum float64
		for _, p := range chunk {
			if p.Loss != nil {
				sum += *p.Loss
			}
		}
		mean := sum / float64(len(chunk))
		last := chunk[len(chunk)-1]
		out = append(out, html.TrainPoint{Step: last.Step, Loss: &mean, LR: last.LR})
	}
	return out
}

// gallery shows what a few reports found, with slices of each volume.
func (src *source) gallery(reportText bool) (*html.Gallery, error) {
	if src.retrieval == nil || src.data == nil {
		return nil, nil
	}
	rows, err := src.data.Rows(src.retrieval.Split)
	if err != nil {
		return nil, err
	}
	byVolume, byStudy := map[string]shard.Row{}, map[string]shard.Row{}
	for _, r := range rows {
		byVolume[r.Volume] = r
		if _, ok := byStudy[r.Study]; !ok {
			byStudy[r.Study] = r
		}
	}
	g := &html.Gallery{Note: "Reports taken evenly from the split, not picked by success. Axial in the lung and the mediastinal window, coronal and sagittal in the lung window."}
	for _, q := range src.retrieval.Gallery {
		own := byStudy[q.Study]
		out := html.Query{Study: q.Study, Findings: src.present(own), Pool: src.retrieval.Reports.NPool}
		if reportText {
			out.ReportText = own.Report
		}
		if out.Images, err = src.slices(own); err != nil {
			return nil, err
		}
		for _, h := range q.Hits {
			r := byVolume[h.Volume]
			x := html.Result{Volume: h.Volume, Score: h.Score, Findings: src.present(r), SameStudy: r.Study == q.Study, SamePatient: r.Patient == own.Patient}
			if x.Images, err = src.slices(r); err != nil {
				return nil, err
			}
			out.Results = append(out.Results, x)
		}
		g.Queries = append(g.Queries, out)
	}
	return g, nil
}

func (src *source) slices(r shard.Row) (html.Images, error) {
	p := src.data.Preset()
	hu, err := r.Voxels()
	if err != nil {
		return html.Images{}, err
	}
	im, err := html.Slices(hu, p.Shape, p.SpacingMM, html.Lung)
	if err != nil {
		return im, err
	}
	soft, err := html.Slices(hu, p.Shape, p.SpacingMM, html.Mediastinum)
	im.Mediastinum = soft.Axial
	return im, err
}

// present names the findings that a row's labels call present.
func (src *source) present(r shard.Row) (names []string) {
	for k, l := range r.Labels {
		if l.State == taxonomy.Present {
			names = append(names, src.tally.Names[k])
		}
	}
	return names
}
