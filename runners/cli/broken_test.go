package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/shard"
	"silverbeam/runners/local"
	"silverbeam/schemas"
)

// classes counts a run's rejects by class.
func (l *lab) classes(run string) map[string]int {
	l.Helper()
	var all []refusals
	if err := json.Unmarshal([]byte(l.succeed("why", run, "--json")), &all); err != nil {
		l.Fatal(err)
	}
	n := map[string]int{}
	for _, r := range all {
		n[r.Class] += r.Count
	}
	return n
}

// cells reads a CSV of labels by its first column, which may hold a value twice.
func (l *lab) cells(name string) (ids []string, rows map[string][]string) {
	l.Helper()
	f, err := os.Open(filepath.Join(l.dir, name))
	if err != nil {
		l.Fatal(err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		l.Fatal(err)
	}
	rows = map[string][]string{}
	for _, r := range all[1:] {
		ids = append(ids, r[0])
		rows[r[0]] = r[1:]
	}
	return ids, rows
}

// A row that is broken in any way leaves alone, named by its line; every other row gets the labels it would have had.
func TestBrokenRows(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	l.write("whole.csv", "id,report\n1,No pleural effusion.\n3,Cardiomegaly.\n9,\"Hiatal hernia, \"\"small\"\".\"\n")
	l.write("broken.csv", "id,report\n1,No pleural effusion.\n2,\"Cardiomegaly.\n3,Cardiomegaly.\n4,Cardio\x00megaly.\n5,Cardio\xff\xfemegaly.\n"+
		"6,Cardiomegaly,too,many\n7\n,Cardiomegaly.\n8,"+strings.Repeat("Cardiomegaly. ", 50<<20/14)+"\n9,\"Hiatal hernia, \"\"small\"\".\"\n1,Emphysema.\n")
	l.succeed("label", "reports", "whole.csv", "--out", "whole.out.csv")
	out := l.exits(codeRejects, "label", "reports", "broken.csv", "--out", "broken.out.csv", "--run", "broken", "--evidence", "evidence.jsonl", "--quotes")
	if !strings.Contains(out, "7 of 11 studies rejected") {
		t.Error(out)
	}
	ids, got := l.cells("broken.out.csv")
	if want := []string{"1", "broken.csv:3", "3", "broken.csv:5", "broken.csv:6", "broken.csv:7", "broken.csv:8", "broken.csv:9", "broken.csv:10", "9", "1"}; !slices.Equal(ids, want) {
		t.Errorf("rows %q, want %q", ids, want)
	}
	_, whole := l.cells("whole.out.csv")
	for _, id := range []string{"3", "9"} {
		if !slices.Equal(got[id], whole[id]) {
			t.Errorf("%s: %q, want %q", id, got[id], whole[id])
		}
	}
	if strings.Join(got["broken.csv:5"], "") != "" {
		t.Error("a broken row has labels")
	}
	want := map[string]int{"quote": 1, "nul": 1, "utf8": 1, "fields": 2, "no-id": 1, "too-long": 1}
	if got := l.classes("broken"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("rejects %v, want %v", got, want)
	}
	// An id twice: each row has the evidence of its own report.
	text, err := os.ReadFile(filepath.Join(l.dir, "evidence.jsonl"))
	if lines := strings.Split(strings.TrimSpace(string(text)), "\n"); err != nil || len(lines) != 4 || !strings.Contains(lines[0], `"quote":"No pleural effusion"`) || !strings.Contains(lines[3], `"quote":"Emphysema"`) {
		t.Errorf("evidence:\n%s%v", text, err)
	}
}

// An input that is none is one line with the file's name, exit code 3, and no output.
func TestBrokenInputs(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	for name, want := range map[string][2]string{
		"missing.csv":   {"-", "missing.csv: no such file"},
		"empty.csv":     {"", "the file is empty"},
		"headed.csv":    {"id,report\n", "no rows after the header"},
		"near.csv":      {"id,reprot\n1,x\n", `near.csv:1: no column "report"; the nearest is "reprot"`},
		"twice.csv":     {"id,report,report\n1,x,y\n", `column "report" appears more than once`},
		"utf16.csv":     {"\xff\xfei\x00d\x00", "UTF-16"},
		"empty.jsonl":   {"", "the file is empty"},
		"near.jsonl":    {"{\"id\":1,\"rport\":\"x\"}\n", `no column "report"; the nearest is "rport"`},
		"none.csv.gz":   {"not gzip", "none.csv.gz"},
		"short.csv.gz":  {"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "short.csv.gz"},
		"empty.parquet": {"", "empty.parquet"},
		"table.xlsx":    {"x", "must end in"},
	} {
		t.Run(name, func(t *testing.T) {
			l := l.with(t)
			if want[0] != "-" {
				l.write(name, want[0])
			}
			l.write("out.csv", "mine\n")
			if out := l.exits(codeInput, "label", "reports", name, "--out", "out.csv"); !strings.Contains(out, want[1]) || !strings.Contains(out, name) {
				t.Errorf("%q says nothing of %q", out, want[1])
			}
			if text, _ := os.ReadFile(filepath.Join(l.dir, "out.csv")); string(text) != "mine\n" {
				t.Errorf("the output that was there is now %q", text)
			}
		})
	}
}

// A volume that is broken leaves as a reject with its reason; its siblings and its study's labels stay. One that is mended
// comes in with the next run.
func TestBrokenVolumes(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	l.write("p.yaml", `
transforms:
  - {type: intake.Studies, config: {layout: ct-rate, root: data, batch_rows: 3}}
  - {type: label.Reports}
  - {type: dataset.Shards}
  - {type: label.Table, input: label.Reports}
`)
	l.succeed("phantom", "--studies", "8", "--size", "32", "--out", "data")
	files, _ := filepath.Glob(filepath.Join(l.dir, "data/dataset/*/*/*/*.nii.gz"))
	good := map[string][]byte{}
	for _, f := range files {
		good[f], _ = os.ReadFile(f)
	}
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 0x10; return b }
	}
	reasons := map[string]string{}
	for i, c := range []struct {
		reason string
		damage func([]byte) []byte
	}{
		{"truncated", func(b []byte) []byte { return b[:len(b)/2] }},
		{"a file of 0 bytes that is not NIfTI", func([]byte) []byte { return nil }},
		{"a file of 7 bytes that is not NIfTI", func([]byte) []byte { return []byte("garbage") }},
		{"checksum", flip(-6)},
		{"", flip(500)},
		{"no such file", nil},
	} {
		reasons[strings.TrimSuffix(filepath.Base(files[2*i]), ".nii.gz")] = c.reason
		if c.damage == nil {
			os.Remove(files[2*i])
		} else if err := os.WriteFile(files[2*i], c.damage(bytes.Clone(good[files[2*i]])), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := l.exits(codeRejects, "run", "p.yaml", "--run", "run")
	if !strings.Contains(out, fmt.Sprintf("6 of %d volumes rejected", len(files))) {
		t.Error(out)
	}
	text, err := os.ReadFile(filepath.Join(l.dir, "run/rejects.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for text := range bytes.Lines(text) {
		var r schemas.Reject
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		reason, ok := reasons[r.Study]
		if !ok || !strings.Contains(r.Reason, reason) || !strings.Contains(r.Reason, r.Study) || r.Step != "dataset.Shards" {
			t.Errorf("reject %+v, want %q", r, reason)
		}
		delete(reasons, r.Study)
	}
	if len(reasons) > 0 {
		t.Errorf("not refused: %v", reasons)
	}
	rows := func() (n int) {
		m, err := shard.ReadManifest(filepath.Join(l.dir, "run/dataset"))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range m.Splits {
			for _, b := range s.Batches {
				n += b.Rows
			}
		}
		return n
	}
	if n := rows(); n != len(files)-6 {
		t.Errorf("%d rows, want %d", n, len(files)-6)
	}
	if ids, cells := l.cells("run/dataset/labels.csv"); len(ids) != 8 || strings.Join(cells[ids[0]], "") == "" {
		t.Errorf("labels of %q", ids)
	}
	for f, b := range good {
		if err := os.WriteFile(f, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l.succeed("run", "p.yaml", "--run", "run")
	if n := rows(); n != len(files) {
		t.Errorf("mended: %d rows, want %d", n, len(files))
	}
	l.succeed("run", "p.yaml", "--run", "again")
	for _, kind := range []string{"dataset/train/*.arrow", "dataset/labels/train/*.part"} {
		l.damaged(kind)
	}
	l.damagedTensor()
	if before, after := l.report("run").Digest, l.report("again").Digest; after != before {
		t.Errorf("data set %s, without the damage %s", after, before)
	}
}

// A training that lacks its volumes points to the step that refused them.
func TestNoVolumes(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	l.write("p.yaml", `
transforms:
  - {type: intake.Studies, config: {layout: ct-rate, root: data}}
  - {type: label.Reports}
  - {type: dataset.Shards}
  - {type: train.Model, config: {recipe: supervised}}
`)
	l.succeed("phantom", "--studies", "2", "--size", "32", "--out", "data")
	volumes, _ := filepath.Glob(filepath.Join(l.dir, "data/dataset/*/*/*/*.nii.gz"))
	for _, f := range volumes {
		os.Remove(f)
	}
	want := fmt.Sprintf("dataset.Shards: %d of %d volumes rejected", len(volumes), len(volumes))
	if out := l.exits(codeUsage, "run", "p.yaml", "--run", "run"); !strings.Contains(out, "no studies") || !strings.Contains(out, want) || !strings.Contains(out, "next: silverbeam why run") {
		t.Error(out)
	}
}

// damaged flips a bit of a file that a run has made: it is named, and what to do.
func (l *lab) damaged(kind string) {
	l.Helper()
	files, _ := filepath.Glob(filepath.Join(l.dir, "again", kind))
	text, err := os.ReadFile(files[0])
	if err == nil {
		text[len(text)-40] ^= 1 // of a shard: in its footer, which every opening checks
		err = os.WriteFile(files[0], text, 0o600)
	}
	if err != nil {
		l.Fatal(err)
	}
	if out := l.exits(codeInput, "run", "p.yaml", "--run", "again"); !strings.Contains(out, filepath.Base(files[0])) || !strings.Contains(out, "next: remove the file") {
		l.Error(out)
	}
	if err := os.Remove(files[0]); err != nil {
		l.Fatal(err)
	}
	l.succeed("run", "p.yaml", "--run", "again")
}

// damagedTensor flips a bit of a volume's voxels: opening the data set reads none of them, dataset verify all.
func (l *lab) damagedTensor() {
	l.Helper()
	dir := filepath.Join(l.dir, "again/dataset")
	m, err := shard.ReadManifest(dir)
	if err != nil {
		l.Fatal(err)
	}
	b := m.Splits["train"].Batches[0]
	path := filepath.Join(dir, b.File)
	good, err := os.ReadFile(path)
	if err != nil {
		l.Fatal(err)
	}
	bad := bytes.Clone(good)
	bad[b.Tensors[0].At+b.Tensors[0].Bytes/2] ^= 1
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		l.Fatal(err)
	}
	if out := l.exits(codeInput, "dataset", "verify", "again/dataset"); !strings.Contains(out, filepath.Base(path)) {
		l.Error(out)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		l.Fatal(err)
	}
	l.succeed("dataset", "verify", "again/dataset")
}

// A run whose reports are clearly refused beyond its tolerance is given up long before its end, and costs no more.
func TestGivesUp(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	text := "id,report\n"
	for i := range 1000 {
		text += fmt.Sprintf("%d,Cardiomegaly %d.\n", i, i)
	}
	l.write("in.csv", text)
	label := []string{"label", "reports", "in.csv", "--out", "out.csv", "--run", "run", "--store", "run.db", "--endpoint"}
	out := l.exits(codeRejects, append(label, "fake://rules?pschema=1")...)
	if !strings.Contains(out, "label.Reports: too many rejects: ") || !strings.Contains(out, "the last: schema: ") || !strings.Contains(out, "next: the same command with more --max-rejects") {
		t.Error(out)
	}
	var c ledger.Cost
	if err := json.Unmarshal([]byte(l.succeed("cost", "run", "--json")), &c); err != nil || c.Calls < 200 || c.Calls > 200+255 { // 255: reports under way when the test ends, their calls made or not
		t.Errorf("%d calls for the 200 that the test needs and the 255 under way, %v", c.Calls, err)
	}
	if r := l.report("run"); r.Status != "rejects" || r.Exit != codeRejects {
		t.Errorf("run.json: %s, exit %d", r.Status, r.Exit)
	}
	if _, err := os.Stat(filepath.Join(l.dir, "out.csv")); err == nil {
		t.Error("labels of a part were written")
	}
	l.succeed(append(label, "fake://rules?pschema=0")...)
	if ids, _ := l.cells("out.csv"); len(ids) != 1000 {
		t.Errorf("%d rows", len(ids))
	}
}

// A model asked after the rules costs no rejects when it refuses: where all of its answers are useless, the run stops too.
func TestGivesUpAModelAfterTheRules(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	text := "id,report\n"
	for i := range 1000 {
		text += fmt.Sprintf("%d,Possible pleural effusion %d.\n", i, i)
	}
	l.write("in.csv", text)
	label := []string{"label", "reports", "in.csv", "--out", "out.csv", "--run", "run", "--store", "run.db", "--labelers", "rules,llm", "--endpoint"}
	if out := l.exits(codeProvider, append(label, "fake://rules?pschema=1")...); !strings.Contains(out, "have no answer that can be used; the last: schema: ") {
		t.Error(out)
	}
	var c ledger.Cost
	if err := json.Unmarshal([]byte(l.succeed("cost", "run", "--json")), &c); err != nil || c.Calls < 200 || c.Calls > 200+255 { // 255: reports under way when the test ends, their calls made or not
		t.Errorf("%d calls for the 200 that the test needs and the 255 under way, %v", c.Calls, err)
	}
	l.succeed(append(label, "fake://rules?pschema=0.3")...)
}

// A table that changes under a run ends it; the same command then labels what is there now, from the start.
func TestInputChangesUnderARun(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	var before, after strings.Builder
	fmt.Fprintln(&before, "id,report")
	fmt.Fprintln(&after, "id,report")
	for i := range 60 {
		fmt.Fprintf(&before, "%d,Cardiomegaly %d.\n", i, i)
		fmt.Fprintf(&after, "%d,Emphysema %d....\n", i, i)
	}
	l.write("in.csv", before.String())
	l.write("p.yaml", `
transforms:
  - {type: intake.Studies, config: {layout: table, path: in.csv, batch_rows: 10}}
  - {type: label.Reports, config: {endpoint: "fake://rules?latency_ms=60", in_flight: 5}}
  - {type: label.Table}
`)
	c := l.command("run", "p.yaml", "--run", "run", "--store", "run.db")
	var errs bytes.Buffer
	c.Stderr = &errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Wait() }()
	for s := (&local.State{}); s == nil || s.Done == 0; s, _ = local.Look(filepath.Join(l.dir, "run")) {
		select {
		case <-ended:
			t.Fatalf("ended before its first batch: %s", errs.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	l.write("in.csv", after.String())
	if <-ended; c.ProcessState.ExitCode() != codeInput || !strings.Contains(errs.String(), "in.csv") || !strings.Contains(errs.String(), "changed") {
		t.Errorf("exit code %d: %s", c.ProcessState.ExitCode(), errs.String())
	}
	l.succeed("run", "p.yaml", "--run", "run", "--store", "run.db")
	l.succeed("run", "p.yaml", "--run", "fresh", "--store", "fresh.db")
	a, err := os.ReadFile(filepath.Join(l.dir, "run/dataset/labels.csv"))
	b, _ := os.ReadFile(filepath.Join(l.dir, "fresh/dataset/labels.csv"))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("the labels are not those of a fresh run: %v", err)
	}
}

// Folders and files that this user may not write, or read, are named, with the exit code of a wrong setting or of bad
// input; what is there stays.
func TestForbidden(t *testing.T) {
	l := &lab{T: t, dir: t.TempDir()}
	const nobody = 65534
	program, err := os.Executable()
	if err == nil && os.Getuid() == 0 { // a program and a folder that others can reach
		var text []byte
		if text, err = os.ReadFile(program); err == nil {
			program = filepath.Join(l.dir, "silverbeam")
			err = os.WriteFile(program, text, 0o755)
		}
		err = errors.Join(err, os.Chmod(filepath.Dir(l.dir), 0o755), os.Chmod(l.dir, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		if program, err = exec.LookPath("silverbeam"); err != nil {
			t.Fatal(err)
		}
	}
	l.write("in.csv", "id,report\n1,Cardiomegaly.\n")
	l.write("secret.csv", "id,report\n1,Cardiomegaly.\n")
	for _, d := range []string{"locked", "free"} {
		if err := os.Mkdir(filepath.Join(l.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l.write("locked/labels.csv", "mine\n")
	err = errors.Join(os.Chmod(filepath.Join(l.dir, "locked"), 0o555), os.Chmod(filepath.Join(l.dir, "free"), 0o777), os.Chmod(filepath.Join(l.dir, "secret.csv"), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(l.dir, "locked"), 0o755)
	label := func(more ...string) []string { return append([]string{"label", "reports"}, more...) }
	for name, c := range map[string]struct {
		code int
		want string
		args []string
	}{
		"the run folder":   {2, "run folder: mkdir locked/run: permission denied", label("in.csv", "--out", "free/a.csv", "--run", "locked/run")},
		"the output":       {2, "--out: locked: the folder cannot be written to", label("in.csv", "--out", "locked/labels.csv", "--run", "free/b")},
		"the store":        {2, "locked/s.db", label("in.csv", "--out", "free/c.csv", "--run", "free/c", "--endpoint", "fake://rules", "--store", "locked/s.db")},
		"the input":        {3, "secret.csv: permission denied", label("secret.csv", "--out", "free/d.csv", "--run", "free/d")},
		"phantoms":         {2, "locked/p: permission denied", []string{"phantom", "--studies", "1", "--size", "32", "--out", "locked/p"}},
		"a first pipeline": {2, "locked/i: permission denied", []string{"init", "locked/i"}},
		"a plan":           {2, "locked", []string{"plan", "label-reports", "--set", "in=in.csv", "--run", "free/e", "--out", "locked/plan.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(program, c.args...)
			cmd.Dir, cmd.Env = l.dir, append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(l.dir, "free"))
			if os.Getuid() == 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			}
			out, _ := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() != c.code || strings.Count(string(out), "silverbeam: ") != 1 || !strings.Contains(string(out), c.want) {
				t.Errorf("exit code %d, want %d: %s", cmd.ProcessState.ExitCode(), c.code, out)
			}
		})
	}
	if text, _ := os.ReadFile(filepath.Join(l.dir, "locked/labels.csv")); string(text) != "mine\n" {
		t.Errorf("the file that was there is now %q", text)
	}
}
