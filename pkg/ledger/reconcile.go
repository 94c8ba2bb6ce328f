package ledger

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Difference is something in which a provider's export of usage and a ledger differ.
type Difference struct {
	Key              string // the request, or day and model
	What             string // input, cached or output, in tokens; cost, in pico-dollars; request: it stands in one of them only
	Provider, Ledger int64
}

var reconcileValues = []string{"input", "cached", "output", "cost"}

// Reconcile holds a ledger to a provider's export of usage, a CSV file with a header. A row is one request (column
// request_id) or a day's sum for a model (columns day, as 2026-11-26 in UTC, and model, as answers name it); input, cached
// and output are tokens, cost is dollars; what the file does not have is not compared. matched counts the keys that agree.
// Attempts without a request's id, as some servers send none, are one key, "no request_id".
func Reconcile(path string, export io.Reader) (differences []Difference, matched int, err error) {
	r := csv.NewReader(export)
	head, err := r.Read()
	if err != nil {
		return nil, 0, fmt.Errorf("the first line names the columns: %w", err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	at := map[string]int{}
	for i, name := range head {
		if _, twice := at[name]; twice || !slices.Contains([]string{"request_id", "day", "model", "input", "cached", "output", "cost"}, name) {
			return nil, 0, fmt.Errorf("column %.40q: known are request_id, or day and model; and input, cached, output, cost, each once", name)
		}
		at[name] = i
	}
	_, byRequest := at["request_id"]
	_, day := at["day"]
	_, model := at["model"]
	if byRequest == (day || model) || day != model || len(at) < 2 {
		return nil, 0, fmt.Errorf("the columns must be request_id, or day and model; and some of input, cached, output, cost")
	}
	provider := map[string][4]int64{}
	for line := 2; ; line++ {
		rec, err := r.Read()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = addExport(provider, rec, at, byRequest)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", line, err)
		}
	}
	ours, err := readUsage(path, byRequest)
	if err != nil {
		return nil, 0, fmt.Errorf("ledger: %s: %w", path, err)
	}
	keys := slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, m := range []map[string][4]int64{provider, ours} {
			for k := range maps.Keys(m) {
				if !yield(k) {
					return
				}
			}
		}
	}))
	for _, k := range keys {
		p, inFile := provider[k]
		o, inBook := ours[k]
		before := len(differences)
		if inFile != inBook {
			differences = append(differences, Difference{k, "request", one(inFile), one(inBook)})
		}
		for i, what := range reconcileValues {
			if _, has := at[what]; has && p[i] != o[i] {
				differences = append(differences, Difference{k, what, p[i], o[i]})
			}
		}
		if len(differences) == before {
			matched++
		}
	}
	return differences, matched, nil
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// addExport adds one row of an export to its key.
func addExport(sums map[string][4]int64, rec []string, at map[string]int, byRequest bool) (err error) {
	var key string
	if byRequest {
		key = cmp.Or(rec[at["request_id"]], noRequest)
	} else {
		if _, err := time.Parse(time.DateOnly, rec[at["day"]]); err != nil {
			return fmt.Errorf("day %.40q is not a date like 2026-11-26", rec[at["day"]])
		}
		key = rec[at["day"]] + " " + rec[at["model"]]
	}
	row := sums[key]
	for i, what := range reconcileValues {
		col, has := at[what]
		if !has || rec[col] == "" {
			continue
		}
		n, err := strconv.ParseInt(rec[col], 10, 64)
		if what == "cost" {
			n, err = ParseUSD(rec[col])
		}
		if err == nil {
			row[i], err = Add(row[i], n)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	sums[key] = row
	return nil
}

const noRequest = "no request_id"

// readUsage sums what a ledger booked of answers with usage, by request or by day and model.
func readUsage(path string, byRequest bool) (map[string][4]int64, error) {
	d, err := openReader(path)
	if err != nil {
		return nil, err
	}
	defer d.db.Close()
	rows, err := d.db.Query(`SELECT coalesce(request_id,''), coalesce(nullif(model_seen,''),model), started/86400000000000, input, coalesce(cached,0), output, coalesce(cost,0)
		FROM attempts WHERE input IS NOT NULL`)
	sums := map[string][4]int64{}
	err = each(rows, err, func() error {
		var request, model string
		var day int64
		var v [4]int64
		if err := rows.Scan(&request, &model, &day, &v[0], &v[1], &v[2], &v[3]); err != nil {
			return err
		}
		key := cmp.Or(request, noRequest)
		if !byRequest {
			key = dayOf(day) + " " + model
		}
		s := sums[key]
		for i := range v {
			var err error
			if s[i], err = Add(s[i], v[i]); err != nil {
				return err
			}
		}
		sums[key] = s
		return nil
	})
	return sums, err
}

// dayOf is the date of a day since 1970, UTC.
func dayOf(day int64) string { return time.Unix(day*86400, 0).UTC().Format(time.DateOnly) }
