// Package label gives every study its findings, from its report, and writes them as a table.
//
// label.Reports takes batches of studies and gives the same studies with Labels filled in, one for each finding of the
// taxonomy. A report that is not the taxonomy's business, or that no labeler can answer, leaves as a reject. An answer
// that was paid for is in the results store before it is used, so a retry or a second run pays for nothing twice.
package label

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"silverbeam/pkg/llm"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/student"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

// ReportsName is the type of the labelling step.
const ReportsName = "label.Reports"

// Labelers are the labelers that a cascade may name; a student's file follows its colon.
var Labelers = []string{"rules", studentPrefix + "FILE", "llm"}

const studentPrefix = "student:"

// Batch is the mode that asks through the provider's batch interface.
const Batch = "batch"

// Options is the config block of a label.Reports step.
type Options struct {
	Findings   string        `yaml:"findings"`    // taxonomy: ctrate-18 (default), radchestct-16, abdomen-12 or a file
	Labelers   []string      `yaml:"labelers"`    // rules, student:FILE, llm, asked in this order until one is sure; an endpoint adds llm at the end; default [rules]
	Convention string        `yaml:"convention"`  // what counts as a finding: ct-rate (default) or clinical
	Endpoint   string        `yaml:"endpoint"`    // base URL of an OpenAI-compatible server, or several with commas between, each with *WEIGHT if not 1; needed by llm
	Model      string        `yaml:"model"`       // needed by llm
	KeyEnv     string        `yaml:"key_env"`     // the environment variable that holds the key; "" sends none
	KeyCommand string        `yaml:"key_command"` // or the command that prints it; run again when the key is no longer good
	Prices     string        `yaml:"prices"`      // price file; default the built-in one
	InFlight   int           `yaml:"in_flight"`   // calls at once in this process; default 64
	RPM        int           `yaml:"rpm"`         // requests a minute, of each endpoint; 0: no limit of ours
	TPM        int           `yaml:"tpm"`         // tokens a minute, of each endpoint; 0: no limit of ours
	Timeout    time.Duration `yaml:"timeout"`     // of one call; default 60s
	Deadline   time.Duration `yaml:"deadline"`    // of one report, retries included; default 10m
	Mode       string        `yaml:"mode"`        // how the model is asked: sync (default), at once, or batch, through the provider's batch interface at its price
	Canary     int           `yaml:"canary"`      // calls between two askings of the canary texts; default 10000, after the first 2000, and none of fakes or of this machine; -1: none
	Send       string        `yaml:"send"`        // of a report: redacted (its statements, identifiers removed), findings or impression (of these, that section), or whole; default redacted unless the endpoint is this machine
}

// Validate names every setting that cannot work. It opens no file and no connection.
func (o Options) Validate() error {
	var errs []error
	bad := func(field string, value any, bound string) {
		errs = append(errs, schemas.FieldError{Field: field, Value: value, Bound: bound})
	}
	for _, l := range o.Labelers {
		if file, ok := strings.CutPrefix(l, studentPrefix); l != "rules" && l != "llm" && (!ok || file == "") {
			bad("labelers", l, "one of "+strings.Join(Labelers, ", "))
		}
	}
	if o.Convention != "" && o.Convention != "ct-rate" && o.Convention != "clinical" {
		bad("convention", o.Convention, "one of ct-rate, clinical")
	}
	if o.Calls() {
		if !llm.Speaks(o.Endpoint) {
			bad("endpoint", o.Endpoint, "an http, https or fake URL, or several, for the labeler llm")
		}
		if o.Model == "" && !strings.HasPrefix(strings.TrimSpace(o.Endpoint), "fake:") {
			bad("model", o.Model, "a model's name, for the labeler llm")
		}
	}
	if o.Mode != "" && o.Mode != "sync" && o.Mode != Batch {
		bad("mode", o.Mode, "one of sync, batch")
	}
	if o.KeyEnv != "" && o.KeyCommand != "" {
		bad("key_command", o.KeyCommand, "empty, beside key_env")
	}
	if o.Send != "" && !slices.Contains(llm.Sends, o.Send) {
		bad("send", o.Send, "one of "+strings.Join(llm.Sends, ", "))
	}
	if o.InFlight < 0 || o.InFlight > 4096 {
		bad("in_flight", o.InFlight, "1 to 4096")
	}
	if o.Canary < -1 {
		bad("canary", o.Canary, "-1 or more")
	}
	if o.RPM < 0 {
		bad("rpm", o.RPM, "0 or more")
	}
	if o.TPM < 0 {
		bad("tpm", o.TPM, "0 or more")
	}
	if o.Timeout < 0 {
		bad("timeout", o.Timeout, "more than 0s")
	}
	if o.Deadline < 0 {
		bad("deadline", o.Deadline, "more than 0s")
	}
	return errors.Join(errs...)
}

// Cascade is the labelers in the order they are asked. An endpoint is never given for nothing: it is asked last where the
// list does not name llm, and alone where there is no list.
func (o Options) Cascade() []string {
	switch {
	case o.Endpoint != "" && !slices.Contains(o.Labelers, "llm"):
		return append(slices.Clip(o.Labelers), "llm")
	case len(o.Labelers) > 0:
		return o.Labelers
	}
	return []string{"rules"}
}

// Calls says whether a model may be called.
func (o Options) Calls() bool { return slices.Contains(o.Cascade(), "llm") }

// AtOnce is how many calls are under way at once.
func (o Options) AtOnce() int { return cmp.Or(o.InFlight, llm.DefaultInFlight) }

// Client is what a client of the endpoint is opened with.
func (o Options) Client(run schemas.Run) llm.Options {
	return llm.Options{Endpoint: o.Endpoint, Model: o.Model, KeyEnv: o.KeyEnv, KeyCommand: o.KeyCommand, InFlight: o.InFlight, RPM: o.RPM, TPM: o.TPM,
		Timeout: o.Timeout, Deadline: o.Deadline, MaxCostPico: run.MaxCostPico, Replay: run.Replay, Prices: o.Prices,
		Canary: o.Canary, Batch: o.Mode == Batch, Spool: run.Dir, Send: o.Send, Egress: filepath.Join(run.Dir, "egress.jsonl")}
}

// Taxonomy loads the findings.
func (o Options) Taxonomy() (*taxonomy.Taxonomy, error) {
	if o.Findings == "" {
		o.Findings = "ctrate-18"
	}
	return taxonomy.Load(o.Findings)
}

// Suits opens every student of the list and the site's policy: a file that is missing, damaged or made for other findings
// or rules is an error, and so is an endpoint, a model or a whole report that the policy forbids.
func (o Options) Suits(t *taxonomy.Taxonomy) error {
	_, err := o.versions(t)
	if err == nil && o.Calls() {
		err = o.Client(schemas.Run{}).Permit()
	}
	return err
}

// versions are the labelers in order, a student by its digest, and last the rules' version.
func (o Options) versions(t *taxonomy.Taxonomy) ([]string, error) {
	r, err := rules.New(t, rules.Options{Convention: o.Convention})
	if err != nil {
		return nil, err
	}
	all := slices.Clone(o.Cascade())
	for i, l := range all {
		if file, ok := strings.CutPrefix(l, studentPrefix); ok {
			s, err := student.Open(file, t, r)
			if err != nil {
				return nil, fmt.Errorf("labelers: %w", err)
			}
			all[i] = studentPrefix + s.Digest()
		}
	}
	return append(all, r.Version()), nil
}

// Identity is the digest of all that decides a label beside the report: findings, labelers and their versions.
func (o Options) Identity() (string, error) {
	t, err := o.Taxonomy()
	if err != nil {
		return "", err
	}
	versions, err := o.versions(t)
	if err != nil {
		return "", err
	}
	id := fmt.Sprint(t.Digest(), versions)
	if o.Calls() {
		id += fmt.Sprint(o.Model, llm.Version, llm.StandIn(o.Endpoint), o.Client(schemas.Run{}).Redaction())
	}
	return fmt.Sprintf("%x", sha256.Sum256([]byte(id))), nil
}

// Reports fills in the findings of every report: PCollection<Batch> → PCollection<Batch>.
func Reports(s beam.Scope, name string, o Options, run schemas.Run, in beam.PCollection) (beam.PCollection, error) {
	return batch.Each(s, name, &reports{Name: name, Options: o}, run, in)
}

func init() { beam.RegisterType(reflect.TypeFor[reports]()) }

type reports struct {
	Name    string
	Options Options

	ask cascade
}

func (r *reports) Open(ctx context.Context, run schemas.Run) (atOnce int, err error) {
	r.ask, err = openCascade(r.Name, r.Options, run)
	if r.ask.calls {
		atOnce = 4*r.Options.AtOnce() - 1 // most are looked up and written down while others are asked
	}
	return atOnce, err
}

// Study labels one report.
func (r *reports) Study(ctx context.Context, s *schemas.Study) (err error) {
	s.Labels, _, err = r.ask.label(ctx, batch.ID(ctx), s)
	return err
}
