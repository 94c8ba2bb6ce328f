package pipelines

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"

	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/dataset"
	"silverbeam/transforms/evaluate"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/label"
	"silverbeam/transforms/publish"
	"silverbeam/transforms/train"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

var batchType = reflect.TypeFor[schemas.Batch]()

// plain is the chain's digest at a sink that takes studies as they were read: SHA-256 of nothing.
var plain = fmt.Sprintf("%x", sha256.Sum256(nil))

// Graph is a checked pipeline with its input cut into batches and every sink's files named.
type Graph struct {
	Pipeline *Pipeline
	Batches  []schemas.Batch
	Sinks    []intake.Output // in the steps' order
	Findings string          // the taxonomy of the run, by name or file
	Names    []string        // its findings
}

// Resolve reads the input's tables and the files that later steps will need, and names the outputs. It opens no volume
// and makes no call.
func (p *Pipeline) Resolve() (*Graph, error) {
	in := p.Steps[0].Options.(*intake.Options)
	in.Metadata = slices.ContainsFunc(p.Steps, func(s Step) bool { o, ok := s.Options.(*dataset.Options); return ok && o.HUSource == "metadata" })
	batches, err := intake.Index(*in)
	if err != nil {
		return nil, err
	}
	g, err := p.graph(batches)
	if err != nil {
		return nil, err
	}
	for _, s := range p.Steps {
		if o, ok := s.Options.(interface{ Ready(findings []string) error }); ok {
			if err := o.Ready(g.Names); err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
		}
	}
	return g, nil
}

// graph names the outputs of a pipeline. A sink's files carry the digest of the chain that leads to it, so that a changed
// option makes new files and an unchanged one finds its own.
func (p *Pipeline) graph(batches []schemas.Batch) (*Graph, error) {
	g := &Graph{Pipeline: p, Batches: batches, Findings: p.findings()}
	t, err := taxonomy.Load(g.Findings)
	if err != nil {
		return nil, err
	}
	g.Names = t.Names()
	chain := make([]string, len(p.Steps)) // step → digest of the chain down to it
	primary := ""
	for i, s := range p.Steps {
		if o, ok := s.Options.(interface{ IsPrimary() bool }); ok && o.IsPrimary() {
			if primary != "" {
				return nil, p.At(i, fmt.Errorf("primary: %s has the run's primary endpoint already", primary))
			}
			primary = s.Name
		}
		if s.Input >= 0 {
			chain[i] = chain[s.Input]
		}
		if o, ok := s.Options.(interface {
			Suits(*taxonomy.Taxonomy) error
		}); ok {
			if err := o.Suits(t); err != nil {
				return nil, p.At(i, err)
			}
		}
		if o, ok := s.Options.(interface{ Identity() (string, error) }); ok {
			id, err := o.Identity()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			chain[i] = fmt.Sprintf("%x", sha256.Sum256([]byte(chain[i]+s.Type+id)))
		}
		if out := output(s, cmp.Or(chain[i], plain)); out.Step != "" {
			g.Sinks = append(g.Sinks, out)
		}
	}
	return g, nil
}

// findings is the taxonomy that the pipeline's labels follow.
func (p *Pipeline) findings() string {
	for _, s := range p.Steps {
		if o, ok := s.Options.(*label.Options); ok && o.Findings != "" {
			return o.Findings
		}
	}
	return "ctrate-18"
}

// embeddings are those of the training whose model a step judges.
func (p *Pipeline) embeddings(step int) (e evaluate.Embeddings) {
	for i := p.Steps[step].Input; i >= 0; i = p.Steps[i].Input {
		if o, ok := p.Steps[i].Options.(*train.Options); ok {
			return o.Embeddings
		}
	}
	return e
}

// output names the files of a step that writes one for each batch.
func output(s Step, config string) intake.Output {
	switch s.Type {
	case label.TableName:
		return label.TableOutput(s.Name, config)
	case dataset.Name:
		return dataset.Output(s.Name, config, *s.Options.(*dataset.Options))
	case evaluate.LabelsName:
		return evaluate.LabelsOutput(s.Name, config)
	}
	return intake.Output{}
}

// Sync finds what earlier runs, of this folder or another, have put into buckets.
func (g *Graph) Sync(ctx context.Context, run schemas.Run) error {
	for _, o := range g.Sinks {
		if err := o.Sync(ctx, run.Dir, g.Batches); err != nil {
			return err
		}
	}
	return nil
}

// Build makes the Beam graph. Every Beam scope, counter, error and reject of a step carries the step's name.
func (g *Graph) Build(run schemas.Run) (*beam.Pipeline, error) {
	p, s := beam.NewPipelineWithRoot()
	cols := make([]beam.PCollection, len(g.Pipeline.Steps)) // step → what it gives
	var done beam.PCollection
	var results []beam.PCollection
	sinks := map[string]intake.Output{}
	for _, o := range g.Sinks {
		sinks[o.Step] = o
	}
	own := g.Pipeline.Steps[0].Options.(*intake.Options).About
	hasTable := slices.ContainsFunc(g.Pipeline.Steps, func(st Step) bool { return st.Type == label.TableName })
	for i, st := range g.Pipeline.Steps {
		var in beam.PCollection
		if st.Input >= 0 {
			in = cols[st.Input]
		}
		var err error
		switch o := st.Options.(type) {
		case *intake.Options:
			cols[i], done, err = intake.Studies(s, st.Name, *o, g.Batches, g.Sinks, run)
		case *label.Options:
			cols[i], err = label.Reports(s, st.Name, *o, run, in)
		case *label.TableOptions:
			cols[i], err = label.Table(s, sinks[st.Name], *o, g.Names, run, in, done)
		case *dataset.Options:
			cols[i], err = dataset.Shards(s, sinks[st.Name], *o, g.Names, !hasTable, run, in, done)
		case *train.Options:
			cols[i] = train.Model(s, st.Name, *o, g.Findings, run, in)
		case *train.CommandOptions:
			cols[i] = train.Command(s, st.Name, *o, g.Findings, run, in)
		case *evaluate.LabelsOptions:
			cols[i], err = evaluate.Labels(s, sinks[st.Name], *o, g.Names, run, in, done)
		case *evaluate.ScoreOptions:
			cols[i] = evaluate.Model(s, st.Type, st.Name, evaluate.ZeroShotOptions{ScoreOptions: o.Grouped(own)}, g.Pipeline.embeddings(i), g.Findings, run, in)
		case *evaluate.RetrievalOptions:
			cols[i] = evaluate.Retrieval(s, st.Name, *o, g.Pipeline.embeddings(i), g.Findings, run, in)
		case *evaluate.ZeroShotOptions:
			x := *o
			x.ScoreOptions = o.Grouped(own)
			cols[i] = evaluate.Model(s, st.Type, st.Name, x, g.Pipeline.embeddings(i), g.Findings, run, in)
		case *publish.Options:
			publish.Page(s, st.Name, *o, run, results)
		default:
			err = fmt.Errorf("%s: step type %s has no place in a graph", st.Name, st.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d:%d: %w", g.Pipeline.File, st.Line, st.Column, err)
		}
		if i > 0 && cols[i].IsValid() && cols[i].Type().Type() != batchType {
			// One small element: a shuffle here lets it reach every reader before the next step, which may take hours, ends.
			cols[i] = beam.Reshuffle(s, cols[i])
			results = append(results, cols[i])
		}
	}
	return p, nil
}
