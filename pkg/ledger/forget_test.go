package ledger

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"silverbeam/pkg/taxonomy"
)

// onDisk gives all bytes of a database's files: SQLite's with its logs, or those of Postgres's tables.
func onDisk(t *testing.T, d *database, tables ...string) (all []byte) {
	t.Helper()
	if !d.shared {
		files, _ := filepath.Glob(d.path + "*")
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
	if _, err := d.db.Exec(`CHECKPOINT`); err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		var b []byte
		if err := d.db.QueryRow(`SELECT pg_read_binary_file(pg_relation_filepath('` + table + `'))`).Scan(&b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// What is forgotten is in no file, not even in what the database has set free; what is not stays.
func TestStoreForgets(t *testing.T) {
	onBoth(t, func(t *testing.T, place string) {
		s, err := OpenStore(place)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var ids []Identity
		for i := range 300 { // several pages
			ids = append(ids, s.Identity("report", string(rune(i))))
			if err := s.Put(ids[i], Answer{Findings: []FindingID{{1}}, Labels: []taxonomy.Label{{P: .5}}, Model: "m", CostPico: 7}); err != nil {
				t.Fatal(err)
			}
		}
		gone, stays := ids[100:200], append(ids[:100:100], ids[200:]...)
		if before := onDisk(t, s.d, "calls"); !bytes.Contains(before, gone[0][:]) || !bytes.Contains(before, gone[0][16:]) {
			t.Fatal("the bytes to look for are not there before")
		}
		if n, err := s.Has(gone); err != nil || n != 100 {
			t.Fatal(n, err)
		}
		if err := s.Forget(gone, nil); err != nil {
			t.Fatal(err)
		}
		after := onDisk(t, s.d, "calls")
		for _, id := range gone {
			if bytes.Contains(after, id[:16]) || bytes.Contains(after, id[16:]) {
				t.Fatal("an answer is still on the disk")
			}
		}
		if n, err := s.Has(ids); err != nil || n != 200 {
			t.Error(n, err)
		}
		if !bytes.Contains(after, stays[150][:]) {
			t.Error("what was to stay is not on the disk")
		}
		if err := s.Forget(gone, nil); err != nil {
			t.Error("again:", err)
		}
	})
}

func TestStoreForgetsWhileItIsRead(t *testing.T) {
	place := filepath.Join(t.TempDir(), "results.db")
	s, err := OpenStore(place)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := s.Identity("a")
	if err := s.Put(id, Answer{Findings: []FindingID{{1}}, Labels: []taxonomy.Label{{}}, Model: "m", CostPico: 1}); err != nil {
		t.Fatal(err)
	}
	r, err := ReadStore(place)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	tx, err := r.d.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM calls`).Scan(&n); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if _, err := s.d.db.Exec(`PRAGMA busy_timeout = 1`); err != nil {
		t.Fatal(err)
	}
	s.d.db.SetMaxOpenConns(1)
	if err := s.Forget([]Identity{id}, nil); !errors.Is(err, ErrBusy) {
		t.Errorf("the log cannot have been emptied: %v", err)
	}
	tx.Rollback()
	if err := s.Forget([]Identity{id}, nil); err != nil || bytes.Contains(onDisk(t, s.d), id[:]) {
		t.Error(err)
	}
}

// The sums of a ledger stay to the pico-dollar; study, report, questions, labels and the provider's ids go.
func TestCostOutlivesForgetting(t *testing.T) {
	bookOnBoth(t, func(t *testing.T, b *Book, path string) {
		labels := []taxonomy.Label{{State: taxonomy.Present, P: .9, From: 7_700_777}}
		named := func(batch, study, report string) Intent {
			in := intent(batch, study, 0)
			copy(in.Identity[:], "question-"+report)
			copy(in.Report[:], "text-"+report)
			return in
		}
		try(t, b, named("b1", "Wallaby", "A"), Outcome{Kind: Schema, RequestID: "req-1", Usage: &Usage{Input: 9, Output: 2}, CostPico: pico(30)})
		try(t, b, named("b1", "Wallaby", "A"), Outcome{Kind: Answered, RequestID: "req-2", Usage: &Usage{Input: 9, Output: 3}, CostPico: pico(40), Labels: labels})
		try(t, b, named("b1", "Wallaby", "corrected"), Outcome{Kind: Answered, RequestID: "req-3", CostPico: pico(50), Labels: labels}) // in a later round
		try(t, b, named("", "report-0a0b0c", "A"), Outcome{Kind: Answered, RequestID: "req-0", CostPico: pico(5), Labels: labels})      // a pilot's
		try(t, b, named("b1", "Numbat", "N"), Outcome{Kind: Answered, RequestID: "req-4", CostPico: pico(60), Labels: labels})
		if err := errors.Join(b.Spared(named("b2", "Wallaby", "A"), true, 40), b.Spared(named("b2", "Numbat", "N"), true, 60)); err != nil {
			t.Fatal(err)
		}
		reports, err := b.About("Wallaby")
		if err != nil || len(reports) != 1 { // the first text of a batch counts
			t.Fatalf("%q, %v", reports, err)
		}
		kept, err := b.Answers("Wallaby", reports)
		if err != nil || len(kept) < 2 {
			t.Fatalf("%q, %v", kept, err)
		}
		before, rows := costOf(t, path), rowsOf(t, path)
		requests, n, err := b.Forget("Wallaby", reports)
		if err != nil || n != 7 || !reflect.DeepEqual(requests, []string{"req-1", "req-2", "req-3", "req-0"}) {
			t.Errorf("%d rows, %q, %v", n, requests, err)
		}
		if after := costOf(t, path); !reflect.DeepEqual(after, before) {
			t.Errorf("%+v, before %+v; %d and %d distinct", after, before, *after.DistinctReports, *before.DistinctReports)
		}
		if after := rowsOf(t, path); !reflect.DeepEqual(after, rows) {
			t.Errorf("%+v, before %+v", after, rows)
		}
		bytesNow := onDisk(t, b.d, "attempts", "asked")
		for _, gone := range []string{"Wallaby", "report-0a0b0c", "question-A", "question-corrected", "text-A", "text-corrected", "req-1", "req-2", "req-3", "req-0"} {
			if bytes.Contains(bytesNow, []byte(gone)) {
				t.Errorf("%q is still on the disk", gone)
			}
		}
		for _, stays := range []string{"Numbat", "question-N", "text-N", "req-4"} {
			if !bytes.Contains(bytesNow, []byte(stays)) {
				t.Errorf("%q is gone", stays)
			}
		}
		b.paid = true
		for _, id := range kept {
			if a, err := b.Paid(id); err != nil || len(a) > 0 {
				t.Error("a forgotten answer comes back:", a, err)
			}
		}
		if again, err := b.About("Wallaby"); err != nil || len(again) > 0 {
			t.Error(again, err)
		}
	})
}

func rowsOf(t *testing.T, path string) []CostRow {
	t.Helper()
	rows, err := ReadRows(path)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// A line at a provider is not forgotten: its answer would find nobody.
func TestCostOfAJobIsNotForgotten(t *testing.T) {
	bookOnBoth(t, func(t *testing.T, b *Book, path string) {
		in := intent("b1", "Wallaby", 1)
		if err := b.BeginJob(context.Background(), Job{ID: 1, Question: []byte("q"), State: JobOpen}, []Line{{Intent: in}}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Answers("Wallaby", nil); !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
		b.Close()
		if err := Remove(path); !errors.Is(err, ErrJobs) {
			t.Error("a ledger whose jobs are at the provider is removed:", err)
		}
	})
}

// A ledger goes whole, and not while another process is at it.
func TestStoreRemovesALedger(t *testing.T) {
	onBoth(t, func(t *testing.T, place string) {
		path := filepath.Join(t.TempDir(), "ledger.db")
		if err := Remove(path); err != nil {
			t.Error("there is none:", err)
		}
		if err := Share(path, place); err != nil {
			t.Fatal(err)
		}
		b, err := OpenBook(path)
		if err != nil {
			t.Fatal(err)
		}
		try(t, b, intent("b", "s", 1), Outcome{Kind: Cut})
		if err := Remove(path); !errors.Is(err, ErrBusy) {
			t.Error("while it is held:", err)
		}
		if c := costOf(t, path); c.Attempts != 1 {
			t.Errorf("%+v", c)
		}
		d, location := b.d, b.d.path
		b.Close()
		if err := Remove(path); err != nil {
			t.Fatal(err)
		}
		if d.shared {
			d, err := openReader(place)
			if err != nil {
				t.Fatal(err)
			}
			defer d.db.Close()
			note, _ := placed(path)
			_, schema, _ := parsePostgres(note)
			var n int
			if err := d.db.QueryRow(`SELECT count(*) FROM pg_namespace WHERE nspname=?`, schema).Scan(&n); err != nil || n > 0 {
				t.Errorf("%s is there: %d, %v", schema, n, err)
			}
		} else if _, err := os.Stat(location); err == nil {
			t.Error("the file is there")
		}
	})
}
