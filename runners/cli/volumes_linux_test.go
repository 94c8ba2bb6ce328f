package cli

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const volumesPipeline = `
name: volumes
transforms:
  - {type: intake.Studies, config: {layout: ct-rate, root: data}}
  - {type: label.Reports}
  - {type: dataset.Shards, config: {preset: demo}}
`

// A data set of SILVERBEAM_VOLUMES volumes or a few more comes out the same when it is killed ten times and started again, and a
// kill costs no volume but those that were being read, one a core: the kernel counts how often their files are opened. Memory
// and cores are told of, not judged. `make test-volumes` prints the figures.
func TestManyVolumes(t *testing.T) {
	n := atoi(os.Getenv("SILVERBEAM_VOLUMES"))
	if n == 0 {
		t.Skip("SILVERBEAM_VOLUMES says of how many volumes")
	}
	l := &lab{T: t, dir: t.TempDir()}
	l.write("kill.yaml", volumesPipeline)
	l.succeed("phantom", "--studies", fmt.Sprint(n*10/16), "--size", "128", "--seed", "3", "--out", "data") // 1.65 volumes a study
	l.undisturbed()
	l.want = l.report("undisturbed")
	opened := l.watch("data", ".nii.gz")
	var again []int
	for len(again) < 10 {
		before := opened()
		if hit, _ := l.strike("killed", l.took/20+rand.N(l.took/20), 9, nil); !hit {
			t.Fatalf("the run was over before kill %d", len(again)+1)
		}
		again = append(again, repeated(before, opened()))
	}
	before := opened()
	l.succeed(l.run("killed")...)
	again = append(again[1:], repeated(before, opened())) // what a kill cost is seen in the attempt after it
	got, made := l.report("killed"), l.want.Steps[2]
	if got.Digest != l.want.Digest || got.Digest == "" {
		t.Errorf("data set %s after ten kills, undisturbed %s", got.Digest, l.want.Digest)
	}
	t.Logf("%d volumes; read again after each of ten kills: %v; at most %d are read at a time", made.In, again, runtime.NumCPU())
	if files := opened(); len(files) != made.In {
		t.Errorf("%d files were opened of %d", len(files), made.In)
	}
	cost := 0 // what one attempt does not come back to before it is killed, a later one reads again
	for k, n := range again {
		if cost += n; cost > (k+1)*runtime.NumCPU() {
			t.Errorf("%d kills cost %d volumes, and %d were being read at each", k+1, cost, runtime.NumCPU())
		}
	}
}

// repeated is how many openings there were of files that had been opened before, or of one twice.
func repeated(before, after map[string]int) (n int) {
	for file, times := range after {
		n += times - max(before[file], 1)
	}
	return n
}

// watch counts how often each file below a folder is opened, of those whose names end so.
func (l *lab) watch(dir, suffix string) (opened func() map[string]int) {
	l.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		l.Fatal(err)
	}
	folders := map[int32]string{}
	err = filepath.WalkDir(filepath.Join(l.dir, dir), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		wd, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN)
		folders[int32(wd)] = path
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	var mu sync.Mutex
	counts := map[string]int{}
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := unix.Read(fd, buf)
			if n <= 0 || err != nil {
				return
			}
			mu.Lock()
			for b := buf[:n]; len(b) > 0; { // inotify(7), struct inotify_event
				size := binary.NativeEndian.Uint32(b[12:])
				name := filepath.Join(folders[int32(binary.NativeEndian.Uint32(b))], strings.TrimRight(string(b[16:16+size]), "\x00"))
				if binary.NativeEndian.Uint32(b[4:])&unix.IN_Q_OVERFLOW != 0 {
					counts["more than the kernel keeps"] += 1 << 20
				} else if strings.HasSuffix(name, suffix) {
					counts[name]++
				}
				b = b[16+size:]
			}
			mu.Unlock()
		}
	}()
	return func() map[string]int {
		for waiting := 1; waiting > 0; time.Sleep(20 * time.Millisecond) {
			if waiting, err = unix.IoctlGetInt(fd, unix.TIOCINQ); err != nil {
				l.Fatal(err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(counts)
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
