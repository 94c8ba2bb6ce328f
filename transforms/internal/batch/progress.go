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

// Tick counts one more study of a step, and writes the counts to DIR/progress/HOST-PID.json at most once a second.
func Tick(dir, step string, refused bool) {
	if dir == "" {
		return
	}
	progress.Lock()
	defer progress.Unlock()
	if progress.done[dir] == nil {
		progress.done[dir] = map[string]Passed{}
	}
	n := progress.done[dir][step]
	if n.Seen++; refused {
		n.Refused++
	}
	progress.done[dir][step] = n
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
