package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// CommandName is the type of a step whose model another program trains.
const CommandName = "train.Command"

// CommandOptions is the config block of a train.Command step.
type CommandOptions struct {
	Command []string `yaml:"command"` // the program and its arguments, in which {data}, {out} and {init} stand for the folders of the data set, the model and the initial model; needed
	Files   []string `yaml:"files"`   // files that decide what it makes, such as its script: when one has changed, it runs anew
	Init    string   `yaml:"init"`    // the step whose model it starts from
	Recipe  string   `yaml:"recipe"`  // supervised: what it makes are weights of the net of a supervised train.Model, which evaluations and init then take; default: of a net of its own
	Width   int      `yaml:"width"`   // with recipe: channels of the first stage; default 16
	Stem    int      `yaml:"stem"`    // with recipe: stride and size of the first convolution, 2 or 4 voxels; default 4
	GPU     bool     `yaml:"gpu"`     // it uses the GPU: no other training does meanwhile
}

// Validate names every setting that cannot work.
func (o CommandOptions) Validate() error {
	var errs []error
	bad := func(field string, value any, bound string) {
		errs = append(errs, schemas.FieldError{Field: field, Value: value, Bound: bound})
	}
	if len(o.Command) == 0 || o.Command[0] == "" {
		bad("command", fmt.Sprint(o.Command), "a list of a program and its arguments")
	}
	names := map[string]bool{}
	for _, file := range o.Files {
		if name := filepath.Base(file); names[name] {
			bad("files", file, "files of different names")
		} else {
			names[name] = true
		}
	}
	if o.Init == "" && slices.ContainsFunc(o.Command, func(a string) bool { return strings.Contains(a, "{init}") }) {
		bad("init", "", "a step, where the command has {init}")
	}
	if o.Recipe != "" && o.Recipe != fit.Supervised {
		bad("recipe", o.Recipe, "supervised, or none")
	}
	if o.Recipe == "" && (o.Width != 0 || o.Stem != 0) {
		bad("recipe", o.Recipe, "supervised, where width or stem is given")
	}
	checkTower(o.Width, o.Stem, bad)
	return errors.Join(errs...)
}

// Ready looks for the program and the files that it depends on.
func (o CommandOptions) Ready([]string) error {
	for _, file := range o.Files {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("files: %w", err)
		}
	}
	if _, err := exec.LookPath(o.Command[0]); err != nil {
		return fmt.Errorf("command: %w", err)
	}
	return nil
}

// Command has a program train a model on the run's data set.
func Command(s beam.Scope, name string, o CommandOptions, findings string, run schemas.Run, in beam.PCollection) beam.PCollection {
	s = s.Scope(name)
	t := commander{Name: name, Options: o, Findings: findings, Run: run}
	if in.Type().Type() == shardType {
		return beam.ParDo(s, &commandOnShards{t}, in)
	}
	return beam.ParDo(s, &commandOnModel{t}, in)
}

type commander struct {
	Name     string
	Options  CommandOptions
	Findings string // the taxonomy, by name or file
	Run      schemas.Run
}

func (t commander) emit(ctx context.Context, emit func(schemas.Model)) error {
	return emitted(ctx, t.Run, t.Name, t.train, emit)
}

func (t commander) train(ctx context.Context) (m schemas.Model, err error) {
	tax, err := taxonomy.Load(t.Findings)
	if err != nil {
		return m, err
	}
	folder := filepath.Join(t.Run.Dir, "dataset")
	data, err := shard.Open(folder)
	if err != nil {
		return m, err
	}
	defer data.Close()
	o, rel := t.Options, filepath.Join("models", t.Name)
	c := fit.Command{Args: o.Command, Files: o.Files, Recipe: o.Recipe, Width: o.Width, Stem: o.Stem, GPU: o.GPU}
	if o.Init != "" {
		c.Init = filepath.Join(t.Run.Dir, "models", o.Init)
	}
	res, err := c.Train(ctx, data, folder, tax, filepath.Join(t.Run.Dir, rel))
	return schemas.Model{Step: t.Name, Path: rel, Digest: res.Digest}, err
}

type commandOnShards struct{ T commander }

func (f *commandOnShards) ProcessElement(ctx context.Context, _ schemas.Shard, emit func(schemas.Model)) error {
	return f.T.emit(ctx, emit)
}

type commandOnModel struct{ T commander }

func (f *commandOnModel) ProcessElement(ctx context.Context, _ schemas.Model, emit func(schemas.Model)) error {
	return f.T.emit(ctx, emit)
}

func init() {
	beam.RegisterDoFn(reflect.TypeFor[commandOnShards]())
	beam.RegisterDoFn(reflect.TypeFor[commandOnModel]())
}
