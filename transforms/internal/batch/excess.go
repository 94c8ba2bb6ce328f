package batch

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"silverbeam/schemas"
)

// ErrRejects says that a step refuses so many studies that its run will clearly end above its tolerance.
var ErrRejects = errors.New("too many rejects")

// watched is how many studies the steps of this process have seen, and refused, since their runs began here.
var watched = struct {
	sync.Mutex
	runs map[string]map[string]*seen // run folder → step
}{runs: map[string]map[string]*seen{}}

type seen struct{ studies, refused int }

// The test begins at so many studies, and stops a run at such odds that the share is twice the tolerated one.
const watchFrom, watchOdds = 200, 1e6

// watch counts one study and, where it was refused, tests whether the step goes on.
func watch(run schemas.Run, step string, refusal error) error {
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
		s = new(seen)
		watched.runs[run.Dir][step] = s
	}
	s.studies++
	if refusal == nil {
		return nil
	}
	if s.refused++; s.excess(run.Tolerance) {
		return fmt.Errorf("%s: %w: %d of the first %d studies, more than the %.4g %% that the pipeline tolerates; the last: %w",
			step, ErrRejects, s.refused, s.studies, 100*run.Tolerance, refusal)
	}
	return nil
}

// excess is the sequential probability ratio test of Wald (Annals of Mathematical Statistics 16, 1945) of the share 2t, or
// half way to 1, against t.
func (s *seen) excess(t float64) bool {
	more := min(2*t, (1+t)/2)
	odds := float64(s.refused)*math.Log(more/t) + float64(s.studies-s.refused)*math.Log((1-more)/(1-t))
	return s.studies >= watchFrom && odds > math.Log(watchOdds)
}

// unwatch forgets a run.
func unwatch(dir string) {
	watched.Lock()
	defer watched.Unlock()
	delete(watched.runs, dir)
}
