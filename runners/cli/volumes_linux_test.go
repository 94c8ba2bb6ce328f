package cli

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"silverbeam/pkg/volume"
)

const volumesPipeline = `
name: volumes
transforms:
  - {type: intake.Studies, config: {layout: ct-rate, root: data}}
  - {type: label.Reports}
  - {type: dataset.Shards, config: {preset: demo}}
`

// A data set of SILVERBEAM_VOLUMES volumes or a few more comes out the same when it is killed ten times and started again, and a
// kill costs no more volumes than two batches hold. Memory and cores are told of, not judged. `make test-volumes` prints the figures.
func TestManyVolumes(t *testing.T) {
	n := atoi(os.Getenv("SILVERBEAM_VOLUMES"))
	if n == 0 {
		t.Skip("SILVERBEAM_VOLUMES says of how many volumes")
	}
	l := &lab{T: t, dir: t.TempDir()}
	l.write("kill.yaml", volumesPipeline)
	l.succeed("phantom", "--studies", fmt.Sprint(n*10/16), "--size", "96", "--seed", "3", "--out", "data") // 1.65 volumes a study
	l.undisturbed()
	l.want = l.report("undisturbed")
	lost, most := 0, 0
	for kills := 0; kills < 10; {
		hit, _ := l.strike("killed", l.took/20+rand.N(l.took/20), 9, nil)
		if !hit {
			t.Fatalf("the run was over before kill %d", kills+1)
		}
		kills++
		again := l.undone("killed")
		lost, most = lost+again, max(most, again)
	}
	l.succeed(l.run("killed")...)
	got, made := l.report("killed"), l.want.Steps[2]
	if got.Digest != l.want.Digest || got.Digest == "" {
		t.Errorf("data set %s after ten kills, undisturbed %s", got.Digest, l.want.Digest)
	}
	t.Logf("%d volumes; ten kills: %d written twice, %d at one kill at most, and 2 or fewer in each batch under way", made.In, lost, most)
	if batch := 2 * 16; most > 2*batch {
		t.Errorf("a kill cost %d volumes, more than two batches hold", most)
	}
}

// undisturbed runs to the end and tells of memory and cores.
func (l *lab) undisturbed() {
	c := l.command(l.run("undisturbed")...)
	began := time.Now()
	if err := c.Start(); err != nil {
		l.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	var mib []int
	for running := true; running; {
		select {
		case err := <-ended:
			if running = false; err != nil {
				l.Fatal(err)
			}
		case <-time.After(100 * time.Millisecond):
			mib = append(mib, resident(c.Process.Pid))
		}
	}
	l.took = time.Since(began)
	user, system := c.ProcessState.UserTime().Seconds(), c.ProcessState.SystemTime().Seconds()
	var tenths []int
	for i := range 10 {
		top := 0
		for _, m := range mib[i*len(mib)/10 : (i+1)*len(mib)/10] {
			top = max(top, m)
		}
		tenths = append(tenths, top)
	}
	l.Logf("%.1f s, %.1f CPU s (%.1f of them user): %.0f %% of 2 cores; peak MiB in the tenths of the run: %v",
		l.took.Seconds(), user+system, user, 50*(user+system)/l.took.Seconds(), tenths)
}

// resident is a process's memory in MiB.
func resident(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, after, _ := bytes.Cut(b, []byte("VmRSS:"))
	kib, _ := strconv.Atoi(strings.TrimSpace(string(after[:max(0, bytes.IndexByte(after, 'k'))])))
	return kib >> 10
}

// undone are the tensors in files of a killed run that were not finished.
func (l *lab) undone(name string) (n int) {
	p, err := volume.PresetByName("demo")
	if err != nil {
		l.Fatal(err)
	}
	_ = filepath.WalkDir(filepath.Join(l.dir, name, "dataset"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, ".arrow.tmp") {
			if i, err := e.Info(); err == nil {
				n += int(i.Size()) / (2 * p.Len())
			}
		}
		return nil
	})
	return n
}
