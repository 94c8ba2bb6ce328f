package batch

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"silverbeam/schemas"
)

// ErrRejects says that a step refuses so many studies that its run will clearly end above its tolerance.
var ErrRejects = errors.New("too many rejects")

// watched is how many studies the steps of this process have seen, and refused, since their runs began here.
var watched = struct {
	sync.Mutex
	runs map[string]map[string]*seen // run folder → step
}{runs: map[string]map[string]*seen{}}

type seen struct {
	tolerance float64
	studies   atomic.Int64

	mu      sync.Mutex // held while one is refused, so that a run of refusals is counted as it comes
	refused int64
}

// The test begins at so many studies, and stops a run at such odds that the share is twice the tolerated one.
const watchFrom, watchOdds = 200, 1e6

// watching is what the workers of a step watch together; nil: nothing.
func watching(run schemas.Run, step string) *seen {
	if run.Tolerance == 0 {
		return nil
	}
	watched.Lock()
	defer watched.Unlock()
	if watched.runs[run.Dir] == nil {
		watched.runs[run.Dir] = map[string]*seen{}
	}
	s := watched.runs[run.Dir][step]
	if s == nil {
		s = &seen{tolerance: run.Tolerance}
		watched.runs[run.Dir][step] = s
	}
	return s
}

// watch counts one study and, where it was refused, tests whether the step goes on.
func (s *seen) watch(refusal error) error {
	if s == nil {
		return nil
	}
	if refusal == nil {
		s.studies.Add(1)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
	if studies := s.studies.Add(1); excess(studies, s.refused, s.tolerance) {
		return fmt.Errorf("%w: %d of the first %d studies, more than the %.4g %% that the pipeline tolerates; the last: %w",
			ErrRejects, s.refused, studies, 100*s.tolerance, refusal)
	}
	return nil
}

// excess is the sequential probability ratio test of Wald (Annals of Mathematical Statistics 16, 1945) of the share 2t, or
// half way to 1, against t.
func excess(studies, refused int64, t float64) bool {
	more := min(2*t, (1+t)/2)
	odds := float64(refused)*math.Log(more/t) + float64(studies-refused)*math.Log((1-more)/(1-t))
	return studies >= watchFrom && odds > math.Log(watchOdds)
}

// unwatch forgets a run.
func unwatch(dir string) {
	watched.Lock()
	defer watched.Unlock()
	delete(watched.runs, dir)
}
