package ledger

// CostRow is the cost of one day, batch, step and model. A call that was repeated after midnight is one of either day.
type CostRow struct {
	Day, Batch, Step, Model             string // the day in UTC, of the attempt's start
	Calls, Attempts                     int64
	Labels                              int64 // findings that were answered
	SpentPico, WastedPico, UnsettledMax int64
	Input, Cached, CacheWrite, Output   int64
	Reasoning                           int64
}

// ReadRows reads a ledger in its finest parts, without holding it. Money and tokens sum up to those of ReadCost.
func ReadRows(path string) (out []CostRow, err error) {
	d, err := openReader(path)
	if err != nil {
		return nil, err
	}
	defer d.db.Close()
	rows, err := d.db.Query(`SELECT started/86400000000000, batch, step, model,
		count(DISTINCT CASE WHEN outcome='unsent' THEN NULL ELSE identity END), count(CASE WHEN outcome='unsent' THEN NULL ELSE 1 END),
		coalesce(sum(CASE WHEN outcome='answered' THEN CASE WHEN substr(labels,1,1)=? THEN (length(labels)-?)/? ELSE (length(labels)-1)/? END END),0),
		coalesce(sum(cost),0), coalesce(sum(CASE WHEN outcome='answered' THEN 0 ELSE cost END),0), coalesce(sum(CASE WHEN cost IS NULL THEN reserved END),0),
		coalesce(sum(input),0), coalesce(sum(cached),0), coalesce(sum(cache_write),0), coalesce(sum(output),0), coalesce(sum(reasoning),0)
		FROM attempts GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`, []byte{version}, headSize, labSize, oldSize)
	err = each(rows, err, func() error {
		var r CostRow
		var day int64
		err := rows.Scan(&day, &r.Batch, &r.Step, &r.Model, &r.Calls, &r.Attempts, &r.Labels, &r.SpentPico, &r.WastedPico, &r.UnsettledMax,
			&r.Input, &r.Cached, &r.CacheWrite, &r.Output, &r.Reasoning)
		r.Day = dayOf(day)
		out = append(out, r)
		return err
	})
	return out, err
}
