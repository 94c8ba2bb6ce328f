package cli

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// small mounts a disk of so many KiB at a folder of the lab; grow gives it room.
func (l *lab) small(name string, kib int) (grow func()) {
	l.Helper()
	dir := filepath.Join(l.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		l.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		l.Skip("no small disk can be mounted here: ", err)
	}
	l.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return func() {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=400m"); err != nil {
			l.Fatal(err)
		}
	}
}

// A full disk, whatever lies on it, ends a run with one line and exit code 75. What is there stays, and with room the same
// command goes on to what a run on a large disk gives.
func TestFullDisk(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	l.write("kill.yaml", killPipeline)
	l.write("prices.csv", killPrices)
	l.succeed("phantom", "--studies", "12", "--size", "32", "--seed", "3", "--out", "data")
	l.succeed(l.run("roomy", "--set", "latency=0")...)
	l.want = l.report("roomy")
	for name, kib := range map[string]int{"graph": 4, "ledger": 120, "first shard": 700, "later shards": 15_000, "store": 60} {
		t.Run(name, func(t *testing.T) {
			l := l.with(t)
			dir := "disk " + name
			grow := l.small(dir, kib)
			args := []string{"run", "kill.yaml", "--set", "latency=0", "--run", dir + "/run", "--store", "store of " + name + ".db"}
			if name == "store" {
				args[5], args[7] = name+" run", dir+"/store.db"
			}
			for range 2 { // it stays full
				l.exits(codeTemporary, args...)
			}
			grow()
			l.succeed(args...)
			if r := l.report(args[5]); r.Digest != l.want.Digest || r.Status != "done" {
				t.Errorf("data set %s, %s; with room %s", r.Digest, r.Status, l.want.Digest)
			}
		})
	}
	t.Run("output", func(t *testing.T) {
		l := l.with(t)
		text := []byte("id,report\n")
		for i := range 2000 {
			text = fmt.Appendf(text, "%d,Cardiomegaly.\n", i)
		}
		l.write("in.csv", string(text))
		grow := l.small("disk", 16)
		l.write("disk/labels.csv", "mine\n")
		label := []string{"label", "reports", "in.csv", "--run", "labels", "--out", "disk/labels.csv"}
		l.exits(codeTemporary, label...)
		if text, _ := os.ReadFile(filepath.Join(l.dir, "disk/labels.csv")); string(text) != "mine\n" {
			t.Errorf("the file that was there is now %.40q", text)
		}
		phantom := []string{"phantom", "--studies", "2", "--size", "32", "--out", "disk/data"}
		l.exits(codeTemporary, phantom...)
		grow()
		l.succeed(label...)
		l.succeed(phantom...)
		l.succeed("phantom", "--studies", "2", "--size", "32", "--out", "whole")
		for _, f := range []string{"truth.jsonl", "dataset/train/train_1/train_1_a/train_1_a_1.nii.gz"} {
			a, err := os.ReadFile(filepath.Join(l.dir, "disk/data", f))
			b, _ := os.ReadFile(filepath.Join(l.dir, "whole", f))
			if err != nil || !bytes.Equal(a, b) {
				t.Errorf("%s is another: %v", f, err)
			}
		}
	})
	t.Run("flink", func(t *testing.T) {
		l, jar := l.with(t), bytes.Repeat([]byte("jar"), 100_000)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(jar) }))
		defer server.Close()
		l.write("jars.txt", fmt.Sprintf("%s\n%x %d org/apache/flink/flink-runtime/1.19.9/flink-runtime-1.19.9.jar\n", server.URL, sha256.Sum256(jar), len(jar)))
		l.write("java", "#!/bin/sh\necho 'openjdk version \"17.0.1\"'\n")
		if err := os.Chmod(filepath.Join(l.dir, "java"), 0o755); err != nil {
			t.Fatal(err)
		}
		grow := l.small("cache", 64)
		t.Setenv("XDG_CACHE_HOME", filepath.Join(l.dir, "cache"))
		t.Setenv("JAVA_HOME", "")
		t.Setenv("PATH", l.dir+":"+os.Getenv("PATH"))
		run := l.run("on flink", "--runner", "flink", "--flink-jars", "jars.txt")
		if said := l.exits(codeTemporary, run...); !strings.Contains(said, "silverbeam: flink: flink-runtime-1.19.9.jar: ") || !strings.Contains(said, "no space left on device") {
			t.Error(said)
		}
		if left, _ := filepath.Glob(filepath.Join(l.dir, "cache/silverbeam/*/*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		grow() // then the jars are whole, and what is no Java ends at once
		if said := l.exits(codeUsage, run...); !strings.Contains(said, "the jobmanager ended at once") {
			t.Error(said)
		}
	})
}
