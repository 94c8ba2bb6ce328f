// Package pipelines reads pipeline files: a chain of steps in YAML, each of a type in the catalog, with typed options.
//
// Everything that is wrong with a file is reported at once, with line and column, before a graph is built or anything is
// spent. Some files ship within the program and are named without a path.
package pipelines

import (
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

//go:embed *.yaml
var files embed.FS

// Shipped names the files within the program.
var Shipped = []string{"demo", "label-reports", "mps-ct", "evaluate-only"}

// Source is the text of a file that ships.
func Source(name string) ([]byte, error) { return files.ReadFile(name + ".yaml") }

// Pipeline is a file that was read, checked and found good.
type Pipeline struct {
	Name      string            // names the run folder: out/NAME
	File      string            // as given: a path, or the name of a file that ships
	Steps     []Step            // in the file's order
	Tolerance float64           // the share of studies that may be rejected before the run counts as failed; default 0.001
	Digest    string            // hex SHA-256 of the resolved steps, without lines, comments or defaults' spelling
	Params    map[string]string // as the file and Load's caller set them; what comes from the environment stays a reference
}

// Step is one transform of a chain.
type Step struct {
	Name         string
	Type         string
	Input        int // index of the step whose output it takes; -1 for a source
	Options      Options
	Line, Column int
}

// defaultTolerance is what `silverbeam label reports` promises too: one study in a thousand.
const defaultTolerance = 0.001

// Load reads a pipeline by the name of one that ships, or by path. set overrides the file's parameters. Its error is
// Problems, all of them, wherever the file was at fault.
func Load(nameOrFile string, set map[string]string) (*Pipeline, error) {
	src, err := Source(nameOrFile)
	if err != nil {
		src, err = os.ReadFile(nameOrFile)
	}
	if err != nil {
		near := ""
		if !strings.ContainsAny(nameOrFile, `/\.`) {
			near = Nearest(nameOrFile, Shipped)
		}
		return nil, Problems{{File: nameOrFile, Step: "pipeline", Message: "no such file, and none of that name ships: " + strings.Join(Shipped, ", "), Nearest: near}}
	}
	return Read(nameOrFile, src, set, Catalog)
}

// Read is Load for a text, with step types of one's own; file is what messages call it.
func Read(file string, src []byte, set map[string]string, known []Type) (*Pipeline, error) {
	root, err := parse(file, src)
	if err != nil {
		return nil, err
	}
	r := &reader{file: file, known: known}
	p := r.pipeline(root, set)
	if err := r.problems.err(); err != nil {
		return nil, err
	}
	p.Digest, err = digest(p.Steps)
	return p, err
}

var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`) // names become folders

// pipeline reads the top level.
func (r *reader) pipeline(root ast.Node, set map[string]string) *Pipeline {
	list, ok := entries(root)
	if !ok {
		r.bad(root, "pipeline", "", "wants a mapping with the keys name, params, rejects, transforms; has %s", has(root))
		return nil
	}
	top := r.keys("pipeline", list, "name", "params", "rejects", "transforms")
	p := &Pipeline{File: r.file, Tolerance: defaultTolerance}
	r.readParams(top["params"].value, set)
	p.Params = r.shown
	p.Name = r.name("pipeline", top["name"], strings.TrimSuffix(filepath.Base(r.file), ".yaml"))
	p.Tolerance = r.tolerance(top["rejects"].value)
	steps, ok := top["transforms"].value.(*ast.SequenceNode)
	if !ok || len(steps.Values) == 0 {
		at := top["transforms"].at
		if at == nil {
			at = root
		}
		r.bad(at, "pipeline", "", "transforms: wants a list of steps")
		return p
	}
	p.Steps = r.steps(steps.Values)
	return p
}

// keys indexes a mapping by the keys that it may have.
func (r *reader) keys(step string, list []entry, known ...string) map[string]entry {
	got := map[string]entry{}
	for _, e := range list {
		if _, double := got[e.key]; double {
			r.bad(e.at, step, "", "duplicate key %q", e.key)
		}
		got[e.key] = e
		ok := false
		for _, k := range known {
			ok = ok || k == e.key
		}
		if !ok {
			r.bad(e.at, step, Nearest(e.key, known), "unknown key %q", e.key)
		}
	}
	return got
}

// name reads a name that becomes part of a path.
func (r *reader) name(step string, e entry, unset string) string {
	if empty(e.value) {
		return unset
	}
	s, ok := e.value.(*ast.StringNode)
	if !ok {
		r.bad(e.value, step, "", "%s: wants text, has %s", e.key, has(e.value))
		return unset
	}
	if !word.MatchString(s.Value) {
		r.bad(e.value, step, "", "%s: %q: letters, digits, dot, dash and underscore only", e.key, clip(s.Value))
	}
	return s.Value
}

// tolerance reads rejects: {tolerance: 0.1%}, a percentage or a share from 0 to 1.
func (r *reader) tolerance(n ast.Node) float64 {
	if empty(n) {
		return defaultTolerance
	}
	list, ok := entries(n)
	if !ok {
		r.bad(n, "pipeline", "", "rejects: wants a mapping with the key tolerance, has %s", has(n))
		return 0
	}
	e := r.keys("pipeline", list, "tolerance")["tolerance"]
	if empty(e.value) {
		return defaultTolerance
	}
	s, _ := r.scalar(e.value, "pipeline")
	f, err := Tolerance(s.text)
	if err != nil {
		r.bad(e.value, "pipeline", "", "tolerance: %q: %v", clip(s.shown()), err)
	}
	return f
}

// Tolerance reads a share of studies: "0.1%", or a number from 0 to 1.
func Tolerance(text string) (float64, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f >= 0 && f <= 1) {
		return 0, fmt.Errorf("a percentage such as 0.1%%, or a share from 0 to 1")
	}
	return f, nil
}

// digest covers what the steps do, not how the file spells it.
func digest(steps []Step) (string, error) {
	type plain struct {
		Name, Type string
		Input      int
		Options    Options
	}
	var all []plain
	for _, s := range steps {
		all = append(all, plain{s.Name, s.Type, s.Input, s.Options})
	}
	b, err := json.Marshal(all)
	return fmt.Sprintf("%x", sha256.Sum256(b)), err
}
