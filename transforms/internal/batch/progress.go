package batch

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Passed counts studies that a step has seen; Refused of them left there.
type Passed struct{ Seen, Refused int64 }

// progress is what this process has passed; it feeds progress lines only, and no result depends on it.
var progress = struct {
	sync.Mutex
	done  map[string]map[string]Passed // run folder → step → studies
	wrote map[string]time.Time
}{done: map[string]map[string]Passed{}, wrote: map[string]time.Time{}}

var host, _ = os.Hostname()

// Tick counts one more study of a step.
func Tick(dir, step string) { tell(dir, step, Passed{Seen: 1}) }

// teller gathers what one worker has passed for some milliseconds: a lock for each report would be the workers' bottleneck.
type teller struct {
	n    Passed
	told time.Time
}

func (t *teller) count(dir, step string, refused bool) {
	if t.n.Seen++; refused {
		t.n.Refused++
	}
	if time.Since(t.told) >= 5*time.Millisecond {
		t.tell(dir, step)
	}
}

func (t *teller) tell(dir, step string) {
	if t.n.Seen > 0 {
		tell(dir, step, t.n)
	}
	*t = teller{told: time.Now()}
}

// tell adds to what a step has passed, and writes the counts to DIR/progress/HOST-PID.json at most once a second.
func tell(dir, step string, more Passed) {
	if dir == "" {
		return
	}
	progress.Lock()
	defer progress.Unlock()
	if progress.done[dir] == nil {
		progress.done[dir] = map[string]Passed{}
	}
	n := progress.done[dir][step]
	progress.done[dir][step] = Passed{n.Seen + more.Seen, n.Refused + more.Refused}
	if time.Since(progress.wrote[dir]) < time.Second {
		return
	}
	progress.wrote[dir] = time.Now()
	p, err := json.Marshal(progress.done[dir])
	path := filepath.Join(dir, "progress", fmt.Sprintf("%s-%d.json", host, os.Getpid()))
	if err == nil && os.MkdirAll(filepath.Dir(path), 0o755) == nil && os.WriteFile(path+".tmp", p, 0o644) == nil {
		_ = os.Rename(path+".tmp", path) // a lost count is no loss
	}
}

// Progress reads what the worker processes of a run have passed, by step. It is a little behind.
func Progress(dir string) map[string]Passed {
	total := map[string]Passed{}
	files, _ := filepath.Glob(filepath.Join(dir, "progress", "*.json"))
	for _, f := range files {
		var one map[string]Passed
		if p, err := os.ReadFile(f); err == nil && json.Unmarshal(p, &one) == nil {
			for step, n := range one {
				total[step] = Passed{total[step].Seen + n.Seen, total[step].Refused + n.Refused}
			}
		}
	}
	return total
}
