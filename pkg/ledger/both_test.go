package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"silverbeam/pkg/taxonomy"
)

// onBoth runs a test on SQLite and, where SILVERBEAM_POSTGRES names a server (make test-servers), on Postgres. place is
// the location of a store that nobody has made, its key in a folder of the test's own.
func onBoth(t *testing.T, test func(t *testing.T, place string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "results.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, newSchema(t)) })
}

// bookOnBoth does so with an open ledger.
func bookOnBoth(t *testing.T, test func(t *testing.T, b *Book, path string)) {
	onBoth(t, func(t *testing.T, place string) {
		path := filepath.Join(t.TempDir(), "ledger.db")
		if err := Share(path, place); err != nil {
			t.Fatal(err)
		}
		b, err := OpenBook(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			b.Close()
			dropSchema(t, path)
		})
		test(t, b, path)
	})
}

// dropSchema removes the schema of a ledger, if it has one.
func dropSchema(t *testing.T, path string) {
	location, err := placed(path)
	if err != nil || !isPostgres(location) {
		return
	}
	d, err := openReader(location)
	if err == nil {
		_, schema, _ := parsePostgres(location)
		_, err = d.db.Exec("DROP SCHEMA " + schema + " CASCADE")
		d.db.Close()
	}
	if err != nil {
		t.Error(err)
	}
}

func newSchema(t *testing.T) string {
	server := os.Getenv("SILVERBEAM_POSTGRES")
	if server == "" {
		t.Skip("SILVERBEAM_POSTGRES names no server")
	}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	name := make([]byte, 6)
	rand.Read(name)
	schema := "test_" + hex.EncodeToString(name)
	t.Cleanup(func() {
		db, err := sql.Open("pgx", server)
		if err == nil {
			_, err = db.Exec("DROP SCHEMA IF EXISTS " + schema + " CASCADE")
			db.Close()
		}
		if err != nil {
			t.Error(err)
		}
	})
	return server + "?schema=" + schema
}

// Many put and look up at once: the first answer to a question stays, and every one that was put is found.
func TestStoreConforms(t *testing.T) {
	onBoth(t, func(t *testing.T, place string) {
		if _, err := ReadStore(place); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a store that nobody made: %v", err)
		}
		s, err := OpenStore(place)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		others := []*Store{s, s}
		if isPostgres(place) { // it serves many openers
			if others[1], err = OpenStore(place); err != nil {
				t.Fatal(err)
			}
			defer others[1].Close()
		}
		x, y := FindingID{1}, FindingID{2}
		labels := []taxonomy.Label{{State: taxonomy.Uncertain, P: .25}}
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				s := others[g%2]
				for i := range 40 {
					id := s.Identity(fmt.Sprint(i))
					err := errors.Join(s.Put(id, Answer{Findings: []FindingID{x}, Labels: labels, Model: fmt.Sprint(g), CostPico: int64(g)}), s.Put(id, Answer{Findings: []FindingID{y}, Labels: labels, Model: "m", CostPico: 5}))
					if err != nil {
						t.Error(err)
					}
					if a, err := s.Get(id); err != nil || len(a) != 2 || a[0].Labels[0] != labels[0] {
						t.Error(a, err)
					}
				}
			})
		}
		wg.Wait()
		r, err := ReadStore(place)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if a, err := r.Get(r.Identity("7")); err != nil || len(a) != 2 || fmt.Sprint(a[0].CostPico) != a[0].Model && a[0].Model != "m" {
			t.Error(a, err)
		}
		if err := r.Put(r.Identity("7"), Answer{}); !errors.Is(err, errClosed) {
			t.Errorf("a reader has written: %v", err)
		}
		if a, err := s.Get(s.Identity("none")); err != nil || len(a) != 0 {
			t.Error(a, err)
		}
	})
}

// Of all who want to ask about a report one at a time may, in whatever process; where one dies, another may.
func TestStoreClaims(t *testing.T) {
	onBoth(t, func(t *testing.T, place string) {
		s, err := OpenStore(place)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ctx, id := context.Background(), s.Identity("a")
		_, letGo, err := s.Claim(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if !isPostgres(place) {
			if err := letGo(); err != nil {
				t.Error(err)
			}
			return
		}
		other, err := OpenStore(place)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		short, cancel := context.WithCancel(ctx)
		cancel()
		if _, _, err := other.Claim(short, id); !errors.Is(err, context.Canceled) {
			t.Errorf("two hold one claim: %v", err)
		}
		if _, free, err := other.Claim(short, s.Identity("b")); err != nil || free() != nil {
			t.Errorf("another report: %v", err)
		}
		if err := errors.Join(s.Put(id, Answer{Findings: []FindingID{{1}}, Labels: []taxonomy.Label{{}}, Model: "m", CostPico: 1}), letGo()); err != nil {
			t.Fatal(err)
		}
		if a, _, err := other.Claim(ctx, id); err != nil || len(a) != 1 {
			t.Fatal(err)
		}
		other.Close() // or its process dies
		if _, letGo, err = s.Claim(ctx, id); err != nil || letGo() != nil {
			t.Error(err)
		}
	})
}

// A key is one site's: a second host without it is told, and a password stands in no location.
func TestPostgresLocations(t *testing.T) {
	place := newSchema(t)
	s, err := OpenStore(place)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	if _, err := OpenStore(place); err == nil || !strings.Contains(err.Error(), "site.key: no such file") {
		t.Error(err)
	}
}

func TestPostgresPasswords(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	for bad, want := range map[string]string{"postgres://u:canary@127.0.0.1:1/db": "holds a password", "postgres://127.0.0.1:1/db?password=canary": "holds a password",
		"postgres://127.0.0.1:1/db?schema=a%3Bdrop": "a-z, 0-9 and _", "postgres://127.0.0.1:1/%zz?canary": "cannot be read", "postgres://127.0.0.1:1/db": "127.0.0.1:1"} {
		_, err := OpenStore(bad)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// An export that was written from the bill by hand agrees or differs in what it says; each difference is named.
func TestReconcile(t *testing.T) { bookOnBoth(t, reconcile) }

func reconcile(t *testing.T, b *Book, path string) {
	at := time.Now().UTC().Format(time.DateOnly)
	try(t, b, intent("b1", "s1", 1), Outcome{Kind: Schema, RequestID: "r1", Usage: &Usage{Input: 10, Output: 2, Cached: pico(4)}, CostPico: pico(30_000_000)})
	try(t, b, intent("b1", "s1", 1), Outcome{Kind: Answered, RequestID: "r2", ModelSeen: "m-2026", Usage: &Usage{Input: 10, Output: 3}, CostPico: pico(40_000_000), Labels: []taxonomy.Label{{}}})
	try(t, b, intent("b1", "s2", 2), Outcome{Kind: Answered, Usage: &Usage{Input: 1, Output: 1}, CostPico: pico(1), Labels: []taxonomy.Label{{}}})
	try(t, b, intent("b1", "s3", 3), Outcome{Kind: Cut, RequestID: "r9"})
	for name, c := range map[string]struct {
		file    string
		matched int
		want    string
	}{
		"all agree":          {"request_id,input,cached,output,cost\nr1,10,4,2,0.00003\nr2,10,0,3,0.00004\n,1,,1,0.000000000001\n", 3, "[]"},
		"a cent of a cent":   {"\ufeffrequest_id,cost\nr1,0.000031\nr2,0.00004\n,0.000000000001\n", 2, "[{r1 cost 31000000 30000000}]"},
		"one was cut off":    {"request_id,input\nr1,10\nr2,10\nr9,7\n,1\n", 3, "[{r9 request 1 0} {r9 input 7 0}]"},
		"one is not billed":  {"request_id,output\nr1,2\n,1\n", 2, "[{r2 request 0 1} {r2 output 0 3}]"},
		"by day and model":   {"day,model,input,output,cost\n" + at + ",m,4,1,0.00001\n" + at + ",m,7,2,0.000020000001\n" + at + ",m-2026,10,3,0.00004\n", 2, "[]"},
		"another day's bill": {"model,day,cost\nm,2020-01-01,1\n", 0, "[{2020-01-01 m request 1 0} {2020-01-01 m cost 1000000000000 0} {" + at + " m request 0 1} {" + at + " m cost 0 30000001} {" + at + " m-2026 request 0 1} {" + at + " m-2026 cost 0 40000000}]"},
	} {
		got, matched, err := Reconcile(path, strings.NewReader(c.file))
		if err != nil || matched != c.matched || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, %d matched, %v; want %s", name, got, matched, err, c.want)
		}
	}
	for bad, want := range map[string]string{"": "the first line", "id,cost\n": `column "id"`, "request_id\n": "columns must be", "day,cost\n": "columns must be", "request_id,day,model,cost\n": "columns must be",
		"request_id,cost,cost\n": "each once", "request_id,cost\nr,1e3\n": "line 2: cost", "request_id,input\nr,1.5\n": "line 2: input", "day,model,cost\n1.2.26,m,1\n": "line 2: day", "request_id,cost\nr\n": "line 2"} {
		if _, _, err := Reconcile(path, strings.NewReader(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	rows, err := ReadRows(path)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	want := CostRow{Day: at, Batch: "b1", Step: "label.Reports", Model: "m", Calls: 3, Attempts: 4, Labels: 2, SpentPico: 70_000_001, WastedPico: 30_000_000, UnsettledMax: 1000, Input: 21, Cached: 4, Output: 6}
	if rows[0] != want {
		t.Errorf("%+v, want %+v", rows[0], want)
	}
}

// What a dead process had in flight on a server paid by the hour cost the time of one call, and what another process has in
// flight stays as it is.
func TestCostOfHoursThatWereCut(t *testing.T) {
	bookOnBoth(t, func(t *testing.T, b *Book, path string) {
		for n := range 4 {
			in := intent("b", fmt.Sprint(n), byte(n))
			if in.PriceID = "hour"; n == 3 {
				in.PriceID = "token"
			}
			if _, err := b.Begin(context.Background(), in); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Together("hour"); err != nil {
			t.Fatal(err)
		}
		if c := costOf(t, path); c.UnsettledMax != 4000 {
			t.Errorf("its own: %+v", c)
		}
		b.Close()
		for range 2 {
			again, err := OpenBook(path)
			if err == nil {
				err = again.Together("hour")
			}
			if err != nil {
				t.Fatal(err)
			}
			if c := costOf(t, path); c.UnsettledMax != 2000 || c.Spent != 0 || again.Committed() != 2000 || c.Attempts != 4 {
				t.Errorf("%+v, committed %d", c, again.Committed())
			}
			again.Close()
		}
	})
}

func TestPriceOfAnHour(t *testing.T) {
	p := Price{Hour: 3_600_000_000_001}
	for d, want := range map[time.Duration]int64{0: 0, 1: 1, time.Second: 1_000_000_000, time.Hour: 3_600_000_000_001, 1000 * time.Hour: 3_600_000_000_001_000, -1: 0} {
		if got, err := p.Over(d); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", d, got, err, want)
		}
	}
	if _, err := (Price{Hour: 9e18}).Over(2 * time.Hour); !errors.Is(err, ErrOverflow) {
		t.Error(err)
	}
}
