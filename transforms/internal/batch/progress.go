package batch

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// progress is what this process has passed; it feeds progress lines only, and no result depends on it.
var progress = struct {
	sync.Mutex
	done  map[string]map[string]int64 // run folder → step → studies
	wrote map[string]time.Time
}{done: map[string]map[string]int64{}, wrote: map[string]time.Time{}}

// tick counts n more studies of a step, and writes the counts to DIR/progress/PID.json at most once a second.
func tick(dir, step string, n int64) {
	if dir == "" {
		return
	}
	progress.Lock()
	defer progress.Unlock()
	if progress.done[dir] == nil {
		progress.done[dir] = map[string]int64{}
	}
	progress.done[dir][step] += n
	if time.Since(progress.wrote[dir]) < time.Second {
		return
	}
	progress.wrote[dir] = time.Now()
	p, err := json.Marshal(progress.done[dir])
	path := filepath.Join(dir, "progress", fmt.Sprintf("%d.json", os.Getpid()))
	if err == nil && os.MkdirAll(filepath.Dir(path), 0o755) == nil && os.WriteFile(path+".tmp", p, 0o644) == nil {
		_ = os.Rename(path+".tmp", path) // a lost count is no loss
	}
}

// Progress reads what the worker processes of a run have passed, by step. It is a little behind.
func Progress(dir string) map[string]int64 {
	total := map[string]int64{}
	files, _ := filepath.Glob(filepath.Join(dir, "progress", "*.json"))
	for _, f := range files {
		var one map[string]int64
		if p, err := os.ReadFile(f); err == nil && json.Unmarshal(p, &one) == nil {
			for step, n := range one {
				total[step] += n
			}
		}
	}
	return total
}
