package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"
	"silverbeam/pkg/taxonomy"
)

// Two runs know Wallaby9: one that asked a model, one of the rules alone. A third has refused it. The canary is its id, in
// every file but the input and what the user had written elsewhere.
func forgetting9(t *testing.T, store string) program {
	p := newProgram(t)
	p.env = append(p.env, "XDG_STATE_HOME="+p.dir)
	var b strings.Builder
	b.WriteString("id,report\n")
	for i := range 10 {
		fmt.Fprintf(&b, "Wallaby%d,Wallabytext: a nodule of %d mm. No pleural effusion.\n", i, i+1)
	}
	p.write("in.csv", b.String())
	p.write("refused.csv", "id,report\nWallaby9,\nKoala1,No pleural effusion.\n")
	p.write("without.csv", strings.Replace(b.String(), "Wallaby9,Wallabytext: a nodule of 10 mm. No pleural effusion.\n", "", 1))
	p.run(0, "label reports in.csv --out out.csv --endpoint fake://rules?seed=1&pschema=0.3 --batch-rows 4 --run out/asked"+store)
	p.run(0, "label reports in.csv --out out.csv --batch-rows 5 --run out/rules"+store)
	p.run(1, "label reports refused.csv --out out.csv --run out/refused"+store)
	return p
}

// found lists the files below a folder that hold a text.
func (p program) found(dir, text string) (files []string) {
	err := filepath.WalkDir(p.path(dir), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(text)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		p.Fatal(err)
	}
	return files
}

func TestForgetLeavesNothing(t *testing.T) {
	p := forgetting9(t, "")
	for _, run := range []string{"asked", "rules", "refused"} {
		if len(p.found("out/"+run, "Wallaby9")) == 0 {
			t.Fatalf("%s does not know it before", run)
		}
	}
	before := p.cost("out/asked")
	p.run(2, "forget Wallaby9") // nobody says yes
	p.run(3, "forget Wallaby10 --yes")
	if len(p.found("out/asked/dataset", "Wallaby9")) == 0 {
		t.Fatal("it was removed unasked")
	}
	said, _ := p.run(0, "forget Wallaby9 --yes")
	if !strings.Contains(said, "forgotten  1 answer in the results store, ") || !strings.Contains(said, " in 3 run folders; ") {
		t.Error(said)
	}
	if left := p.found("out", "Wallaby9"); len(left) > 0 {
		t.Errorf("it is still in %q", left)
	}
	if after := p.cost("out/asked"); after.Spent != before.Spent || after.Calls != before.Calls || after.Attempts != before.Attempts || after.Reports != before.Reports {
		t.Errorf("%+v, before %+v", after, before)
	}
	if said, _ := p.run(0, "status out/rules"); !strings.HasPrefix(said, "interrupted") {
		t.Error(said)
	}
	p.run(3, "forget Wallaby9 --yes")
	os.Rename(p.path("without.csv"), p.path("in.csv"))
	p.run(0, "label reports in.csv --out out.csv --endpoint fake://rules?seed=1&pschema=0.3 --batch-rows 4 --run out/asked")
	if c := p.cost("out/asked"); c.Calls != before.Calls || c.Spent != before.Spent {
		t.Errorf("what is left was paid for again: %+v", c)
	}
	if out, _ := os.ReadFile(p.path("out.csv")); bytes.Count(out, []byte("Wallaby")) != 9 || len(p.found("out", "Wallaby9")) > 0 {
		t.Errorf("%s", out)
	}
}

// The store's answer goes only with the ledger that leads to it, and only from the store that has it.
func TestForgetFindsTheAnswers(t *testing.T) {
	p := forgetting9(t, "")
	p.run(0, "label reports in.csv --out out.csv --endpoint fake://rules?seed=1&pschema=0.3 --batch-rows 4 --run out/again")
	_, said := p.run(3, "forget Wallaby9 --run out/again --yes")
	if !strings.Contains(said, "paid for by another run") {
		t.Error(said)
	}
	p.run(0, "label reports refused.csv --out o.csv --endpoint fake://rules --run out/other --store other.db --max-rejects 99%")
	if _, said := p.run(3, "forget Wallaby9 --run out/asked --store other.db --yes"); !strings.Contains(said, "name theirs with --store") {
		t.Error(said)
	}
	if said, _ := p.run(0, "forget Wallaby9 --run out/again --run out/asked --yes"); !strings.HasPrefix(said, "forgotten  1 answer in") {
		t.Error(said)
	}
	if left := append(p.found("out/again", "Wallaby9"), p.found("out/asked", "Wallaby9")...); len(left) > 0 {
		t.Errorf("%q", left)
	}
}

// A study's vectors go too, whichever of the runs it is that knows it, and those of other reports stay.
func TestForgetTakesVectors(t *testing.T) {
	p := forgetting9(t, "")
	t.Setenv("XDG_STATE_HOME", p.dir)
	embed := func(run, study string) (attempts int64) {
		tax, err := taxonomy.Load("ctrate-18")
		if err == nil {
			err = os.MkdirAll(p.path(run), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		book, err := ledger.OpenBook(p.path(run + "/ledger.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer book.Close()
		store, err := ledger.OpenStore("")
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		client, err := llm.Open(llm.Options{Endpoint: "fake://rules"}, tax, book, store)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		whole := "Wallabytext: a nodule of 10 mm. No pleural effusion."
		_, err = client.Embed(t.Context(), "train.Fit", []llm.Passage{{Text: whole, Report: whole, Study: study}, {Text: "a nodule of 10 mm.", Report: whole, Study: study}, {Text: "a prompt"}})
		c, cerr := book.Cost()
		if err := errors.Join(err, cerr); err != nil {
			t.Fatal(err)
		}
		return c.Attempts
	}
	embed("out/embedded", "Koala9") // under another name
	p.run(0, "label reports in.csv --out out.csv --endpoint fake://rules?seed=1&pschema=0.3 --batch-rows 4 --run out/again")
	embed("out/again", "Wallaby9")
	if _, said := p.run(3, "forget Wallaby9 --run out/again --yes"); !strings.Contains(said, "paid for by another run") {
		t.Error(said) // though its vectors are there
	}
	if said, _ := p.run(0, "forget Wallaby9 --yes"); !strings.HasPrefix(said, "forgotten  1 answer and 2 vectors in the results store, ") {
		t.Error(said)
	}
	if embed("out/embedded", "Koala9") != 2 {
		t.Error("they were not asked for again")
	}
	if store, err := ledger.OpenStore(p.path("other.db")); err != nil || store.Close() != nil {
		t.Fatal(err)
	}
	if _, said := p.run(3, "forget Koala9 --run out/embedded --store other.db --yes"); !strings.Contains(said, "none of the vectors that the runs had made") {
		t.Error(said)
	}
	if said, _ := p.run(0, "forget Koala9 --run out/embedded --yes"); !strings.HasPrefix(said, "forgotten  0 answers and 2 vectors in the results store, 0 files and its name in 1 run folder; ") {
		t.Error(said)
	}
	if left := p.found("out", "Koala9"); len(left) > 0 {
		t.Errorf("it is still in %q", left)
	}
	if embed("out/other", "s") != 1 {
		t.Error("they were not asked for again, or the prompt was")
	}
}

func TestPurge(t *testing.T) { purges(forgetting9(t, "")) }

func TestPostgresPurge(t *testing.T) {
	server := os.Getenv("SILVERBEAM_POSTGRES")
	if server == "" {
		t.Skip("SILVERBEAM_POSTGRES names no server (make test-postgres)")
	}
	store := fmt.Sprintf(" --store %s?schema=purge_%d", server, os.Getpid())
	p := forgetting9(t, store)
	if said, _ := p.run(0, "forget Wallaby9 --yes"+store); !strings.HasPrefix(said, "forgotten  1 answer in") {
		t.Error(said)
	}
	if left := p.found("out", "Wallaby9"); len(left) > 0 {
		t.Errorf("%q", left)
	}
	purges(p)
}

func purges(p program) {
	p.write("out/rules/mine.txt", "not a run's")
	p.run(3, "purge out/none --yes")
	os.Mkdir(p.path("folder"), 0o755)
	p.write("folder/in.csv", "id,report\n")
	p.run(3, "purge folder --yes")
	p.run(2, "purge asked")
	lock, err := os.Open(p.path("out/asked/run.lock"))
	if err != nil {
		p.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		p.Fatal(err)
	}
	p.run(75, "purge asked --yes")
	p.cost("out/asked")
	lock.Close()
	p.run(0, "purge asked --yes")
	if said, errs := p.run(0, "purge rules --yes"); said != "purged out/rules\n" || !strings.Contains(errs, "mine.txt") {
		p.Error(said, errs)
	}
	p.run(0, "purge refused --yes")
	var left []string
	_ = filepath.WalkDir(p.path("out"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			left = append(left, path)
		}
		return nil
	})
	if len(left) != 1 || filepath.Base(left[0]) != "mine.txt" {
		p.Errorf("left: %q", left)
	}
}

// A folder's data set may be a link to another disk: then what it holds must not stay there unnoticed.
func TestPurgeSeesLinks(t *testing.T) {
	p := forgetting9(t, "")
	if err := os.Rename(p.path("out/rules/dataset"), p.path("elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.path("elsewhere"), p.path("out/rules/dataset")); err != nil {
		t.Fatal(err)
	}
	if _, said := p.run(2, "purge rules --yes"); !strings.Contains(said, "elsewhere") {
		t.Error(said)
	}
	p.cost("out/rules")
}
