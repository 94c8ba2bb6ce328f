package label

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/student"
	"silverbeam/pkg/taxonomy"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"
)

// cascade asks its labelers in turn. The first answers every finding; a later one is asked for those alone whose answer
// the one before doubts.
type cascade struct {
	labelers []labeler
	calls    bool // some labeler waits on calls
}

// labeler answers findings of one report, by their place in the taxonomy; those that are not wanted may stay zero. want
// nil is all of them. Its error is taxonomy.NotAssessable or
// llm.Refusal where the report is to blame.
type labeler interface {
	label(ctx context.Context, batch string, s *schemas.Study, want []int) ([]taxonomy.Label, error)
	doubts(taxonomy.Label) bool // an answer of its own
}

// uncertain is the doubt of a labeler whose probabilities are not calibrated.
type uncertain struct{}

func (uncertain) doubts(l taxonomy.Label) bool { return l.State == taxonomy.Uncertain }

type ruleLabeler struct {
	uncertain
	*rules.Labeler
}

func (r ruleLabeler) label(_ context.Context, _ string, s *schemas.Study, _ []int) ([]taxonomy.Label, error) {
	return r.Label(s.Report)
}

type studentLabeler struct{ *student.Student }

func (l studentLabeler) label(_ context.Context, _ string, s *schemas.Study, _ []int) ([]taxonomy.Label, error) {
	return l.Label(s.Report)
}

func (l studentLabeler) doubts(y taxonomy.Label) bool { return l.Doubts(y) }

type llmLabeler struct {
	uncertain
	*llm.Client
	step string
}

func (l llmLabeler) label(ctx context.Context, batch string, s *schemas.Study, want []int) ([]taxonomy.Label, error) {
	return l.Label(ctx, llm.Call{Batch: batch, Step: l.step, Study: s.ID, Report: s.Report, Findings: want})
}

func openCascade(step string, o Options, run schemas.Run) (c cascade, err error) {
	t, err := o.Taxonomy()
	if err != nil {
		return c, err
	}
	r, err := rules.New(t, rules.Options{Convention: o.Convention})
	if err != nil {
		return c, err
	}
	for _, name := range o.Cascade() {
		var l labeler
		file, isStudent := strings.CutPrefix(name, studentPrefix)
		switch {
		case name == "rules":
			l = ruleLabeler{Labeler: r}
		case isStudent:
			s, serr := student.Open(file, t, r)
			l, err = studentLabeler{s}, serr
		case name == "llm":
			client, cerr := batch.Client(o.Client(run), t, run)
			l, err, c.calls = llmLabeler{Client: client, step: step}, cerr, true
		default:
			err = fmt.Errorf("unknown labeler %q", name)
		}
		if err != nil {
			return c, err
		}
		c.labelers = append(c.labelers, l)
	}
	return c, nil
}

// label gives the labels of one report, and the places of those that the last labeler asked still doubts.
func (c cascade) label(ctx context.Context, batch string, s *schemas.Study) (labels []taxonomy.Label, doubted []int, err error) {
	for i, l := range c.labelers {
		if i > 0 && len(doubted) == 0 {
			break
		}
		answer, err := l.label(ctx, batch, s, doubted)
		if i > 0 && errors.As(err, new(llm.Refusal)) {
			if m, ok := l.(llmLabeler); ok && m.Hopeless() != nil {
				return nil, nil, fmt.Errorf("%w; the last: %w", m.Hopeless(), err)
			}
			break // the report keeps what an earlier labeler made of it
		}
		if err != nil {
			return nil, nil, refusal(err)
		}
		if i == 0 {
			labels = answer
			for k := range answer {
				if l.doubts(answer[k]) {
					doubted = append(doubted, k)
				}
			}
			continue
		}
		doubted = slices.DeleteFunc(doubted, func(k int) bool {
			labels[k] = answer[k]
			return !l.doubts(answer[k])
		})
	}
	return labels, doubted, nil
}

// Wants says, without a call, for which findings of a report a model would be asked: by their place, none if nil.
func (o Options) Wants(t *taxonomy.Taxonomy) (func(report string) []int, error) {
	all := make([]int, len(t.Findings))
	for i := range all {
		all[i] = i
	}
	list := o.Cascade()
	at := slices.Index(list, "llm")
	switch at {
	case 0:
		return func(report string) []int {
			if strings.TrimSpace(report) == "" {
				return nil
			}
			return all
		}, nil
	case -1:
		return func(string) []int { return nil }, nil
	}
	o.Labelers, o.Endpoint = list[:at], ""
	before, err := openCascade("", o, schemas.Run{})
	return func(report string) []int {
		_, doubted, err := before.label(context.Background(), "", &schemas.Study{Report: report})
		if err != nil {
			return nil // it leaves before the model's turn
		}
		return doubted
	}, err
}

// refusal turns a report's own fault into a reject; every other error stops the run.
func refusal(err error) error {
	var na taxonomy.NotAssessable
	var no llm.Refusal
	switch {
	case errors.As(err, &na):
		return schemas.Refusal{Class: na.Class, Reason: na.Reason}
	case errors.As(err, &no):
		return schemas.Refusal{Class: no.Class, Reason: no.Reason}
	}
	return err
}

// Book is the run's ledger, opened once in this process for all its steps.
func Book(run schemas.Run) (*ledger.Book, error) { return batch.Book(run) }

// Spent is what the run in a folder has spent, in pico-dollars, if this process keeps its ledger.
func Spent(dir string) (pico int64, ok bool) { return batch.Spent(dir) }

// Notes are what the clients of this process have to tell of its runs, as llm.Client's are.
func Notes() []string { return batch.Notes() }

// Close closes what this process holds for its runs. The runner calls it after the graph has ended.
func Close() error { return batch.Close() }
