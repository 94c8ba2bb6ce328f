package ledger

import "fmt"

// Called is what one report took in calls, over all attempts.
type Called struct {
	Study         string
	Input, Output int64   // tokens, as the server said
	CostPico      int64   // the reservation where the server did not say
	Seconds       float64 // under way
}

// Called gives what the reports of a batch took of a step's calls. Work outside any batch has the batch "".
func (b *Book) Called(batch, step string) (all []Called, err error) {
	rows, err := b.d.query(`SELECT study, coalesce(input,0), coalesce(output,0), coalesce(cost,reserved), coalesce(ended-started,0)
		FROM attempts WHERE batch=? AND step=? ORDER BY study, id`, batch, step)
	err = each(rows, err, func() error {
		var c Called
		var nanoseconds int64
		if err := rows.Scan(&c.Study, &c.Input, &c.Output, &c.CostPico, &nanoseconds); err != nil {
			return err
		}
		c.Seconds = float64(nanoseconds) / 1e9
		if n := len(all); n > 0 && all[n-1].Study == c.Study {
			l := &all[n-1]
			l.Input, l.Output, l.CostPico, l.Seconds = l.Input+c.Input, l.Output+c.Output, l.CostPico+c.CostPico, l.Seconds+c.Seconds
			return nil
		}
		all = append(all, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: %s: %w", b.d.path, err)
	}
	return all, nil
}
