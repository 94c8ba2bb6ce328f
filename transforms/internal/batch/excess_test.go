package batch

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"silverbeam/schemas"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
)

func TestExcess(t *testing.T) {
	for name, c := range map[string]struct {
		studies, refused int64
		tolerance        float64
		want             bool
	}{
		"all, but too early":           {199, 199, .001, false},
		"all":                          {200, 200, .001, true},
		"a tenth":                      {210, 21, .001, true},
		"what is tolerated":            {100_000, 100, .001, false},
		"twice that, seen once":        {500, 1, .001, false},
		"twice that, of very many":     {100_000, 200, .001, true},
		"nothing tolerated, a few":     {1000, 3, 1e-9, false},
		"nothing tolerated, many":      {1000, 20, 1e-9, true},
		"half tolerated, all":          {200, 200, .5, true},
		"all tolerated, all":           {100_000, 100_000, 1, false},
		"a tenth tolerated, a seventh": {300, 43, .1, false},
	} {
		if excess(c.studies, c.refused, c.tolerance) != c.want {
			t.Errorf("%s: %d of %d at %g: %v", name, c.refused, c.studies, c.tolerance, !c.want)
		}
	}
}

// At the tolerated share a run goes on: Wald bounds the chance of a stop by one over the odds.
func TestToleratedRunsAreNotStopped(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		refused := int64(0)
		for studies := range int64(5000) {
			if r.Float64() < .01 {
				refused++
			}
			if excess(studies+1, refused, .01) {
				t.Fatalf("stopped at %d of %d", refused, studies+1)
			}
		}
	}
}

func TestAStepThatRefusesTooMuchGivesUp(t *testing.T) {
	reports := strings.Split(strings.Repeat("refuse,", 999)+"refuse", ",")
	for tolerance, want := range map[float64]error{.001: ErrRejects, 1: nil, 0: nil} {
		dir := t.TempDir()
		for range 2 { // a run that is tried again begins anew
			err := run(t, batchOf(reports...), func(s beam.Scope, in beam.PCollection) error {
				_, err := Each(s, "up", &upper{AtOnce: 4}, schemas.Run{Dir: dir, Tolerance: tolerance}, in)
				return err
			})
			cause := Cause(dir)
			if !errors.Is(cause, want) || (err != nil) != (want != nil) {
				t.Errorf("tolerance %g: %v, cause %v", tolerance, err, cause)
			}
			if cause != nil && !strings.HasPrefix(cause.Error(), "up: too many rejects: 200 of the first 200 studies, more than the 0.1 % that the pipeline tolerates; the last: told: it said so") {
				t.Error(cause)
			}
		}
	}
}
