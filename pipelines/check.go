package pipelines

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"silverbeam/schemas"
	"silverbeam/transforms/evaluate"
	"silverbeam/transforms/train"

	"github.com/goccy/go-yaml/ast"
)

// draft is a step while it is read.
type draft struct {
	Step
	typ    *Type // nil: unknown, so that nothing more is said of it
	at     ast.Node
	keys   map[string]entry
	config map[string]entry
}

// steps reads the chain and checks each step and how they hang together.
func (r *reader) steps(nodes []ast.Node) []Step {
	drafts := make([]*draft, len(nodes))
	for i, n := range nodes {
		drafts[i] = r.step(n)
	}
	r.unique(drafts)
	out := make([]Step, len(drafts))
	for i, d := range drafts {
		d.Input = r.input(drafts, i)
		r.named(drafts[:i], d)
		r.evaluates(drafts, d)
		out[i] = d.Step
	}
	return out
}

// step reads one entry of transforms on its own.
func (r *reader) step(n ast.Node) *draft {
	d := &draft{at: n}
	d.Line, d.Column = place(n)
	list, ok := entries(n)
	if !ok {
		d.Name = "pipeline"
		r.bad(n, d.Name, "", "a step is a mapping with the keys name, type, input, config; this is %s", has(n))
		return d
	}
	d.Name = stepName(list)
	d.keys = r.keys(d.Name, list, "name", "type", "input", "config")
	r.name(d.Name, d.keys["name"], "")
	r.findType(d)
	config := d.keys["config"].value
	fields, _ := entries(config)
	d.config = map[string]entry{}
	for _, e := range fields {
		d.config[e.key] = e
	}
	if d.typ != nil {
		d.Options = d.typ.New()
		r.decode(d.Name, config, n, d.Options)
		return d
	}
	r.references(d.Name, config)
	return d
}

// stepName is the step's name, or its type's: what messages call it.
func stepName(list []entry) string {
	name := "step"
	for _, key := range []string{"type", "name"} {
		for _, e := range list {
			if s, ok := e.value.(*ast.StringNode); ok && e.key == key && s.Value != "" {
				name = s.Value
			}
		}
	}
	return name
}

func (r *reader) findType(d *draft) {
	e := d.keys["type"]
	if empty(e.value) {
		r.bad(d.at, d.Name, "", "a step needs a type")
		return
	}
	s, ok := e.value.(*ast.StringNode)
	if !ok {
		r.bad(e.value, d.Name, "", "type: wants text, has %s", has(e.value))
		return
	}
	d.Type = s.Value
	if d.typ = Find(r.known, s.Value); d.typ == nil {
		var names []string
		for _, t := range r.known {
			names = append(names, t.Type)
		}
		r.bad(e.value, d.Name, Nearest(s.Value, names), "unknown type %q", clip(s.Value))
	}
}

// references looks for unknown parameters where a step's type, and so its options, are unknown.
func (r *reader) references(step string, n ast.Node) {
	if list, ok := entries(n); ok {
		for _, e := range list {
			r.references(step, e.value)
		}
	} else if seq, ok := n.(*ast.SequenceNode); ok {
		for _, e := range seq.Values {
			r.references(step, e)
		}
	} else {
		r.scalar(n, step)
	}
}

func (r *reader) unique(drafts []*draft) {
	first := map[string]*draft{}
	for _, d := range drafts {
		if d.keys == nil {
			continue
		}
		if f := first[d.Name]; f != nil {
			at := d.keys["name"].value
			if empty(at) {
				at = d.at
			}
			r.bad(at, d.Name, "", "duplicate name %q: the step at line %d has it", d.Name, f.Line)
			continue
		}
		first[d.Name] = d
	}
}

// input finds the step whose output step i takes, and checks that it can take it.
func (r *reader) input(drafts []*draft, i int) int {
	d := drafts[i]
	e := d.keys["input"]
	from := i - 1
	if !empty(e.value) {
		name, ok := r.scalarName(d, e)
		if !ok {
			return -1
		}
		if from = slices.IndexFunc(drafts[:i], func(x *draft) bool { return x.Name == name }); from < 0 {
			r.unknownStep(d, "input", e.value, name, drafts[:i], drafts[i:])
			return -1
		}
	}
	if d.typ == nil {
		return from
	}
	at := d.at
	if !empty(e.value) {
		at = e.value
	}
	switch source := len(d.typ.Takes) == 0; {
	case source && !empty(e.value):
		r.bad(at, d.Name, "", "input: %s is a source and takes none", d.Type)
		return -1
	case source && i > 0:
		r.bad(at, d.Name, "", "%s is a source, and a source stands first", d.Type)
		return -1
	case source:
		return -1
	case i == 0:
		r.bad(at, d.Name, "", "%s takes %s, and no step stands above it: a chain begins with %s", d.Type, d.typ.takes(), r.sources())
		return -1
	}
	if t := drafts[from].typ; t != nil && !d.typ.accepts(t.Gives) {
		r.bad(at, d.Name, "", "%s takes %s, and %s gives %s", d.Type, d.typ.takes(), drafts[from].Name, t.Gives)
	}
	return from
}

// scalarName reads a key whose value is the name of a step.
func (r *reader) scalarName(d *draft, e entry) (string, bool) {
	s, ok := e.value.(*ast.StringNode)
	if !ok {
		r.bad(e.value, d.Name, "", "%s: wants the name of a step, has %s", e.key, has(e.value))
		return "", false
	}
	return s.Value, true
}

func (r *reader) unknownStep(d *draft, key string, at ast.Node, name string, above, below []*draft) {
	for _, x := range below {
		if x.Name == name {
			r.bad(at, d.Name, "", "%s: %q does not stand above this step", key, name)
			return
		}
	}
	r.bad(at, d.Name, Nearest(name, stepNames(above)), "%s: unknown step %q", key, clip(name))
}

func stepNames(ds []*draft) (names []string) {
	for _, d := range ds {
		names = append(names, d.Name)
	}
	return names
}

// named checks the options of d that name an earlier step.
func (r *reader) named(above []*draft, d *draft) {
	if d.typ == nil {
		return
	}
	for key, kind := range d.typ.Names {
		s, ok := r.peek(d.config[key].value)
		if !ok || s.text == "" {
			continue
		}
		i := slices.IndexFunc(above, func(x *draft) bool { return x.Name == s.text })
		if i < 0 {
			r.unknownStep(d, key, d.config[key].value, s.text, above, []*draft{d})
		} else if t := above[i].typ; t != nil && t.Gives != kind {
			r.bad(d.config[key].value, d.Name, "", "%s: wants a step that gives a %s, and %s gives %s", key, kind, s.text, t.Gives)
		} else if _, trains := d.Options.(*train.Options); trains && foreign(above[i]) {
			r.bad(d.config[key].value, d.Name, "", "%s: %s gives a model of another net: with recipe: supervised it gives one of a supervised train.Model's", key, s.text)
		}
	}
}

// foreign says whether a step gives a model whose net is not known here.
func foreign(d *draft) bool {
	o, ok := d.Options.(*train.CommandOptions)
	return ok && o.Recipe == ""
}

// evaluates says of a step that evaluates a model that it has one that can be.
func (r *reader) evaluates(drafts []*draft, d *draft) {
	switch d.Options.(type) {
	case *evaluate.ScoreOptions, *evaluate.ZeroShotOptions, *evaluate.RetrievalOptions:
		if d.Input >= 0 && foreign(drafts[d.Input]) {
			r.bad(d.at, d.Name, "", "%s gives a model of another net, which cannot be evaluated here: with recipe: supervised it gives one of a supervised train.Model's", drafts[d.Input].Name)
		}
	}
}

// takes lists what a type takes, for a message.
func (t *Type) takes() string {
	var all []string
	for _, k := range t.Takes {
		all = append(all, string(k))
	}
	return strings.Join(all, " or ")
}

func (r *reader) sources() string {
	var all []string
	for _, t := range r.known {
		if len(t.Takes) == 0 {
			all = append(all, t.Type)
		}
	}
	return strings.Join(all, " or ")
}

// At is a problem at step i of a good file that showed only later, while the graph was built.
func (p *Pipeline) At(i int, err error) Problems {
	s := p.Steps[i]
	message := strings.TrimPrefix(err.Error(), fmt.Sprintf("%s: ", s.Name))
	return Problems{{File: p.File, Line: s.Line, Column: s.Column, Step: s.Name, Message: message}}
}

// Dry builds the graph without its input, so that a file that loads is known to run. It opens no connection.
func (p *Pipeline) Dry() error {
	g, err := p.graph([]schemas.Batch{{}}) // one batch: a graph needs an element to know its type
	if err == nil {
		_, err = g.Build(schemas.Run{})
	}
	if err == nil {
		return nil
	}
	var found Problems
	if errors.As(err, &found) {
		return found
	}
	return Problems{{File: p.File, Step: "pipeline", Message: strings.TrimPrefix(err.Error(), p.File+":")}}
}
