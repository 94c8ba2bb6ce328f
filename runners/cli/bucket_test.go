package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"silverbeam/pkg/bucket"
	"silverbeam/pkg/shard"

	"gocloud.dev/blob"
)

// These tests run against VersityGW, an S3 server that nobody here wrote: SILVERBEAM_VERSITYGW is its program, which each
// starts for itself. `make test-buckets` builds it.

const bucketKey, bucketSecret = "numbat", "sk-Numbat0123456789"

const bucketPipeline = `
name: bucket
params: {data: data}
rejects: {tolerance: 20%}
transforms:
  - {type: intake.Studies, config: {layout: ct-rate, root: "${data}", batch_rows: 8}}
  - {type: label.Reports}
  - {type: dataset.Shards, config: {preset: demo}}
`

// gateway is a server; its buckets are the folders of dir.
type gateway struct {
	dir, endpoint string
	flags         []string
	cmd           *exec.Cmd
}

// newGateway starts a server that ends with the test.
func newGateway(t *testing.T, dir string, flags ...string) *gateway {
	t.Helper()
	if os.Getenv("SILVERBEAM_VERSITYGW") == "" {
		t.Skip("SILVERBEAM_VERSITYGW names no server")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{dir: dir, endpoint: "http://" + l.Addr().String(), flags: flags}
	l.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", bucketKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", bucketSecret)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	g.start(t)
	t.Cleanup(g.kill)
	return g
}

// start starts the server, or after kill the same one again, and waits until it answers.
func (g *gateway) start(t *testing.T) {
	t.Helper()
	at, log := strings.TrimPrefix(g.endpoint, "http://"), new(strings.Builder)
	g.cmd = exec.Command(os.Getenv("SILVERBEAM_VERSITYGW"), append(append([]string{"--quiet", "--port", at}, g.flags...), "posix", g.dir)...)
	g.cmd.Env, g.cmd.Stdout, g.cmd.Stderr = append(os.Environ(), "ROOT_ACCESS_KEY="+bucketKey, "ROOT_SECRET_KEY="+bucketSecret), log, log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal(log)
}

func (g *gateway) kill() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
}

// url is the program's URL of a place in the bucket scans.
func (g *gateway) url(key string) string { return "s3://scans/" + key + "?endpoint=" + g.endpoint }

// open opens the bucket scans by the library alone.
func (g *gateway) open(t *testing.T) *blob.Bucket {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(g.dir, "scans"), 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := blob.OpenBucket(context.Background(), "s3://scans?use_path_style=true&region=us-east-1&endpoint="+g.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// upload puts what is below a folder below a key.
func (g *gateway) upload(t *testing.T, b *blob.Bucket, dir, key string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		return b.WriteAll(t.Context(), key+"/"+filepath.ToSlash(rel), content, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// scratch lists what a run has left of temporary files.
func (l *lab) scratch(run string) (left []string) {
	filepath.WalkDir(filepath.Join(l.dir, run), func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, ".tmp") {
			left = append(left, path)
		}
		return err
	})
	return left
}

// quiet fails the test if keys of the bucket stand in what a run has left or in text.
func (l *lab) quiet(run, text string) {
	l.Helper()
	filepath.WalkDir(filepath.Join(l.dir, run), func(path string, e fs.DirEntry, err error) error {
		if b, _ := os.ReadFile(path); strings.Contains(string(b), bucketSecret) {
			l.Errorf("%s holds the secret key", path)
		}
		return err
	})
	if strings.Contains(text, bucketSecret) || strings.Contains(text, bucketKey) {
		l.Errorf("it says its key: %s", text)
	}
}

// Reports and volumes in a bucket make the data set that they make in a folder.
func TestBucketInputAgainstVersityGW(t *testing.T) {
	g := newGateway(t, t.TempDir())
	b := g.open(t)
	l := &lab{T: t, dir: t.TempDir()}
	l.write("bucket.yaml", bucketPipeline)
	l.succeed("phantom", "--studies", "24", "--size", "32", "--seed", "3", "--out", "data")
	volumes, _ := filepath.Glob(filepath.Join(l.dir, "data/dataset/train/*/*/*.nii.gz"))
	if err := os.WriteFile(volumes[3], []byte("\x1f\x8b\x08garbage"), 0o644); err != nil {
		t.Fatal(err)
	}
	rel, _ := filepath.Rel(filepath.Join(l.dir, "data"), volumes[3])
	g.upload(t, b, filepath.Join(l.dir, "data/dataset"), "in here/dataset")
	run := func(data, dir string) []string {
		return []string{"run", "bucket.yaml", "--set", "data=" + data, "--run", dir}
	}
	l.succeed(run("data", "local")...)
	said := l.succeed(run(g.url("in here"), "bucket")...)
	l.quiet("bucket", said)
	if got, want := l.report("bucket").Digest, l.report("local").Digest; got != want || got == "" {
		t.Errorf("from a bucket %s, from a folder %s", got, want)
	}
	if left := l.scratch("bucket"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if why := l.succeed("why", "bucket"); !strings.Contains(why, "volume: s3://scans/in here/"+filepath.ToSlash(rel)+": ") {
		t.Errorf("the broken volume is not named: %s", why)
	}
	// What has not changed is not read again; what has, is.
	if said = l.succeed(run(g.url("in here"), "bucket")...); !strings.Contains(said, "24 studies in, 24 out, 0 rejects, 24 done before") {
		t.Errorf("the second run: %s", said)
	}
	vanished, _ := filepath.Rel(filepath.Join(l.dir, "data"), volumes[9])
	if err := b.Delete(t.Context(), "in here/"+filepath.ToSlash(vanished)); err != nil {
		t.Fatal(err)
	}
	if said = l.succeed(run(g.url("in here"), "bucket")...); !strings.Contains(said, "done before") || strings.Contains(said, "24 done before") {
		t.Errorf("the run after one volume vanished: %s", said)
	}
	if rejects, err := os.ReadFile(filepath.Join(l.dir, "bucket/rejects.jsonl")); err != nil || !strings.Contains(string(rejects), "s3://scans/in here/"+filepath.ToSlash(vanished)+": file does not exist") {
		t.Errorf("the vanished volume is not named: %s %v", rejects, err)
	}
}

// bucketRun is a run whose data set goes to a place in the bucket.
func bucketRun(out, dir string, more ...string) []string {
	return append([]string{"run", "bucket.yaml", "--set", "out=" + out, "--run", dir}, more...)
}

func bucketOut(t *testing.T, studies string) *lab {
	l := &lab{T: t, dir: t.TempDir()}
	l.write("bucket.yaml", strings.NewReplacer("{preset: demo}", `{preset: demo, out: "${out}"}`, "{data: data}", `{data: data, out: ""}`).Replace(bucketPipeline))
	l.succeed("phantom", "--studies", studies, "--size", "32", "--seed", "3", "--out", "data")
	return l
}

// A data set in a bucket is the one that a folder would hold; another machine finds what is done; what is damaged is named.
func TestBucketOutputAgainstVersityGW(t *testing.T) {
	g := newGateway(t, t.TempDir())
	b := g.open(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	l := bucketOut(t, "24")
	l.succeed(bucketRun("", "local")...)
	said := l.succeed(bucketRun(g.url("out"), "first")...)
	l.quiet("first", said)
	if got, want := l.report("first").Digest, l.report("local").Digest; got != want || got == "" {
		t.Errorf("the bucket's data set is %s, the folder's %s", got, want)
	}
	for _, name := range []string{"manifest.json", "manifest.parquet", "labels.parquet"} {
		there, err := b.ReadAll(t.Context(), "out/"+name)
		here, herr := os.ReadFile(filepath.Join(l.dir, "first/dataset", name))
		if err != nil || herr != nil || string(there) != string(here) {
			t.Errorf("%s: %v %v, %d bytes there, %d here", name, err, herr, len(there), len(here))
		}
	}
	if said := l.succeed("dataset", "verify", g.url("out")); !strings.Contains(said, "whole: ") || strings.Contains(said, "not in the manifest") {
		t.Errorf("verify: %s", said)
	}
	if got, want := l.succeed("dataset", "inspect", g.url("out")), l.succeed("dataset", "inspect", "first/dataset"); got != want {
		t.Errorf("inspect says of the bucket\n%s\nand of the folder\n%s", got, want)
	}
	before, _ := b.Attributes(t.Context(), "out/manifest.json")
	if said := l.succeed(bucketRun(g.url("out"), "elsewhere")...); !strings.Contains(said, "24 studies in, 24 out, 0 rejects, 24 done before") {
		t.Errorf("another run folder: %s", said)
	}
	if after, err := b.Attributes(t.Context(), "out/manifest.json"); err != nil || after.ETag != before.ETag || !after.ModTime.Equal(before.ModTime) {
		t.Errorf("the same data set was committed again: %v", err)
	}
	l.succeed("dataset", "verify", "elsewhere/dataset")
	// A study that is forgotten is so in the bucket too.
	objects, _ := filepath.Glob(filepath.Join(g.dir, "scans/out/*/*.arrow"))
	l.succeed("forget", "train_1_a", "--run", "elsewhere", "--yes")
	left, _ := filepath.Glob(filepath.Join(g.dir, "scans/out/*/*.arrow"))
	if ok, err := b.Exists(t.Context(), "out/manifest.json"); ok || err != nil || len(left) != len(objects)-1 {
		t.Errorf("forgotten, the bucket has %d of %d shards; its manifest is there: %v %v", len(left), len(objects), ok, err)
	}
	l.succeed(bucketRun(g.url("out"), "elsewhere")...)
	// One bit is not what it was; one object is gone.
	objects, _ = filepath.Glob(filepath.Join(g.dir, "scans/out/*/*.arrow"))
	content, err := os.ReadFile(objects[0])
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 4
	rel := func(object string) string {
		r, _ := filepath.Rel(filepath.Join(g.dir, "scans"), object)
		return "s3://scans/" + r
	}
	if err := b.WriteAll(t.Context(), strings.TrimPrefix(rel(objects[0]), "s3://scans/"), content, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), strings.TrimPrefix(rel(objects[1]), "s3://scans/")); err != nil {
		t.Fatal(err)
	}
	said = l.exits(codeInput, "dataset", "verify", g.url("out"))
	if !strings.Contains(said, rel(objects[0])+": ") || !strings.Contains(said, rel(objects[1])+": file does not exist") || !strings.Contains(said, "2 problems") {
		t.Errorf("of a flipped bit and a lost shard: %s", said)
	}
	// A run makes anew what the bucket has lost.
	l.succeed(bucketRun(g.url("out"), "first")...)
	if ok, err := b.Exists(t.Context(), strings.TrimPrefix(rel(objects[1]), "s3://scans/")); !ok || err != nil {
		t.Errorf("the lost shard is not there again: %v", err)
	}
}

// Killed at any time, also in the commit, the same command leads to the same data set.
func TestBucketKilledAgainstVersityGW(t *testing.T) {
	g := newGateway(t, t.TempDir())
	b := g.open(t)
	l := bucketOut(t, "40")
	l.succeed(bucketRun("", "local")...)
	began := time.Now()
	l.succeed(bucketRun(g.url("whole"), "whole")...)
	took := time.Since(began)
	kills := 0
	for try := range 12 {
		c := l.command(bucketRun(g.url("out"), "killed")...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		if try == 0 { // in the commit: the folder has its manifest, the bucket is about to
			for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if _, err := os.Stat(filepath.Join(l.dir, "killed/dataset/manifest.json")); err == nil {
					break
				}
			}
		} else {
			select {
			case err := <-ended:
				ended <- err
			case <-time.After(time.Duration(rand.Int64N(int64(took)))):
			}
		}
		if c.Process.Kill() == nil {
			kills++
		}
		if <-ended; try == 0 { // then from nothing, so that there is something to kill
			os.RemoveAll(filepath.Join(l.dir, "killed"))
		}
	}
	t.Logf("%d kills; undisturbed it takes %v", kills, took)
	l.succeed(bucketRun(g.url("out"), "killed")...)
	if got, want := l.report("killed").Digest, l.report("local").Digest; got != want {
		t.Errorf("after kills %s, undisturbed %s", got, want)
	}
	if said := l.succeed("dataset", "verify", g.url("out")); strings.Contains(said, "not in the manifest") {
		t.Errorf("orphans after kills: %s", said)
	}
	there, err := b.ReadAll(t.Context(), "out/manifest.json")
	whole, werr := b.ReadAll(t.Context(), "whole/manifest.json")
	if err != nil || werr != nil || string(there) != string(whole) {
		t.Errorf("the manifest after kills is another: %v %v", err, werr)
	}
}

// Of writers who began with the same data set, or none, one wins, and the others' errors name the manifest.
func TestBucketRaceAgainstVersityGW(t *testing.T) {
	g := newGateway(t, t.TempDir())
	b := g.open(t)
	const writers = 8
	var base []byte
	for round := range 3 {
		dirs, errs := make([]string, writers), make([]error, writers)
		for i := range dirs {
			dirs[i] = t.TempDir()
			if _, err := shard.Commit(dirs[i], shard.Manifest{Preset: fmt.Sprint(round, i)}); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for i, dir := range dirs {
			wg.Go(func() { errs[i] = shard.Push(t.Context(), dir, g.url("out"), base) })
		}
		wg.Wait()
		won := -1
		for i, err := range errs {
			switch {
			case err == nil && won < 0:
				won = i
			case err == nil:
				t.Errorf("round %d: writers %d and %d both won", round, won, i)
			case !errors.Is(err, bucket.ErrRaced) || !strings.Contains(err.Error(), "s3://scans/out/manifest.json: another writer was here"):
				t.Errorf("round %d: writer %d: %v", round, i, err)
			}
		}
		if won < 0 {
			t.Fatalf("round %d: nobody won: %v", round, errs)
		}
		mine, _ := os.ReadFile(filepath.Join(dirs[won], "manifest.json"))
		there, err := b.ReadAll(t.Context(), "out/manifest.json")
		if err != nil || string(there) != string(mine) {
			t.Errorf("round %d: the winner's manifest is not there: %v", round, err)
		}
		base = there
	}
}

// A bucket that may not be written to is one line, before or after a batch.
func TestBucketReadOnlyAgainstVersityGW(t *testing.T) {
	dir := t.TempDir()
	newGateway(t, dir).open(t)
	g := newGateway(t, dir, "--readonly")
	l := bucketOut(t, "8")
	said := l.exits(codeProvider, bucketRun(g.url("out"), "run")...)
	if !strings.Contains(said, "s3://scans/out/") || !strings.Contains(said, "access refused: AccessDenied") {
		t.Errorf("of a bucket that is read only: %s", said)
	}
	l.quiet("run", said)
}

// What stands between a run and its bucket is one line that names the bucket, and no key.
func TestBucketErrorsAgainstVersityGW(t *testing.T) {
	g := newGateway(t, t.TempDir())
	g.open(t)
	l := &lab{T: t, dir: t.TempDir()}
	l.write("bucket.yaml", bucketPipeline)
	for _, c := range []struct {
		name, url, says string
		env             [2]string
		code            int
	}{
		{"a wrong secret", g.url("in"), "s3://scans/in: access refused: SignatureDoesNotMatch", [2]string{"AWS_SECRET_ACCESS_KEY", "wrong"}, codeProvider},
		{"an unknown key", g.url("in"), "s3://scans/in: access refused: ", [2]string{"AWS_ACCESS_KEY_ID", "wrong"}, codeProvider},
		{"no keys", g.url("in"), "s3://scans/in: access refused: no keys in the environment", [2]string{"AWS_ACCESS_KEY_ID", ""}, codeProvider},
		{"an empty place", g.url("in"), "no report tables of layout ct-rate under s3://scans/in", [2]string{}, codeInput},
		{"no such bucket", "s3://elsewhere?endpoint=" + g.endpoint, "s3://elsewhere: file does not exist: NoSuchBucket", [2]string{}, codeInput},
		{"no server", "s3://scans/in?endpoint=http://127.0.0.1:1", "s3://scans/in: temporary failure: connect: connection refused", [2]string{}, codeTemporary},
		{"a key in the URL", fmt.Sprintf("s3://%s:%s@scans/in", bucketKey, bucketSecret), `root: "s3://...": keys have no place in a URL`, [2]string{}, codeUsage},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := l.with(t)
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			said := l.exits(c.code, "run", "bucket.yaml", "--set", "data="+c.url, "--run", "run")
			if !strings.Contains(said, c.says) {
				t.Errorf("got %s\nwant %s", said, c.says)
			}
			l.quiet("run", said)
		})
	}
}
